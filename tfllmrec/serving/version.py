"""A version's life in a server: loaded and warmed up, asked by many, ended once nobody asks any more."""

import threading
import time
from enum import IntEnum
from pathlib import Path

from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay


class State(IntEnum):
    """Where a version stands, numbered as in TF Serving's `ModelVersionStatus`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Version:
    """One version of a model.

    Args:
        folder: where it is.

    Attributes:
        folder: where it is.
        state: where it stands.
        model: what answers while it is AVAILABLE; None where it could not be loaded, or has ended.
        error: why it could not be loaded.
        warmed: warm-up requests replayed.
        seconds: how long loading and warm-up took.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State.START
        self.model: ServedModel | None = None
        self.error, self.warmed, self.seconds = "", 0, 0.0
        self._stamp = _stamp(folder)
        self._requests = 0
        self._idle = threading.Condition()

    def load(self) -> None:
        """Load it and replay its warm-up; whatever goes wrong is its state, not the end of the server."""
        started, model = time.perf_counter(), None
        self.state = State.LOADING
        try:
            model = ServedModel(self.folder)
            self.warmed = replay(model)
        except Exception as error:  # a SavedModel can be broken in more ways than can be listed
            self.error = str(error) or type(error).__name__
            if model:
                model.close()
            self.state = State.END
        else:
            self.model = model
            self.state = State.AVAILABLE
        self.seconds = time.perf_counter() - started

    def acquire(self) -> bool:
        """Begin a request; False where it is not available. After the request comes `release`."""
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

    def unload(self, patience: float | None = None) -> None:
        """Take no more requests, wait for those that run, for so many seconds if they are given, free the model."""
        with self._idle:
            self.state = State.UNLOADING
            self._idle.wait_for(lambda: not self._requests, patience)
        if self.model:
            self.model.close()
            self.model = None
        self.state = State.END

    def is_outdated(self, folder: Path) -> bool:
        """Whether it has ended, and what is in its place is another folder, or another one that has its name."""
        return folder != self.folder or (self.state is State.END and _stamp(folder) != self._stamp)


def _stamp(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from one that had its name before."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
