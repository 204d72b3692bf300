"""No TensorFlow noise on a terminal that somebody reads."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def quiet_tensorflow() -> None:
    """Silence TensorFlow's, absl's and Keras's start-up messages; call it before TensorFlow is imported.

    For programs (the command line, benchmarks). A library has no business changing its caller's logs.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras|tf_keras")


@contextmanager
def without_widget_warnings() -> Iterator[None]:
    """Inside the block packages that import `tqdm.auto` may be imported: it complains of missing notebook widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Nothing written to file descriptor 2 inside the block is seen; exceptions are raised as ever.

    For the few lines that TensorFlow's C++ code prints whatever TF_CPP_MIN_LOG_LEVEL says.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
