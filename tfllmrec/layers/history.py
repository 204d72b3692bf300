"""Layers and functions that read histories: int32 [B, L], oldest item first, zeros on the right."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("tfllmrec")
class MostRecentFirst(keras.layers.Layer):
    """Reverse a history: most recent item first, zeros still on the right. int32 [B, L] -> [B, L].

    The age of an item is then its position in the row, for any length of the history.

    Example:
        >>> MostRecentFirst()(np.array([[7, 8, 9, 0]])).numpy()
        array([[9, 8, 7, 0]], dtype=int32)
    """

    def call(self, history: tf.Tensor) -> tf.Tensor:
        history = tf.cast(history, tf.int32)
        return tf.reverse_sequence(history, _lengths(history), seq_axis=1)

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(history.shape, "int32")


@keras.saving.register_keras_serializable("tfllmrec")
class HistoryWeights(keras.layers.Layer):
    """Map a history to one weight per item: decay ** age for its most recent items, 0 for all others.

    A repeated item has the weight of its most recent position. int32 [B, L], most recent first -> float32
    [B, items + 1]; column 0 is 0.

    Args:
        item_count: number of items.
        decay: weight of an item relative to the next more recent one; 1 makes the row multi-hot.
        recent_items: number of most recent items with a weight; None for all.
    """

    def __init__(self, item_count: int, decay: float = 1.0, recent_items: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count, self.decay, self.recent_items = item_count, decay, recent_items

    def call(self, history: tf.Tensor) -> tf.Tensor:
        history = history[:, : self.recent_items]
        batch, length = tf.shape(history)[0], tf.shape(history)[1]
        ages = tf.broadcast_to(tf.range(length)[None], [batch, length])
        weights = tf.where(history > 0, self.decay ** tf.cast(ages, tf.float32), 0.0)
        rows = tf.broadcast_to(tf.range(batch)[:, None], [batch, length])
        zeros = tf.zeros([batch, self.item_count + 1])
        return tf.tensor_scatter_nd_max(zeros, tf.stack([rows, history], axis=-1), weights)

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((history.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        names = ("item_count", "decay", "recent_items")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfllmrec")
class LastState(keras.layers.Layer):
    """Select the state after the most recent item of a history; the first state if the history is empty.

    (states float32 [B, L, F], history int32 [B, L]) -> float32 [B, F].
    """

    def call(self, states: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        return tf.gather(states, tf.maximum(_lengths(history) - 1, 0), axis=1, batch_dims=1)

    def compute_output_spec(self, states: keras.KerasTensor, history: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((states.shape[0], states.shape[2]), "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class DecayedMean(keras.layers.Layer):
    """Mean of a history's vectors, weighted by decay ** age.

    (vectors float32 [B, L, D], most recent first, present bool [B, L]) -> float32 [B, D]; zeros for an empty history.

    Args:
        decay: weight of an item relative to the next more recent one; 1 gives all items the same weight.
    """

    def __init__(self, decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decay = decay

    def call(self, vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        weights = self.decay ** np.arange(vectors.shape[1]) * tf.cast(present, vectors.dtype)
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        return tf.math.divide_no_nan(tf.einsum("bl,bld->bd", weights, vectors), total)

    def compute_output_spec(self, vectors: keras.KerasTensor, present: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((vectors.shape[0], vectors.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


def most_recent(items: tf.Tensor, length: int) -> tf.Tensor:
    """Select the most recent items of every row, skipping zeros anywhere in it.

    Args:
        items: item indices int32 [B, any], oldest first; 0 is padding.
        length: number of items L.

    Returns:
        int32 [B, L], oldest first, zeros on the right.

    Example:
        >>> most_recent(tf.constant([[0, 5, 0, 7, 8]]), 2).numpy()
        array([[7, 8]], dtype=int32)
    """
    items = tf.pad(items, [[0, 0], [0, length]])
    ranks = tf.where(items > 0, tf.range(1, tf.shape(items)[1] + 1), 0)
    top_ranks, positions = tf.math.top_k(ranks, length)
    counts = tf.math.count_nonzero(top_ranks, axis=1, dtype=tf.int32)
    return tf.reverse_sequence(tf.gather(items, positions, batch_dims=1), counts, seq_axis=1)


def recency_biases(pooling_heads: int, length: int) -> np.ndarray:
    """Return initial biases for weighted means of a history: logarithms of exponential decays, one rate per head.

    Returns:
        [heads, length]; a softmax over a row weights an item of age a by decay ** a.
    """
    return np.log(np.linspace(0.6, 0.98, pooling_heads))[:, None] * np.arange(length)


def _lengths(history: tf.Tensor) -> tf.Tensor:
    """Return the number of items in each row: [B, L] -> int32 [B]."""
    return tf.reduce_sum(tf.cast(history > 0, tf.int32), axis=1)
