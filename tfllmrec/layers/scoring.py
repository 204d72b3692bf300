"""Inputs of scoring models, popularity scores, and the fallback for empty histories.

Scores are float32 [B, items + 1]; column 0 belongs to the padding.
"""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf


def scoring_inputs(history_length: int, features: int = 0) -> dict[str, keras.KerasTensor]:
    """Create the inputs of a scoring model: "user" int32 [B], "history" int32 [B, L] and optional user features.

    Args:
        history_length: L.
        features: maximum number of features per user, F; 0 for a model that reads none, otherwise there is an input
            "user_features" int32 [B, F].
    """
    inputs = {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((history_length,), dtype="int32", name="history"),
    }
    if features:
        inputs["user_features"] = keras.Input((features,), dtype="int32", name="user_features")
    return inputs


@keras.saving.register_keras_serializable("tfllmrec")
class PopularityScores(keras.layers.Layer):
    """Score items by log(1 + interactions), the same for every user. history [B, L] -> float32 [B, items + 1].

    Args:
        item_count: number of items.
    """

    def __init__(self, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count = item_count
        self.popularity = self.add_weight(
            shape=(item_count + 1,), initializer="zeros", trainable=False, name="popularity"
        )

    def set_counts(self, counts: np.ndarray) -> Self:
        """Set the number of interactions of every item, [items + 1], and return the layer."""
        self.popularity.assign(np.log1p(counts))
        return self

    def call(self, history: tf.Tensor) -> tf.Tensor:
        return tf.tile(self.popularity[None], [tf.shape(history)[0], 1])

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((history.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class FallbackIfEmpty(keras.layers.Layer):
    """Replace the scores of empty histories by fallback scores.

    (scores [B, items + 1], fallback [B, items + 1], history [B, L]) -> float32 [B, items + 1].
    """

    def call(self, scores: tf.Tensor, fallback: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reduce_any(history > 0, axis=1, keepdims=True), scores, fallback)

    def compute_output_spec(
        self, scores: keras.KerasTensor, fallback: keras.KerasTensor, history: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(scores.shape, "float32")
