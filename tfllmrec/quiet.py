"""Suppression of log messages and warnings of third-party packages."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


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
    """Discard everything that is written to file descriptor 2; exceptions propagate.

    For the few lines that TensorFlow's C++ code prints regardless of TF_CPP_MIN_LOG_LEVEL.
    """
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
