"""Heads that end in a score for every item: float32 [B, items + 1], column 0 the padding's."""

from typing import Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.history import HistoryWeights, NewestFirst
from tfllmrec.layers.tables import TableLayer


@keras.saving.register_keras_serializable("tfllmrec")
class PopularityScores(keras.layers.Layer):
    """The same scores for everybody: log(1 + interactions). history [B, L] -> float32 [B, items + 1].

    Args:
        item_count: items in the catalogue.
    """

    def __init__(self, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count = item_count
        self.popularity = self.add_weight(
            shape=(item_count + 1,), initializer="zeros", trainable=False, name="popularity"
        )

    def set_counts(self, counts: np.ndarray) -> Self:
        """Take the interactions of every item, [items + 1]."""
        self.popularity.assign(np.log1p(counts))
        return self

    def call(self, history: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.tile(self.popularity[None], [tf.shape(history)[0], 1])

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor((history.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class UnlessEmpty(keras.layers.Layer):
    """Other scores where the history is empty, for there is nothing else to go by.

    (scores [B, items + 1], fallback [B, items + 1], history [B, L]) -> float32 [B, items + 1].
    """

    def call(self, scores: tf.Tensor, fallback: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.where(tf.reduce_any(history > 0, axis=1, keepdims=True), scores, fallback)

    def compute_output_spec(
        self, scores: keras.KerasTensor, fallback: keras.KerasTensor, history: keras.KerasTensor
    ) -> keras.KerasTensor:
        """The scores' own shape."""
        return keras.KerasTensor(scores.shape, "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class ItemIndex(TableLayer):
    """All item vectors as one fixed matrix, computed once from what was trained.

    Called with item indices, int32 of any shape, it looks vectors up: float32 [..., D]. `scores` gives the dot
    products of query vectors with all of them, so that a request costs one matrix product.

    Args:
        item_count: items in the catalogue.
        dim: width of the vectors, D.
        biased: whether every item has a bias that is added to its scores.

    Attributes:
        vectors: float32 [items + 1, D].
        biases: float32 [items + 1], or None.
    """

    def __init__(self, item_count: int, dim: int, biased: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count, self.dim, self.biased = item_count, dim, biased
        fixed = {"initializer": "zeros", "trainable": False}
        self.table = self.vectors = self.add_weight(shape=(item_count + 1, dim), name="vectors", **fixed)
        self.biases: Any = self.add_weight(shape=(item_count + 1,), name="biases", **fixed) if biased else None

    def call(self, items: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.read(items, self.compute_dtype)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        """[..., D]."""
        return keras.KerasTensor((*items.shape, self.dim), "float32")

    def scores(self, query: keras.KerasTensor) -> keras.KerasTensor:
        """Scores of all items for query vectors: float32 [B, D] -> [B, items + 1]."""
        return _IndexScores(self)(query)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "item_count": self.item_count, "dim": self.dim, "biased": self.biased}


class _IndexScores(keras.layers.Layer):
    """Query vectors times the vectors of an `ItemIndex`, and its biases added."""

    def __init__(self, index: ItemIndex) -> None:
        super().__init__()
        self._index = index

    def call(self, query: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(query, self._index.read_all(query.dtype), transpose_b=True)
        return scores if self._index.biases is None else scores + self._index.biases

    def compute_output_spec(self, query: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((query.shape[0], self._index.item_count + 1), "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class DenseItemToItem(TableLayer):
    """The product with a fixed dense item-to-item matrix: float32 [B, items + 1] -> [B, items + 1].

    Rows of weights are almost all zeros, so only the matrix rows of a history's items are read.

    Args:
        item_count: items in the catalogue.

    Attributes:
        static_shapes: whether a plain matrix product is made of it, as a compiler needs it.
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
        """See the class."""
        if self.static_shapes:
            return tf.matmul(weights, self.read_all(weights.dtype))
        matrix = tf.convert_to_tensor(self.matrix)
        if self.quantized or matrix.dtype != weights.dtype:  # as an export may store it; few rows are to be cast
            asked = tf.where(tf.reduce_any(weights != 0.0, axis=0))[:, 0]
            matrix, weights = self.read(asked, weights.dtype), tf.gather(weights, asked, axis=1)
        return tf.sparse.sparse_dense_matmul(tf.sparse.from_dense(weights), matrix)

    def compute_output_spec(self, weights: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor(weights.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class SparseItemToItem(keras.layers.Layer):
    """The product with a fixed sparse item-to-item matrix: float32 [B, items + 1] -> [B, items + 1].

    Args:
        item_count: items in the catalogue.
        nonzero: non-zero entries of the matrix.
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
        """The layer of a matrix [items + 1, items + 1]."""
        layer = cls(matrix.shape[0] - 1, matrix.nnz)
        layer.splits.assign(matrix.indptr)
        layer.columns.assign(matrix.indices)
        layer.entries.assign(matrix.data)
        return layer

    def call(self, weights: tf.Tensor) -> tf.Tensor:
        """See the class."""
        asked = tf.where(weights != 0.0)  # (row of the batch, item)
        places = tf.ragged.range(tf.gather(self.splits, asked[:, 1]), tf.gather(self.splits, asked[:, 1] + 1))
        source = places.value_rowids()  # which of `asked` an entry belongs to
        values = tf.gather(self.entries, places.values) * tf.gather(tf.gather_nd(weights, asked), source)
        cells = tf.stack([tf.gather(asked[:, 0], source), tf.gather(self.columns, places.values)], axis=1)
        return tf.tensor_scatter_nd_add(tf.zeros_like(weights), cells, values)

    def compute_output_spec(self, weights: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor(weights.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "item_count": self.item_count, "nonzero": self.nonzero}


def scoring_inputs(history_length: int, features: int = 0) -> dict[str, keras.KerasTensor]:
    """The inputs of every scoring model: user int32 [B] and history int32 [B, L]; perhaps user_features int32 [B, F].

    Args:
        history_length: L.
        features: features that a user has at most, F; 0 for a model that reads none.
    """
    inputs = {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((history_length,), dtype="int32", name="history"),
    }
    if features:
        inputs["user_features"] = keras.Input((features,), dtype="int32", name="user_features")
    return inputs


def item_to_item_model(
    product: keras.layers.Layer,
    counts: np.ndarray,
    history_length: int,
    *,
    decay: float = 1.0,
    recent_items: int | None = None,
    popularity_weight: float = 0.0,
) -> keras.Model:
    """Scores that are linear in the history: decayed history weights times an item-to-item matrix.

    Args:
        product: a layer that multiplies [B, items + 1] by the matrix.
        counts: interactions of every item, [items + 1], for empty histories.
        history_length: L.
        decay: see `HistoryWeights`.
        recent_items: see `HistoryWeights`.
        popularity_weight: share of the popularity in every score.

    Returns:
        {"user": int32 [B], "history": int32 [B, L]} -> float32 [B, items + 1].
    """
    inputs = scoring_inputs(history_length)
    history, item_count = inputs["history"], len(counts) - 1
    popularity = PopularityScores(item_count).set_counts(counts)(history)
    scores = product(HistoryWeights(item_count, decay, recent_items)(NewestFirst()(history)))
    return keras.Model(inputs, UnlessEmpty()(scores + popularity_weight * popularity, popularity, history))
