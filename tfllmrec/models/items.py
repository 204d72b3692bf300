"""What an item is to a model: a vector of its own, and what its content adds."""

from typing import Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf


@keras.saving.register_keras_serializable("tfllmrec")
class ItemEmbedding(keras.layers.Layer):
    """An item as the sum of a vector of its own and of what its content adds; zeros for item 0.

    Content is the mean of its tokens' vectors, which are learnt, and a learnt projection of a given content
    vector. int32 of any shape -> float32 [..., dim]. A model that reads items and scores them has one
    `ItemEmbedding` for both: a history is read in the space it is matched in.

    Args:
        item_count: items in the catalogue.
        dim: width of the vectors.
        token_count: different tokens; 0 for items without.
        token_uses: tokens of all items together.
        token_std: standard deviation of the token vectors at the start.
        vector_width: width of the given content vectors; 0 for items without.
    """

    def __init__(
        self,
        item_count: int,
        dim: int,
        token_count: int = 0,
        token_uses: int = 0,
        token_std: float = 0.05,
        vector_width: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.item_count, self.dim = item_count, dim
        self.token_count, self.token_uses, self.token_std = token_count, token_uses, token_std
        self.vector_width = vector_width
        fixed = {"initializer": "zeros", "trainable": False}
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.own = self.add_weight(shape=(item_count + 1, dim), initializer=normal, name="own")
        if token_count:
            self.places = self.add_weight(shape=(token_uses, 2), dtype="int64", name="places", **fixed)
            self.shares = self.add_weight(shape=(token_uses,), name="shares", **fixed)
            normal = keras.initializers.RandomNormal(stddev=token_std, seed=normal.seed + 1)
            self.token_vectors = self.add_weight(shape=(token_count, dim), initializer=normal, name="token_vectors")
        if vector_width:
            self.vectors = self.add_weight(shape=(item_count + 1, vector_width), name="vectors", **fixed)
            self.projection = self.add_weight(
                shape=(vector_width, dim), initializer="glorot_uniform", name="projection"
            )

    @classmethod
    def with_content(
        cls,
        dim: int,
        *,
        tokens: scipy.sparse.csr_array | None = None,
        vectors: np.ndarray | None = None,
        token_std: float = 0.05,
        **kwargs: Any,
    ) -> Self:
        """The embedding of items with tokens, with vectors, or with both.

        Args:
            dim: width of the item vectors.
            tokens: [items + 1, tokens], non-zero where an item has the token.
            vectors: content vectors, float32 [items + 1, width].
            token_std: see the class.
            kwargs: for `keras.layers.Layer`.

        Raises:
            ValueError: neither tokens nor vectors.
        """
        given = [matrix for matrix in (tokens, vectors) if matrix is not None]
        if not given:
            raise ValueError("with_content: give tokens, vectors, or both")
        sizes = {} if tokens is None else {"token_count": tokens.shape[1], "token_uses": tokens.nnz}
        width = 0 if vectors is None else vectors.shape[1]
        layer = cls(given[0].shape[0] - 1, dim, **sizes, token_std=token_std, vector_width=width, **kwargs)
        if tokens is not None and tokens.nnz:
            uses = np.diff(tokens.indptr)
            rows = np.repeat(np.arange(len(uses)), uses)
            layer.places.assign(np.stack([rows, tokens.indices], axis=1))
            layer.shares.assign(1 / uses[rows])
        if vectors is not None:
            layer.vectors.assign(vectors)
        return layer

    def call(self, items: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if self.token_count or self.vector_width:
            return tf.gather(self.table(), items)
        vectors = gather_summing(self.own, items)
        return tf.where(tf.cast(items, tf.bool)[..., None], vectors, 0.0)  # spares a copy of a large table

    def table(self) -> tf.Tensor:
        """The vectors of all items, float32 [items + 1, dim]."""
        vectors = tf.convert_to_tensor(self.own)
        if self.token_count:
            shape = (self.item_count + 1, self.token_count)
            tokens = tf.SparseTensor(tf.convert_to_tensor(self.places), tf.convert_to_tensor(self.shares), shape)
            vectors += tf.sparse.sparse_dense_matmul(tokens, tf.convert_to_tensor(self.token_vectors))
        if self.vector_width:
            vectors += tf.matmul(self.vectors, self.projection)
        return tf.pad(vectors[1:], [[1, 0], [0, 0]])

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        """[..., dim]."""
        return keras.KerasTensor((*items.shape, self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "item_count": self.item_count,
            "dim": self.dim,
            "token_count": self.token_count,
            "token_uses": self.token_uses,
            "token_std": self.token_std,
            "vector_width": self.vector_width,
        }


def gather_summing(table: Any, indices: tf.Tensor) -> tf.Tensor:
    """Rows of a weight, whose gradient is one dense tensor: a row's shares are summed up.

    The gradient of a plain gather lists the shares one by one, and Adam would square each before adding them.

    Args:
        table: a weight [n, ...].
        indices: of any shape.

    Returns:
        [*indices.shape, ...].
    """

    @tf.custom_gradient
    def dense(table: tf.Tensor) -> Any:
        return tf.identity(table), tf.convert_to_tensor

    return tf.gather(dense(tf.convert_to_tensor(table)), indices)
