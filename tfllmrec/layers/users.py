"""Layers that read users' features: int32 [B, F], 0 where nothing is known."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.items import gather_summing


@keras.saving.register_keras_serializable("tfllmrec")
class StoredFeatures(keras.layers.Layer):
    """The features of known users, unless others are given.

    (users int32 [B], given int32 [B, F]) -> int32 [B, F].

    Args:
        user_count: known users.
        columns: features a user has at most, F.
    """

    def __init__(self, user_count: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_count, self.columns = user_count, columns
        shape = (user_count + 1, columns)
        self.stored = self.add_weight(shape=shape, dtype=_INDEX, initializer="zeros", trainable=False, name="stored")

    @classmethod
    def of(cls, stored: np.ndarray, **kwargs: Any) -> Self:
        """The layer of a table [users + 1, F]; row 0, the unknown user's, is zeros."""
        layer = cls(stored.shape[0] - 1, stored.shape[1], **kwargs)
        layer.stored.assign(stored)
        return layer

    def call(self, users: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """See the class."""
        stored = tf.cast(tf.gather(tf.convert_to_tensor(self.stored), users), tf.int32)
        return tf.where(tf.reduce_any(given > 0, axis=1, keepdims=True), given, stored)

    def compute_output_spec(self, users: keras.KerasTensor, given: keras.KerasTensor) -> keras.KerasTensor:
        """[B, F]."""
        return keras.KerasTensor(given.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "user_count": self.user_count, "columns": self.columns}


@keras.saving.register_keras_serializable("tfllmrec")
class FeatureMean(keras.layers.Layer):
    """The mean of the vectors of a user's features: int32 [B, F] -> float32 [B, D]; zeros where nothing is known.

    Args:
        feature_count: different features.
        dim: width D of their vectors.
    """

    def __init__(self, feature_count: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.feature_count, self.dim = feature_count, dim
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.vectors = self.add_weight(shape=(feature_count + 1, dim), initializer=normal, name="vectors")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """See the class."""
        known = tf.cast(features > 0, tf.float32)[..., None]
        vectors = gather_summing(self.vectors, features) * known  # many users share a feature
        return tf.math.divide_no_nan(tf.reduce_sum(vectors, axis=1), tf.reduce_sum(known, axis=1))

    def compute_output_spec(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """[B, D]."""
        return keras.KerasTensor((features.shape[0], self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "feature_count": self.feature_count, "dim": self.dim}


@keras.saving.register_keras_serializable("tfllmrec")
class SegmentPopularity(keras.layers.Layer):
    """What is popular with users who share a feature: log(1 + their interactions with every item).

    A segment counts as if a thousand of everybody's interactions were its own, so that a small one differs little from
    all. (features int32 [B, F]) -> float32 [B, items + 1]; where a user has none of the segments' features, what is
    popular with everybody, and of several segments the last counts.

    Args:
        segment_count: features that make a segment.
        feature_count: different features of any kind.
        item_count: items in the catalogue.
    """

    def __init__(self, segment_count: int, feature_count: int, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segment_count, self.feature_count, self.item_count = segment_count, feature_count, item_count
        fixed = {"initializer": "zeros", "trainable": False}
        self.segments = self.add_weight(shape=(feature_count + 1,), dtype=_INDEX, name="segments", **fixed)
        self.popularity = self.add_weight(shape=(segment_count + 1, item_count + 1), name="popularity", **fixed)

    @classmethod
    def of(cls, counts: np.ndarray, features: np.ndarray, feature_count: int, **kwargs: Any) -> Self:
        """The layer of interactions by segment.

        Args:
            counts: interactions of everybody in row 0 and of the segments in the others, [segments + 1, items + 1].
            features: the feature that makes a segment, int32 [segments].
            feature_count: different features of any kind.
            kwargs: for `keras.layers.Layer`.
        """
        layer = cls(len(features), feature_count, counts.shape[1] - 1, **kwargs)
        segments = np.zeros(feature_count + 1, np.int64)
        segments[features] = np.arange(1, len(features) + 1)
        layer.segments.assign(segments)
        everybody = counts[0] / max(counts[0].sum(), 1)
        smoothed = np.concatenate([counts[:1], counts[1:] + _PRIOR * everybody])
        layer.popularity.assign(np.log1p(smoothed))
        return layer

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """See the class."""
        segment = tf.reduce_max(tf.gather(tf.convert_to_tensor(self.segments), features), axis=1)
        return tf.gather(tf.convert_to_tensor(self.popularity), segment)

    def compute_output_spec(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor((features.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("segment_count", "feature_count", "item_count")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


_PRIOR = 1000  # interactions
_INDEX = "int64"  # TensorFlow has no int32 variables on a GPU, and a compiled core wants all in one place
