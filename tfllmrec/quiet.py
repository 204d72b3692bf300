"""Suppression of log messages and warnings of third-party packages."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def quiet_tensorflow() -> None:
    """Silence the start-up messages of TensorFlow, absl and Keras; call it before TensorFlow is imported.

    For programs (the command line, benchmarks) only: a library does not change the logging of its callers.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras|tf_keras")


@contextmanager
def suppress_widget_warnings() -> Iterator[None]:
    """Suppress the warning of `tqdm.auto` about missing notebook widgets while packages that use it are imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Discard the output of native code on file descriptor 2; Python's `sys.stderr` stays visible.

    For the few lines that TensorFlow's C++ code prints regardless of TF_CPP_MIN_LOG_LEVEL.
    """
    python_stderr, stderr, devnull = sys.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    if _writes_to(python_stderr, 2):
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
        if sys.stderr is not python_stderr:
            sys.stderr.close()
            sys.stderr = python_stderr


def _writes_to(stream: Any, descriptor: int) -> bool:
    try:
        return bool(stream.fileno() == descriptor)
    except (AttributeError, OSError, ValueError):  # replaced, as in tests and notebooks
        return False
