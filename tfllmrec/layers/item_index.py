"""Fixed matrix of all item vectors, which scores queries in one product."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.tables import TableLayer


@keras.saving.register_keras_serializable("tfllmrec")
class ItemIndex(TableLayer):
    """Hold all item vectors as one fixed matrix, computed once after training.

    A call looks vectors up: item indices int32 of any shape -> float32 [..., D]. `scores` returns the dot products of
    query vectors with all item vectors, so that a request costs one matrix product.

    Args:
        item_count: number of items.
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
        return self.read(items, self.compute_dtype)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((*items.shape, self.dim), "float32")

    def scores(self, query: keras.KerasTensor) -> keras.KerasTensor:
        """Return the scores of all items for query vectors: float32 [B, D] -> [B, items + 1]."""
        return _IndexScores(self)(query)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count, "dim": self.dim, "biased": self.biased}


class _IndexScores(keras.layers.Layer):
    """Multiply query vectors with the vectors of an `ItemIndex` and add its biases."""

    def __init__(self, index: ItemIndex) -> None:
        super().__init__()
        self._index = index

    def call(self, query: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(query, self._index.read_all(query.dtype), transpose_b=True)
        return scores if self._index.biases is None else scores + self._index.biases

    def compute_output_spec(self, query: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((query.shape[0], self._index.item_count + 1), "float32")
