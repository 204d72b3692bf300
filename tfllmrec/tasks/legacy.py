"""Import of TensorFlow Recommenders, which requires Keras 2 (`tf_keras`) as `tf.keras`."""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

import tensorflow as tf


@contextlib.contextmanager
def legacy_keras() -> Iterator[None]:
    """Set `tf.keras` to Keras 2 within the block and restore it afterwards.

    TFRS reads `tf.keras` when it is imported and when its objects are built. Setting TF_USE_LEGACY_KERAS instead would
    change the caller's `tf.keras`, and has no effect once `tf.keras` has been accessed.

    Example:
        >>> with legacy_keras():
        ...     metric = tf.keras.metrics.TopKCategoricalAccuracy(5)
    """
    import tf_keras

    before = tf.keras
    tf.keras = tf_keras
    try:
        yield
    finally:
        tf.keras = before


def import_tfrs() -> ModuleType:
    """Import `tensorflow_recommenders`, independent of what was imported before."""
    if "tensorflow_recommenders" not in sys.modules:
        with legacy_keras():
            import tensorflow_recommenders  # noqa: F401
    return sys.modules["tensorflow_recommenders"]
