"""Lifecycle of a model version: loaded, warmed up, used by requests, unloaded after the last one."""

import threading
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay


class State(IntEnum):
    """State of a version, numbered as in TF Serving's `ModelVersionStatus`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Version:
    """One version of a model.

    Args:
        folder: version folder.

    Attributes:
        folder: version folder.
        state: present state.
        model: loaded model while the state is AVAILABLE; None if loading failed or the version was unloaded.
        error: reason why loading failed; "" if it did not.
        warmup_count: number of warm-up requests replayed.
        seconds: duration of loading and warm-up.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State.START
        self.model: ServedModel | None = None
        self.error, self.warmup_count, self.seconds = "", 0, 0.0
        self._stamp = _stamp(folder)
        self._requests = 0
        self._idle = threading.Condition()

    def load(self, load_model: Callable[[Path], ServedModel] = ServedModel) -> None:
        """Load the model and replay its warm-up. A failure is kept in `error` and ends the version, not the server."""
        started, model = time.perf_counter(), None
        self.state = State.LOADING
        try:
            model = load_model(self.folder)
            self.warmup_count = replay(model)
        except Exception as error:  # a damaged SavedModel can raise almost anything
            self.error = str(error) or type(error).__name__
            if model:
                model.close()
            self.state = State.END
        else:
            self.model = model
            self.state = State.AVAILABLE
        self.seconds = time.perf_counter() - started

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

    def is_outdated(self, folder: Path) -> bool:
        """Check whether `folder` must be loaded again: it is another path, or was replaced after this version ended."""
        return folder != self.folder or (self.state is State.END and _stamp(folder) != self._stamp)


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Return the identity of a folder, which changes if another folder takes its name."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
