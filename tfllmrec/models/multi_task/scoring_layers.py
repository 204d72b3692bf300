"""Layers that score items on an index of item vectors, and mask the items of other scenarios."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.multi_task.scenarios import SplitByScenario


class CandidateScores(keras.layers.Layer):
    """Score candidates by the products of query and item vectors, plus the items' biases.

    (float32 [B, D], int32 [B, N]) -> float32 [B, N].

    Args:
        index: vectors and biases of all items.
    """

    def __init__(self, index: ItemIndex) -> None:
        super().__init__()
        self._index = index

    def call(self, query: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Score candidates."""
        biases = tf.cast(tf.gather(tf.convert_to_tensor(self._index.biases), candidates), query.dtype)
        return tf.einsum("bd,bnd->bn", query, self._index(candidates)) + biases

    def compute_output_spec(self, query: keras.KerasTensor, candidates: keras.KerasTensor) -> keras.KerasTensor:
        """Return the spec of the scores [B, N]."""
        return keras.KerasTensor(candidates.shape, "float32")


class PairScores(keras.layers.Layer):
    """Apply a pair head to several candidates a row.

    (query vectors float32 [B, D], users int32 [B], candidates int32 [B, N]) -> float32 [B, N].

    Args:
        index: vectors of all items.
        head: a `tfllmrec.models.multi_task.heads.pair_head`.
    """

    def __init__(self, index: ItemIndex, head: keras.Model) -> None:
        super().__init__()
        self._index, self._head = index, head

    def call(self, query: tf.Tensor, users: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Apply the head."""
        count, items = tf.shape(candidates)[1], tf.reshape(candidates, [-1])
        pairs = {
            "query": tf.repeat(query, count, axis=0),
            "candidate": self._index(items),
            "user": tf.repeat(users, count),
            "item": items,
        }
        return tf.reshape(self._head(pairs, training=False), tf.shape(candidates))

    def compute_output_spec(
        self, query: keras.KerasTensor, users: keras.KerasTensor, candidates: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Return the spec of the outputs [B, N]."""
        return keras.KerasTensor(candidates.shape, "float32")


class AllPairScores(keras.layers.Layer):
    """Apply a pair head to all items, one row at a time: (float32 [B, D], int32 [B]) -> float32 [B, items + 1].

    Args:
        index: vectors of all items.
        head: a `tfllmrec.models.multi_task.heads.pair_head`.
    """

    def __init__(self, index: ItemIndex, head: keras.Model) -> None:
        super().__init__()
        self._items = index.item_count + 1
        self._pairs = PairScores(index, head)

    def call(self, query: tf.Tensor, users: tf.Tensor) -> tf.Tensor:
        """Apply the head."""
        items = tf.range(self._items)[None]
        rows = (query[:, None], users[:, None])
        return tf.map_fn(lambda row: self._pairs(*row, items)[0], rows, fn_output_signature=tf.float32)

    def compute_output_spec(self, query: keras.KerasTensor, users: keras.KerasTensor) -> keras.KerasTensor:
        """Return the spec of the outputs [B, items + 1]."""
        return keras.KerasTensor((query.shape[0], self._items), "float32")


class ScenarioMask(keras.layers.Layer):
    """Replace the scores of items of other scenarios by float32's lowest.

    (float32 [B, items + 1], scenario int32 [B]) -> float32 [B, items + 1]. Unknown scenarios have no items.

    Args:
        split: the layer with the items of every scenario.
    """

    def __init__(self, split: SplitByScenario) -> None:
        super().__init__()
        self._split = split

    def call(self, scores: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """Mask scores."""
        return tf.where(tf.gather(tf.convert_to_tensor(self._split.members), scenario), scores, LOWEST)

    def compute_output_spec(self, scores: keras.KerasTensor, scenario: keras.KerasTensor) -> keras.KerasTensor:
        """Return the spec of the scores."""
        return keras.KerasTensor(scores.shape, "float32")


class CandidateMask(keras.layers.Layer):
    """Replace outputs for candidates of other scenarios by float32's lowest.

    (float32 [B, N], candidates int32 [B, N], scenario int32 [B]) -> float32 [B, N].

    Args:
        split: the layer with the items of every scenario.
    """

    def __init__(self, split: SplitByScenario) -> None:
        super().__init__()
        self._split = split

    def call(self, values: tf.Tensor, candidates: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """Mask outputs."""
        scenarios = tf.broadcast_to(scenario[:, None], tf.shape(candidates))
        inside = tf.gather_nd(tf.convert_to_tensor(self._split.members), tf.stack([scenarios, candidates], axis=-1))
        return tf.where(inside, values, LOWEST)

    def compute_output_spec(self, values: keras.KerasTensor, *_: Any) -> keras.KerasTensor:
        """Return the spec of the outputs [B, N]."""
        return keras.KerasTensor(values.shape, "float32")
