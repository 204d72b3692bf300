"""Backups of a fit: killed after any epoch and begun again, it ends as an unbroken one does."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfllmrec.errors import InputError

_REMEMBERED = ("wait", "stopped_epoch", "best", "best_epoch")  # of early stopping


class Backup(keras.callbacks.Callback):
    """Keeps the state of a fit in one file, replaced in one step before every epoch but the first.

    It does the work of `keras.callbacks.BackupAndRestore` and keeps what that forgets: the states of random
    generators (dropout), the logs so far, the memory of early stopping and its best weights. Give it to `fit` as
    the last callback, with `initial_epoch=backup.epoch`.

    Args:
        path: the file; where there is one, the fit goes on from it.
        settings: of the fit, as plain values; a backup with others is refused.
        stopping: the early stopping of the same fit; one that is not used has nothing to remember.

    Attributes:
        epoch: epochs done.
        logs: what `fit` logged in them, by name, one value an epoch.

    Raises:
        InputError: the file is no backup, or one of a fit with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], stopping: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.epoch = 0
        self.logs: dict[str, list[float]] = {}
        self._path, self._settings, self._stopping = path, json.loads(json.dumps(settings)), stopping
        self._state = self._read() if path.exists() else None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Put everything back."""
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
        """Write the state that the epoch begins with: all others have done their work on the one before."""
        if epoch > 0:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remember the logs."""
        for name, value in (logs or {}).items():
            self.logs.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _write(self) -> None:
        best = self._stopping.best_weights or []
        told = {
            "settings": self._settings,
            "epoch": self.epoch,
            "logs": self.logs,
            "stopping": {name: getattr(self._stopping, name) for name in _REMEMBERED if best},
        }
        arrays = {f"variables_{place}": value.numpy() for place, value in enumerate(self._variables())}
        arrays |= {f"best_{place}": value for place, value in enumerate(best)}
        beside = self._path.with_name(f".{self._path.name}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                np.savez(file, told=np.array(json.dumps(told)), **arrays)
            os.replace(beside, self._path)
        except OSError as error:
            raise InputError(f"{self._path.parent} cannot be written to: {error.strerror}") from error

    def _read(self) -> dict[str, Any]:
        try:
            with np.load(self._path) as file:
                told = json.loads(str(file["told"]))
                self.epoch, self.logs, state = told["epoch"], told["logs"], {"stopping": told["stopping"]}
                for kind in ("variables", "best"):
                    count = sum(name.startswith(kind) for name in file.files)
                    state[kind] = [file[f"{kind}_{place}"] for place in range(count)]
                settings = told["settings"]
        except Exception as error:  # the readers of zip and npy files raise whatever damage makes them stumble over
            raise InputError(f"{self._path} is no backup of a fit: remove it, or choose another path") from error
        others = [name for name, value in self._settings.items() if settings.get(name) != value]
        if others:
            raise InputError(
                f"{self._path} is the backup of a fit with another {', '.join(others)}: go on with what it was begun "
                "with, or remove it"
            )
        return state
