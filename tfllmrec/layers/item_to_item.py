"""Scores that are linear in the history: products with an item-to-item matrix, dense or sparse."""

from typing import Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.history import HistoryWeights, MostRecentFirst
from tfllmrec.layers.scoring import FallbackIfEmpty, PopularityScores, scoring_inputs
from tfllmrec.layers.tables import TableLayer


@keras.saving.register_keras_serializable("tfllmrec")
class DenseItemToItem(TableLayer):
    """Multiply item weights with a fixed dense item-to-item matrix: float32 [B, items + 1] -> [B, items + 1].

    Almost all weights are zero, so only the matrix rows of items with a weight are read.

    Args:
        item_count: number of items.

    Attributes:
        static_shapes: whether to compute a plain matrix product, which XLA can compile.
    """

    static_shapes = False

    def __init__(self, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count = item_count
        size = item_count + 1
        self.table = self.matrix = self.add_weight(
            shape=(size, size), initializer="zeros", trainable=False, name="matrix"
        )

    def call(self, weights: tf.Tensor) -> tf.Tensor:
        if self.static_shapes:
            return tf.matmul(weights, self.read_all(weights.dtype))
        matrix = tf.convert_to_tensor(self.matrix)
        if self.quantized or matrix.dtype != weights.dtype:  # an export's stored type: cast only the rows that are read
            rows = tf.where(tf.reduce_any(weights != 0.0, axis=0))[:, 0]
            matrix, weights = self.read(rows, weights.dtype), tf.gather(weights, rows, axis=1)
        return tf.sparse.sparse_dense_matmul(tf.sparse.from_dense(weights), matrix)

    def compute_output_spec(self, weights: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(weights.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class SparseItemToItem(keras.layers.Layer):
    """Multiply item weights with a fixed sparse item-to-item matrix: float32 [B, items + 1] -> [B, items + 1].

    Args:
        item_count: number of items.
        nonzero: number of non-zero entries of the matrix.
    """

    def __init__(self, item_count: int, nonzero: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count, self.nonzero = item_count, nonzero
        fixed = {"initializer": "zeros", "trainable": False}
        self.splits = self.add_weight(shape=(item_count + 2,), dtype="int64", name="splits", **fixed)
        self.columns = self.add_weight(shape=(nonzero,), dtype="int64", name="columns", **fixed)
        self.entries = self.add_weight(shape=(nonzero,), name="entries", **fixed)

    @classmethod
    def from_matrix(cls, matrix: scipy.sparse.csr_array) -> Self:
        """Create the layer of a matrix [items + 1, items + 1]."""
        layer = cls(matrix.shape[0] - 1, matrix.nnz)
        layer.splits.assign(matrix.indptr)
        layer.columns.assign(matrix.indices)
        layer.entries.assign(matrix.data)
        return layer

    def call(self, weights: tf.Tensor) -> tf.Tensor:
        weighted = tf.where(weights != 0.0)  # (row of the batch, item)
        rows, items = weighted[:, 0], weighted[:, 1]
        entries = tf.ragged.range(tf.gather(self.splits, items), tf.gather(self.splits, items + 1))
        source = entries.value_rowids()  # the row of `weighted` of each entry
        values = tf.gather(self.entries, entries.values) * tf.gather(tf.gather_nd(weights, weighted), source)
        cells = tf.stack([tf.gather(rows, source), tf.gather(self.columns, entries.values)], axis=1)
        return tf.tensor_scatter_nd_add(tf.zeros_like(weights), cells, values)

    def compute_output_spec(self, weights: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(weights.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count, "nonzero": self.nonzero}


def item_to_item_model(
    product: keras.layers.Layer,
    counts: np.ndarray,
    history_length: int,
    *,
    decay: float = 1.0,
    recent_items: int | None = None,
    popularity_weight: float = 0.0,
) -> keras.Model:
    """Build the model that scores items by the decayed weights of the history times an item-to-item matrix.

    Args:
        product: a layer that multiplies weights [B, items + 1] with the matrix.
        counts: interactions of every item, [items + 1], for the popularity scores.
        history_length: L.
        decay: see `HistoryWeights`.
        recent_items: see `HistoryWeights`.
        popularity_weight: weight of the popularity in every score; empty histories are scored by popularity alone.

    Returns:
        Model: {"user": int32 [B], "history": int32 [B, L]} -> float32 [B, items + 1].
    """
    inputs = scoring_inputs(history_length)
    history, item_count = inputs["history"], len(counts) - 1
    popularity = PopularityScores(item_count).set_counts(counts)(history)
    scores = product(HistoryWeights(item_count, decay, recent_items)(MostRecentFirst()(history)))
    return keras.Model(inputs, FallbackIfEmpty()(scores + popularity_weight * popularity, popularity, history))
