"""Backups of a fit: a killed fit resumes to identical weights."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.formats import require_format

_FORMAT = 2
"""Format of a backup. Format 1 had no number, and options with other names."""
_STOPPING_STATE = ("wait", "stopped_epoch", "best", "best_epoch")


class Backup(keras.callbacks.Callback):
    """Save the state of a fit to one file, replaced atomically before every epoch but the first.

    In contrast to `keras.callbacks.BackupAndRestore` it includes the states of random generators (dropout), the logs,
    and the state and best weights of early stopping. Pass it to `fit` as the last callback, with
    `initial_epoch=backup.epoch`.

    Args:
        path: the file; a fit resumes from an existing one.
        settings: plain values of the fit; a backup with other values is refused.
        stopping: the early stopping of the same fit; it may be unused.

    Attributes:
        epoch: number of finished epochs.
        logs: their logs by name, one value per epoch.

    Raises:
        InputError: If the file is not a backup, has another format, or belongs to a fit with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], stopping: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.epoch = 0
        self.logs: dict[str, list[float]] = {}
        self._path, self._settings, self._stopping = path, json.loads(json.dumps(settings)), stopping
        self._state = self._read() if path.exists() else None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restore the state of the backup."""
        if self._state is None:
            return
        for variable, value in zip(self._variables(), self._state["variables"], strict=True):
            variable.assign(value)
        if self._state["best"]:
            self._stopping.best_weights = self._state["best"]
            for name, value in self._state["stopping"].items():
                setattr(self._stopping, name, value)
        self._state = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the state; all callbacks have finished the epoch before."""
        if epoch > 0:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Collect the logs."""
        for name, value in (logs or {}).items():
            self.logs.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _write(self) -> None:
        best = self._stopping.best_weights or []
        description = {
            "format": _FORMAT,
            "settings": self._settings,
            "epoch": self.epoch,
            "logs": self.logs,
            "stopping": {name: getattr(self._stopping, name) for name in _STOPPING_STATE if best},
        }
        arrays = {f"variables_{position}": value.numpy() for position, value in enumerate(self._variables())}
        arrays |= {f"best_{position}": value for position, value in enumerate(best)}
        temporary = self._path.with_name(f".{self._path.name}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, description=np.array(json.dumps(description)), **arrays)
            os.replace(temporary, self._path)
        except OSError as error:
            raise InputError(f"{self._path.parent} cannot be written to: {error.strerror}") from error

    def _read(self) -> dict[str, Any]:
        try:
            with np.load(self._path) as file:
                description = json.loads(str(file["description"]))
                number = description.get("format", 1)
                self.epoch, self.logs = description["epoch"], description["logs"]
                state = {"stopping": description["stopping"]}
                for kind in ("variables", "best"):
                    count = sum(name.startswith(kind) for name in file.files)
                    state[kind] = [file[f"{kind}_{position}"] for position in range(count)]
                settings = description["settings"]
        except Exception as error:  # damaged zip and npy files raise many types of errors
            raise InputError(f"{self._path} is not a backup of a fit; remove it, or choose another path") from error
        require_format(self._path, number, _FORMAT, "remove it, or choose another path")
        changed = [name for name, value in self._settings.items() if settings.get(name) != value]
        if changed:
            raise InputError(
                f"{self._path} is the backup of a fit with another {', '.join(changed)}; resume with the "
                "same values, or remove it"
            )
        return state
