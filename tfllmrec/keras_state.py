"""The caller's Keras: its backend is checked, and its dtype policy and random generators are left as they were."""

import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from pathlib import Path

import numpy as np

from tfllmrec.errors import InputError

_BACKEND = "tensorflow"
_KERAS_GENERATOR = ("global_random_seed", "global_seed_generator")
"""Keras' global attributes that `keras.utils.set_random_seed` replaces."""
_is_isolated = ContextVar("is_isolated", default=False)


def require_tensorflow_backend() -> None:
    """Check that Keras runs, or will run, on TensorFlow.

    Raises:
        InputError: If Keras was imported with another backend, or KERAS_BACKEND or keras.json names one.
    """
    if "keras" in sys.modules:
        import keras

        source, backend, advice = "Keras was imported with", keras.backend.backend(), "start Python again with"
    else:
        source, backend, advice = _configured_backend()
    if backend != _BACKEND:
        raise InputError(
            f"{source} the backend {backend!r}, and tfllmrec runs on {_BACKEND}: {advice} KERAS_BACKEND={_BACKEND}"
        )


def _configured_backend() -> tuple[str, str, str]:
    """Return the source of the backend that Keras will read, the backend, and advice."""
    variable = os.environ.get("KERAS_BACKEND")
    if variable:
        return "KERAS_BACKEND names", variable, "unset it, or set"
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        backend = json.loads(file.read_text(encoding="utf-8")).get("backend", _BACKEND)
    except (OSError, ValueError, AttributeError):
        backend = _BACKEND  # Keras ignores the file, too
    return f"{file} names", backend, "change it, or set"


@contextmanager
def isolated_keras() -> Iterator[None]:
    """Compute in float32, and restore the caller's dtype policy and random generators afterwards.

    The generators are those of Python, NumPy, Keras and TensorFlow. Use it as a context or as a decorator; an inner use
    has no effect, so that the parts of a model draw from one stream.

    Example:
        >>> import random
        >>> import keras
        >>> random.seed(1)
        >>> expected = random.Random(1).random()
        >>> with isolated_keras():
        ...     keras.utils.set_random_seed(42)
        >>> random.random() == expected
        True
    """
    if _is_isolated.get():
        yield
        return
    import keras
    from keras.src.backend.common import global_state  # Keras has no public access to its seeds
    from tensorflow.python.eager import context  # nor has TensorFlow

    eager = context.context()
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the caller's
    seeds = {name: global_state.get_global_attribute(name) for name in _KERAS_GENERATOR}
    tensorflow = {name: copy(getattr(eager, name, None)) for name in ("_seed", "_rng")}
    token = _is_isolated.set(True)
    try:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        yield
    finally:
        _is_isolated.reset(token)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for name, value in seeds.items():
            global_state.set_global_attribute(name, value)
        vars(eager).update(tensorflow)
