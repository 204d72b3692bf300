"""Layers that read a history: int32 [B, L], oldest item first, zeros on the right."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("tfllmrec")
class NewestFirst(keras.layers.Layer):
    """Turns a history round: newest item first, zeros still on the right. int32 [B, L] -> [B, L].

    Age is then the place in the row, whatever the length of the history.

    Example:
        >>> NewestFirst()(np.array([[7, 8, 9, 0]])).numpy()
        array([[9, 8, 7, 0]], dtype=int32)
    """

    def call(self, history: tf.Tensor) -> tf.Tensor:
        """See the class."""
        history = tf.cast(history, tf.int32)
        return tf.reverse_sequence(history, _lengths(history), seq_axis=1)

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        """The history's own shape."""
        return keras.KerasTensor(history.shape, "int32")


@keras.saving.register_keras_serializable("tfllmrec")
class HistoryWeights(keras.layers.Layer):
    """A history as one weight per item: decay ** age for the newest items, 0 for all others.

    An item that stands twice counts once, at its newest place. int32 [B, L] newest first -> float32
    [B, items + 1]; column 0 is 0.

    Args:
        item_count: items in the catalogue.
        decay: weight of an item relative to the one after it; 1 makes the row multi-hot.
        recent_items: how many of the newest items count; None counts all.
    """

    def __init__(self, item_count: int, decay: float = 1.0, recent_items: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count, self.decay, self.recent_items = item_count, decay, recent_items

    def call(self, history: tf.Tensor) -> tf.Tensor:
        """See the class."""
        history = history[:, : self.recent_items]
        batch, length = tf.shape(history)[0], tf.shape(history)[1]
        ages = tf.broadcast_to(tf.range(length)[None], [batch, length])
        weights = tf.where(history > 0, self.decay ** tf.cast(ages, tf.float32), 0.0)
        rows = tf.broadcast_to(tf.range(batch)[:, None], [batch, length])
        zeros = tf.zeros([batch, self.item_count + 1])
        return tf.tensor_scatter_nd_max(zeros, tf.stack([rows, history], axis=-1), weights)

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor((history.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "item_count": self.item_count,
            "decay": self.decay,
            "recent_items": self.recent_items,
        }


@keras.saving.register_keras_serializable("tfllmrec")
class LastState(keras.layers.Layer):
    """The state after the newest item of a history; the first one where the history is empty.

    (states float32 [B, L, F], history int32 [B, L]) -> float32 [B, F].
    """

    def call(self, states: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.gather(states, tf.maximum(_lengths(history) - 1, 0), axis=1, batch_dims=1)

    def compute_output_spec(self, states: keras.KerasTensor, history: keras.KerasTensor) -> keras.KerasTensor:
        """[B, F]."""
        return keras.KerasTensor((states.shape[0], states.shape[2]), "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class DecayedMean(keras.layers.Layer):
    """The mean of a history's vectors, weighted by decay ** age.

    (vectors float32 [B, L, D] newest first, present bool [B, L]) -> float32 [B, D]; zeros for an empty history.

    Args:
        decay: weight of an item relative to the one after it; 1 weighs all alike.
    """

    def __init__(self, decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decay = decay

    def call(self, vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """See the class."""
        weights = self.decay ** np.arange(vectors.shape[1]) * tf.cast(present, vectors.dtype)
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        return tf.math.divide_no_nan(tf.einsum("bl,bld->bd", weights, vectors), total)

    def compute_output_spec(self, vectors: keras.KerasTensor, present: keras.KerasTensor) -> keras.KerasTensor:
        """[B, D]."""
        return keras.KerasTensor((vectors.shape[0], vectors.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "decay": self.decay}


def newest(items: tf.Tensor, length: int) -> tf.Tensor:
    """The newest items of every row, oldest first, zeros on the right, wherever the row had its zeros.

    Args:
        items: int32 [B, any], oldest first; 0 is nothing.
        length: how many, L.

    Returns:
        int32 [B, L].

    Example:
        >>> newest(tf.constant([[0, 5, 0, 7, 8]]), 2).numpy()
        array([[7, 8]], dtype=int32)
    """
    items = tf.pad(items, [[0, 0], [0, length]])
    there = items > 0
    order, places = tf.math.top_k(tf.where(there, tf.range(1, tf.shape(items)[1] + 1), 0), length)
    counts = tf.math.count_nonzero(order, axis=1, dtype=tf.int32)
    return tf.reverse_sequence(tf.gather(items, places, batch_dims=1), counts, seq_axis=1)


def recency_biases(pooling_heads: int, length: int) -> np.ndarray:
    """What the weighted means of a history start from: logarithms of exponential decays of the age, one a head.

    Returns:
        [heads, length]; a softmax over them weighs an item of age a by decay ** a.
    """
    return np.log(np.linspace(0.6, 0.98, pooling_heads))[:, None] * np.arange(length)


def _lengths(history: tf.Tensor) -> tf.Tensor:
    """Items in each row: [B, L] -> int32 [B]."""
    return tf.reduce_sum(tf.cast(history > 0, tf.int32), axis=1)
