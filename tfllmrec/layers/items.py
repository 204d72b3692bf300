"""What an item is to a model: a vector of its own, and what its content adds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.fusion import fusion

_OPTIONS = ("token_std", "id_dropout", "modality_dropout")
_tables: ContextVar[dict[tuple[int, bool], tf.Tensor] | None] = ContextVar("tables", default=None)


@contextmanager
def tables_once() -> Iterator[None]:
    """Within it every `ItemEmbedding` makes its table of all items once, however often it is called.

    For a training step: histories and candidates are read from one table, with one gradient for its tokens. What
    drops ids or modalities in training draws them anew every time, and makes as many tables.
    """
    outside = _tables.set({})
    try:
        yield
    finally:
        _tables.reset(outside)


@keras.saving.register_keras_serializable("tfllmrec")
class ItemEmbedding(keras.layers.Layer):
    """An item as the sum of a vector of its own and of what its content adds; zeros for item 0.

    Content is the mean of its tokens' vectors, which are learnt, and given vectors of any number of modalities, fused
    into one. int32 of any shape -> float32 [..., dim]. A model that reads items and scores them has one
    `ItemEmbedding` for both: a history is read in the space it is matched in.

    Args:
        item_count: items in the catalogue.
        dim: width of the vectors.
        token_count: different tokens; 0 for items without.
        token_uses: tokens of all items together.
        token_std: standard deviation of the token vectors at the start.
        vector_widths: names of the modalities, and how wide their vectors are.
        id_dropout: chance of an item to be without its own vector whenever it is read in training, so that content
            comes to answer for items that have none (Volkovs et al., 2017, NIPS). For items with content only.
        modality_dropout: see `tfllmrec.layers.fusion.Gate`.
    """

    def __init__(
        self,
        item_count: int,
        dim: int,
        token_count: int = 0,
        token_uses: int = 0,
        token_std: float = 0.05,
        vector_widths: Mapping[str, int] | None = None,
        id_dropout: float = 0.0,
        modality_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.item_count, self.dim = item_count, dim
        self.token_count, self.token_uses, self.token_std = token_count, token_uses, token_std
        self.vector_widths = dict(vector_widths or {})
        self.id_dropout, self.modality_dropout = id_dropout, modality_dropout
        fixed = {"initializer": "zeros", "trainable": False}
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.own = self.add_weight(shape=(item_count + 1, dim), initializer=normal, name="own")
        if token_count:
            self.places = self.add_weight(shape=(token_uses, 2), dtype="int64", name="places", **fixed)
            self.shares = self.add_weight(shape=(token_uses,), name="shares", **fixed)
            normal = keras.initializers.RandomNormal(stddev=token_std, seed=normal.seed + 1)
            self.token_vectors = self.add_weight(shape=(token_count, dim), initializer=normal, name="token_vectors")
        if self.vector_widths:
            self.vectors = {
                name: self.add_weight(shape=(item_count + 1, width), name=name, **fixed)
                for name, width in self.vector_widths.items()
            }
            self.fusion = fusion(self.vector_widths, dim, modality_dropout=modality_dropout)
        self._seed_generator = keras.random.SeedGenerator() if id_dropout else None

    @classmethod
    def with_content(
        cls,
        dim: int,
        *,
        tokens: scipy.sparse.csr_array | None = None,
        vectors: Mapping[str, np.ndarray] | None = None,
        **kwargs: Any,
    ) -> Self:
        """The embedding of items with tokens, with vectors, or with both.

        Args:
            dim: width of the item vectors.
            tokens: [items + 1, tokens], non-zero where an item has the token.
            vectors: content vectors of every modality, float32 [items + 1, width]; zeros where an item has none.
            kwargs: further arguments of the class.

        Raises:
            ValueError: neither tokens nor vectors.
        """
        vectors = dict(vectors or {})
        given = [*([] if tokens is None else [tokens]), *vectors.values()]
        if not given:
            raise ValueError("with_content: give tokens, vectors, or both")
        if tokens is not None:
            kwargs |= {"token_count": tokens.shape[1], "token_uses": tokens.nnz}
        widths = {name: matrix.shape[1] for name, matrix in vectors.items()}
        layer = cls(given[0].shape[0] - 1, dim, vector_widths=widths, **kwargs)
        if tokens is not None and tokens.nnz:
            uses = np.diff(tokens.indptr)
            rows = np.repeat(np.arange(len(uses)), uses)
            layer.places.assign(np.stack([rows, tokens.indices], axis=1))
            layer.shares.assign(1 / uses[rows])
        for name, matrix in vectors.items():
            layer.vectors[name].assign(matrix)
        return layer

    def with_more(
        self, *, tokens: scipy.sparse.csr_array | None = None, vectors: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """This embedding as it was learnt, with further items that are known by their content alone.

        Args:
            tokens: of the further items, [items + 1, tokens], as in `with_content`; row 0 is not looked at.
            vectors: theirs by modality, [items + 1, width].
        """
        if tokens is not None:
            shape = (self.item_count + 1, self.token_count)
            before = scipy.sparse.csr_array((self.shares.numpy(), tuple(self.places.numpy().T)), shape=shape)
            tokens = scipy.sparse.vstack([before, tokens[1:]], format="csr")
        vectors = {name: np.concatenate([self.vectors[name], more[1:]]) for name, more in (vectors or {}).items()}
        options = {name: getattr(self, name) for name in _OPTIONS}
        layer = self.with_content(self.dim, tokens=tokens, vectors=vectors, **options, name=self.name)
        layer.own.assign(np.pad(self.own, [(0, layer.item_count - self.item_count), (0, 0)]))
        if self.token_count:
            layer.token_vectors.assign(self.token_vectors)
        if self.vector_widths:
            layer.fusion.set_weights(self.fusion.get_weights())
        return layer

    def call(self, items: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        if self.token_count or self.vector_widths:
            return tf.gather(self._table_once(training), items)
        vectors = gather_summing(self.own, items)
        return tf.where(tf.cast(items, tf.bool)[..., None], vectors, 0.0)  # spares a copy of a large table

    def _table_once(self, training: bool) -> tf.Tensor:
        tables = _tables.get()
        if tables is None or (training and (self.id_dropout or self.modality_dropout)):
            return self.table(training)
        key = id(self), bool(training)
        if key not in tables:
            tables[key] = self.table(training)
        return tables[key]

    def table(self, training: bool = False) -> tf.Tensor:
        """The vectors of all items, float32 [items + 1, dim]."""
        vectors = tf.convert_to_tensor(self.own)
        if training and self._seed_generator:
            kept = keras.random.uniform((self.item_count + 1, 1), seed=self._seed_generator) >= self.id_dropout
            vectors *= tf.cast(kept, vectors.dtype)
        if self.token_count:
            shape = (self.item_count + 1, self.token_count)
            tokens = tf.SparseTensor(tf.convert_to_tensor(self.places), tf.convert_to_tensor(self.shares), shape)
            vectors += tf.sparse.sparse_dense_matmul(tokens, tf.convert_to_tensor(self.token_vectors))
        if self.vector_widths:
            vectors += self.fusion(
                {name: tf.convert_to_tensor(v) for name, v in self.vectors.items()}, training=training
            )
        return tf.pad(vectors[1:], [[1, 0], [0, 0]])

    def compute_output_spec(self, items: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """[..., dim]."""
        return keras.KerasTensor((*items.shape, self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        sizes = ("item_count", "dim", "token_count", "token_uses", "vector_widths")
        return {**super().get_config(), **{name: getattr(self, name) for name in sizes + _OPTIONS}}


@keras.saving.register_keras_serializable("tfllmrec")
class ItemBias(keras.layers.Layer):
    """A trainable bias per item that is added to its scores. int32 of any shape -> float32 of that shape.

    Args:
        item_count: number of items.
    """

    def __init__(self, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count = item_count
        self.bias = self.add_weight(shape=(item_count + 1,), initializer="zeros", name="bias")

    def call(self, items: tf.Tensor) -> tf.Tensor:
        return gather_summing(self.bias, items)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(items.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count}


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
