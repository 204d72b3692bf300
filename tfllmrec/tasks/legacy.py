"""The door between Keras 3 and TensorFlow Recommenders, which is written for Keras 2 (`tf_keras`)."""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

import tensorflow as tf


@contextlib.contextmanager
def legacy_keras() -> Iterator[None]:
    """`tf.keras` is Keras 2 inside the block and what it was before after it.

    TFRS reads `tf.keras` when it is imported and when its objects are built. Setting TF_USE_LEGACY_KERAS instead
    would change the caller's `tf.keras`, and comes too late once something has touched it.

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
    """`tensorflow_recommenders`, whatever was imported before it."""
    if "tensorflow_recommenders" not in sys.modules:
        with legacy_keras():
            import tensorflow_recommenders  # noqa: F401
    return sys.modules["tensorflow_recommenders"]
