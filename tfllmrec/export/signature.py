"""Signatures: TensorFlow functions whose inputs carry names."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Answer = dict[str, tf.Tensor]

IDS, ID_ROWS = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)
INDICES, INDEX_ROWS = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)


def signature(call: Callable[..., Answer], **inputs: tf.TensorSpec) -> Any:
    """A `tf.function` whose inputs carry their names, in the order of the call's parameters."""
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()]
    return tf.function(call, input_signature=specs, autograph=False)
