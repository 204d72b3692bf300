"""Tables of vectors that layers look rows up in, as they were trained or in a byte a number."""

from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Quantized:
    """A matrix in a byte a number: row i is values[i] * scales[i], and off by half a scale at most.

    Attributes:
        values: int8 [n, D].
        scales: float32 [n, 1].
    """

    values: tf.Variable
    scales: tf.Variable

    @classmethod
    def of(cls, matrix: np.ndarray) -> Self:
        """The largest number of every row becomes 127.

        Example:
            >>> Quantized.of(np.array([[0.5, -1.0]])).values.numpy()
            array([[  64, -127]], dtype=int8)
        """
        scales = np.abs(matrix).max(axis=1, keepdims=True) / 127
        values = np.divide(matrix, scales, out=np.zeros_like(matrix), where=scales > 0)
        return cls(
            tf.Variable(np.rint(values).astype(np.int8), trainable=False, name="values"),
            tf.Variable(scales.astype(np.float32), trainable=False, name="scales"),
        )


class TableLayer(keras.layers.Layer):
    """A layer that reads a table through `read` and `read_all`, so that an export may store it otherwise.

    Attributes:
        table: the weight, float32 [n, D].
        quantized: what is read instead of it, where an export sets that.
    """

    table: keras.Variable
    quantized: Quantized | None = None

    def read(self, rows: tf.Tensor, dtype: Any) -> tf.Tensor:
        """Rows by index, int32 of any shape -> [..., D]; they are fewer to cast than the table."""
        if self.quantized is None:
            return tf.cast(tf.gather(tf.convert_to_tensor(self.table), rows), dtype)
        parts = (self.quantized.values, self.quantized.scales)
        values, scales = (tf.cast(tf.gather(tf.convert_to_tensor(part), rows), dtype) for part in parts)
        return values * scales

    def read_all(self, dtype: Any) -> tf.Tensor:
        """All of it, [n, D]."""
        if self.quantized is None:
            return tf.cast(self.table, dtype)
        return tf.cast(self.quantized.values, dtype) * tf.cast(self.quantized.scales, dtype)
