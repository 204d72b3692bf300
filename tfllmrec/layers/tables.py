"""Lookup tables of vectors, stored as trained or quantized to int8."""

from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Quantized:
    """An int8 matrix with one scale per row: row i is values[i] * scales[i], with an error of at most half a scale.

    Attributes:
        values: int8 [n, D].
        scales: float32 [n, 1].
    """

    values: tf.Variable
    scales: tf.Variable

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Self:
        """Quantize a matrix; the largest absolute value of every row becomes 127.

        Example:
            >>> Quantized.from_matrix(np.array([[0.5, -1.0]])).values.numpy()
            array([[  64, -127]], dtype=int8)
        """
        scales = np.abs(matrix).max(axis=1, keepdims=True) / 127
        values = np.divide(matrix, scales, out=np.zeros_like(matrix), where=scales > 0)
        return cls(
            tf.Variable(np.rint(values).astype(np.int8), trainable=False, name="values"),
            tf.Variable(scales.astype(np.float32), trainable=False, name="scales"),
        )


class TableLayer(keras.layers.Layer):
    """Base of layers that read a table through `read` and `read_all`, so that an export can store it in another type.

    Attributes:
        table: the weight, float32 [n, D].
        quantized: the quantized table that is read instead; set by exports.
    """

    table: keras.Variable
    quantized: Quantized | None = None

    def read(self, rows: tf.Tensor, dtype: Any) -> tf.Tensor:
        """Read rows by index and cast them only: int32 of any shape -> [..., D]."""
        if self.quantized is None:
            return tf.cast(tf.gather(tf.convert_to_tensor(self.table), rows), dtype)
        parts = (self.quantized.values, self.quantized.scales)
        values, scales = (tf.cast(tf.gather(tf.convert_to_tensor(part), rows), dtype) for part in parts)
        return values * scales

    def read_all(self, dtype: Any) -> tf.Tensor:
        """Read the whole table, [n, D]."""
        if self.quantized is None:
            return tf.cast(self.table, dtype)
        return tf.cast(self.quantized.values, dtype) * tf.cast(self.quantized.scales, dtype)
