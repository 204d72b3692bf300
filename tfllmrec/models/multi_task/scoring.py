"""What a fitted joint model is asked, over a table of item vectors: candidates, all items, or a scenario's."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.scoring import ItemIndex
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.multi_task.scenarios import HistoriesApart


class CandidateScores(keras.layers.Layer):
    """Scores of candidates: the products of query vectors with theirs, and their biases.

    (float32 [B, D], int32 [B, N]) -> float32 [B, N].

    Args:
        index: vectors and biases of all items.
    """

    def __init__(self, index: ItemIndex) -> None:
        super().__init__()
        self._index = index

    def call(self, query: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """See the class."""
        biases = tf.cast(tf.gather(tf.convert_to_tensor(self._index.biases), candidates), query.dtype)
        return tf.einsum("bd,bnd->bn", query, self._index(candidates)) + biases

    def compute_output_spec(self, query: keras.KerasTensor, candidates: keras.KerasTensor) -> keras.KerasTensor:
        """[B, N]."""
        return keras.KerasTensor(candidates.shape, "float32")


class OnlyMembers(keras.layers.Layer):
    """What is said of candidates that a scenario has, and float32's lowest for others.

    (float32 [B, N], candidates int32 [B, N], scenario int32 [B]) -> float32 [B, N].

    Args:
        apart: knows which items every scenario has.
    """

    def __init__(self, apart: HistoriesApart) -> None:
        super().__init__()
        self._apart = apart

    def call(self, said: tf.Tensor, candidates: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """See the class."""
        where = tf.broadcast_to(scenario[:, None], tf.shape(candidates))
        inside = tf.gather_nd(tf.convert_to_tensor(self._apart.members), tf.stack([where, candidates], axis=-1))
        return tf.where(inside, said, LOWEST)

    def compute_output_spec(self, said: keras.KerasTensor, *_: Any) -> keras.KerasTensor:
        """[B, N]."""
        return keras.KerasTensor(said.shape, "float32")


class Pairs(keras.layers.Layer):
    """A pair head asked for several candidates a row.

    (vectors of users float32 [B, D], users int32 [B], candidates int32 [B, N]) -> float32 [B, N].

    Args:
        index: vectors of all items.
        head: a `tfllmrec.models.multi_task.network.pair_head`.
    """

    def __init__(self, index: ItemIndex, head: keras.Model) -> None:
        super().__init__()
        self._index, self._head = index, head

    def call(self, query: tf.Tensor, users: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """See the class."""
        count, items = tf.shape(candidates)[1], tf.reshape(candidates, [-1])
        flat = {
            "query": tf.repeat(query, count, axis=0),
            "candidate": self._index(items),
            "user": tf.repeat(users, count),
            "item": items,
        }
        return tf.reshape(self._head(flat, training=False), tf.shape(candidates))

    def compute_output_spec(
        self, query: keras.KerasTensor, users: keras.KerasTensor, candidates: keras.KerasTensor
    ) -> keras.KerasTensor:
        """[B, N]."""
        return keras.KerasTensor(candidates.shape, "float32")


class PairsOfAll(keras.layers.Layer):
    """A pair head asked for all items of an index, a user at a time: (float32 [B, D], int32 [B]) -> [B, items + 1].

    Args:
        index: vectors of all items.
        head: a `tfllmrec.models.multi_task.network.pair_head`.
    """

    def __init__(self, index: ItemIndex, head: keras.Model) -> None:
        super().__init__()
        self._items = index.item_count + 1
        self._pairs = Pairs(index, head)

    def call(self, query: tf.Tensor, users: tf.Tensor) -> tf.Tensor:
        """See the class."""
        items = tf.range(self._items)[None]
        asked = (query[:, None], users[:, None])
        return tf.map_fn(lambda one: self._pairs(*one, items)[0], asked, fn_output_signature=tf.float32)

    def compute_output_spec(self, query: keras.KerasTensor, users: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor((query.shape[0], self._items), "float32")
