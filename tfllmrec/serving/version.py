"""Lifecycle of a model version: loaded, warmed up, used by requests, unloaded after the last one."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay


class State(IntEnum):
    """State of a version, numbered as in TF Serving's `ModelVersionStatus`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Loader(NamedTuple):
    """Rules of loading versions, under the names of TF Serving's flags.

    Attributes:
        load: function that loads the model in a version folder.
        max_num_load_retries: maximum number of attempts after the first one, while the files do not change.
        load_retry_interval_micros: microseconds between these attempts.
    """

    load: Callable[[Path], ServedModel] = ServedModel
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000


class Version:
    """One version of a model.

    Args:
        folder: version folder.
        loader: rules of loading it.

    Attributes:
        folder: version folder.
        state: present state.
        model: loaded model while the state is AVAILABLE; None if loading failed or the version was unloaded.
        error: reason why loading failed; "" if it did not.
        warmup_count: number of warm-up requests replayed.
        seconds: duration of loading and warm-up.
    """

    def __init__(self, folder: Path, loader: Loader) -> None:
        self.folder, self._loader = folder, loader
        self.state = State.START
        self.model: ServedModel | None = None
        self.error, self.warmup_count, self.seconds = "", 0, 0.0
        self._stamp, self._attempts, self._loaded = _stamp(folder), 0, 0.0
        self._requests = 0
        self._idle = threading.Condition()

    def load(self) -> None:
        """Load the model and replay its warm-up. A failure is kept in `error` and ends the version, not the server."""
        started, model = time.monotonic(), None
        self.state, self._stamp, self.error = State.LOADING, _stamp(self.folder), ""
        self._attempts += 1
        try:
            model = self._loader.load(self.folder)
            self.warmup_count = replay(model)
        except Exception as error:  # a damaged SavedModel can raise almost anything
            self.error = str(error) or type(error).__name__
            if model:
                model.close()
            self.state = State.END
        else:
            self.model = model
            self.state = State.AVAILABLE
        self._loaded = time.monotonic()
        self.seconds = self._loaded - started

    def acquire(self) -> bool:
        """Begin a request, which `release` ends. Return False if the version is not available."""
        with self._idle:
            if self.state is not State.AVAILABLE:
                return False
            self._requests += 1
            return True

    def release(self) -> None:
        """End a request."""
        with self._idle:
            self._requests -= 1
            self._idle.notify_all()

    def unload(self, timeout: float | None = None) -> None:
        """Refuse new requests, wait for running requests, and free the model.

        Args:
            timeout: maximum number of seconds to wait; None waits without a limit.
        """
        with self._idle:
            self.state = State.UNLOADING
            self._idle.wait_for(lambda: not self._requests, timeout)
        if self.model:
            self.model.close()
            self.model = None
        self.state = State.END

    def must_load_again(self) -> bool:
        """Check whether loading failed and is worth another attempt: files have changed, or it is time for a retry."""
        if self.state is not State.END or not self.error:
            return False
        if _stamp(self.folder) != self._stamp:
            self._attempts = 0
            return True
        has_retries = self._attempts <= self._loader.max_num_load_retries
        return has_retries and time.monotonic() - self._loaded >= self._loader.load_retry_interval_micros / 1e6


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return the names, sizes and times of all files in a folder, which change while a version arrives."""
    stamp = []
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):  # removed meanwhile
            status = path.stat()
            stamp.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(stamp)
