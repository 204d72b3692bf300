"""Item embeddings and biases: a vector per item id, plus vectors of the item's content."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.layers.fusion import fusion

_OPTIONS = ("token_std", "id_dropout", "modality_dropout")
_tables: ContextVar[dict[tuple[int, bool], tf.Tensor] | None] = ContextVar("tables", default=None)


@contextmanager
def shared_item_tables() -> Iterator[None]:
    """Let every `ItemEmbedding` compute its table of all items once within the block, however often it is called.

    For a training step: histories and candidates are then read from one table, with one gradient for its tokens. An
    embedding with ID or modality dropout still computes a table per training call, because every call samples again.
    """
    token = _tables.set({})
    try:
        yield
    finally:
        _tables.reset(token)


@keras.saving.register_keras_serializable("tfllmrec")
class ItemEmbedding(keras.layers.Layer):
    """Embed items as the sum of an ID vector and of their content's vectors; zeros for item 0.

    Content is the mean of the item's token vectors, which are trained, and fixed vectors of any number of modalities,
    fused into one. int32 of any shape -> float32 [..., dim]. Use one `ItemEmbedding` for the items of histories and
    for the scored items, so that both share a vector space.

    Args:
        item_count: number of items.
        dim: width of the vectors.
        token_count: number of different tokens; 0 for items without tokens.
        token_pairs: number of (item, token) pairs.
        token_std: standard deviation of the initial token vectors.
        vector_widths: width of the content vectors by modality.
        id_dropout: probability that an item's ID vector is dropped in a training call, so that the model learns to
            score items by content alone (Volkovs et al., 2017, NIPS); ignored without content.
        modality_dropout: see `tfllmrec.layers.fusion.ModalityGate`.

    Attributes:
        id_vectors: float32 [items + 1, dim].
        token_vectors: float32 [tokens, dim], if items have tokens.

    Raises:
        InputError: If the dtype policy is another one than float32.
    """

    def __init__(
        self,
        item_count: int,
        dim: int,
        token_count: int = 0,
        token_pairs: int = 0,
        token_std: float = 0.05,
        vector_widths: Mapping[str, int] | None = None,
        id_dropout: float = 0.0,
        modality_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.compute_dtype != "float32":
            raise InputError(
                f"ItemEmbedding computes in float32, not {self.compute_dtype}: build models with layers of tfllmrec "
                'under keras.config.set_dtype_policy("float32")'
            )
        self.item_count, self.dim = item_count, dim
        self.token_count, self.token_pairs, self.token_std = token_count, token_pairs, token_std
        self.vector_widths = dict(vector_widths or {})
        self.id_dropout, self.modality_dropout = id_dropout, modality_dropout
        fixed = {"initializer": "zeros", "trainable": False}
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.id_vectors = self.add_weight(shape=(item_count + 1, dim), initializer=normal, name="id_vectors")
        if token_count:
            self.token_indices = self.add_weight(shape=(token_pairs, 2), dtype="int64", name="token_indices", **fixed)
            self.token_weights = self.add_weight(shape=(token_pairs,), name="token_weights", **fixed)
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
        """Create the embedding of items with tokens, with content vectors, or with both.

        Args:
            dim: width of the item vectors.
            tokens: [items + 1, tokens], non-zero where an item has the token.
            vectors: content vectors of every modality, float32 [items + 1, width]; zeros for an item without one.
            kwargs: further arguments of the class.

        Raises:
            ValueError: If there are neither tokens nor vectors.
        """
        vectors = dict(vectors or {})
        matrices = [*([] if tokens is None else [tokens]), *vectors.values()]
        if not matrices:
            raise ValueError("with_content: pass tokens, vectors, or both")
        if tokens is not None:
            kwargs |= {"token_count": tokens.shape[1], "token_pairs": tokens.nnz}
        widths = {name: matrix.shape[1] for name, matrix in vectors.items()}
        layer = cls(matrices[0].shape[0] - 1, dim, vector_widths=widths, **kwargs)
        if tokens is not None and tokens.nnz:
            counts = np.diff(tokens.indptr)
            rows = np.repeat(np.arange(len(counts)), counts)
            layer.token_indices.assign(np.stack([rows, tokens.indices], axis=1))
            layer.token_weights.assign(1 / counts[rows])
        for name, matrix in vectors.items():
            layer.vectors[name].assign(matrix)
        return layer

    def with_new_items(
        self, *, tokens: scipy.sparse.csr_array | None = None, vectors: Mapping[str, np.ndarray] | None = None
    ) -> Self:
        """Return a copy with the trained weights and with new items, which have zero ID vectors.

        Args:
            tokens: tokens of the new items, [new items + 1, tokens], as in `with_content`; row 0 is ignored.
            vectors: content vectors of the new items by modality, [new items + 1, width].
        """
        if tokens is not None:
            shape = (self.item_count + 1, self.token_count)
            before = scipy.sparse.csr_array(
                (self.token_weights.numpy(), tuple(self.token_indices.numpy().T)), shape=shape
            )
            tokens = scipy.sparse.vstack([before, tokens[1:]], format="csr")
        vectors = {name: np.concatenate([self.vectors[name], new[1:]]) for name, new in (vectors or {}).items()}
        options = {name: getattr(self, name) for name in _OPTIONS}
        layer = self.with_content(self.dim, tokens=tokens, vectors=vectors, **options, name=self.name)
        layer.id_vectors.assign(np.pad(self.id_vectors, [(0, layer.item_count - self.item_count), (0, 0)]))
        if self.token_count:
            layer.token_vectors.assign(self.token_vectors)
        if self.vector_widths:
            layer.fusion.set_weights(self.fusion.get_weights())
        return layer

    def call(self, items: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.token_count or self.vector_widths:
            return tf.gather(self._table_once(training), items)
        vectors = gather_with_dense_gradient(self.id_vectors, items)
        return tf.where(tf.cast(items, tf.bool)[..., None], vectors, 0.0)  # avoids a copy of a large table

    def _table_once(self, training: bool) -> tf.Tensor:
        tables = _tables.get()
        if tables is None or (training and (self.id_dropout or self.modality_dropout)):
            return self.table(training)
        key = id(self), bool(training)
        if key not in tables:
            tables[key] = self.table(training)
        return tables[key]

    def table(self, training: bool = False) -> tf.Tensor:
        """Compute the vectors of all items, float32 [items + 1, dim]."""
        vectors = tf.convert_to_tensor(self.id_vectors)
        if training and self._seed_generator:
            kept = keras.random.uniform((self.item_count + 1, 1), seed=self._seed_generator) >= self.id_dropout
            vectors *= tf.cast(kept, vectors.dtype)
        if self.token_count:
            shape = (self.item_count + 1, self.token_count)
            tokens = tf.SparseTensor(
                tf.convert_to_tensor(self.token_indices), tf.convert_to_tensor(self.token_weights), shape
            )
            vectors += tf.sparse.sparse_dense_matmul(tokens, tf.convert_to_tensor(self.token_vectors))
        if self.vector_widths:
            vectors += self.fusion(
                {name: tf.convert_to_tensor(v) for name, v in self.vectors.items()}, training=training
            )
        return tf.pad(vectors[1:], [[1, 0], [0, 0]])

    def compute_output_spec(self, items: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor((*items.shape, self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        sizes = ("item_count", "dim", "token_count", "token_pairs", "vector_widths")
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
        return gather_with_dense_gradient(self.bias, items)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(items.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count}


def gather_with_dense_gradient(table: Any, indices: tf.Tensor) -> tf.Tensor:
    """Gather rows of a weight so that its gradient is one dense tensor.

    The gradient of `tf.gather` is `tf.IndexedSlices`, of which Adam would square every slice before adding them up.

    Args:
        table: weight [n, ...].
        indices: row indices of any shape.

    Returns:
        [*indices.shape, ...].
    """

    @tf.custom_gradient
    def dense(table: tf.Tensor) -> Any:
        return tf.identity(table), tf.convert_to_tensor

    return tf.gather(dense(tf.convert_to_tensor(table)), indices)
