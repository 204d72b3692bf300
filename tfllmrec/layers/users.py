"""Layers that read user features: int32 [B, F], padded with 0."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.items import gather_with_dense_gradient


@keras.saving.register_keras_serializable("tfllmrec")
class StoredFeatures(keras.layers.Layer):
    """Return the features of the request, or the stored features of the user if the request has none.

    (users int32 [B], features int32 [B, F]) -> int32 [B, F].

    Args:
        user_count: number of known users.
        columns: maximum number of features per user, F.
    """

    def __init__(self, user_count: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_count, self.columns = user_count, columns
        shape = (user_count + 1, columns)
        self.stored = self.add_weight(shape=shape, dtype=_INDEX, initializer="zeros", trainable=False, name="stored")

    @classmethod
    def from_table(cls, stored: np.ndarray, **kwargs: Any) -> Self:
        """Create the layer of a table [users + 1, F]; row 0 belongs to unknown users and is zeros."""
        layer = cls(stored.shape[0] - 1, stored.shape[1], **kwargs)
        layer.stored.assign(stored)
        return layer

    def call(self, users: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        stored = tf.cast(tf.gather(tf.convert_to_tensor(self.stored), users), tf.int32)
        return tf.where(tf.reduce_any(features > 0, axis=1, keepdims=True), features, stored)

    def compute_output_spec(self, users: keras.KerasTensor, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(features.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "user_count": self.user_count, "columns": self.columns}


@keras.saving.register_keras_serializable("tfllmrec")
class FeatureMean(keras.layers.Layer):
    """Mean of the trainable vectors of a user's features: int32 [B, F] -> float32 [B, D]; zeros without features.

    Args:
        feature_count: number of different features.
        dim: width D of the vectors.
    """

    def __init__(self, feature_count: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.feature_count, self.dim = feature_count, dim
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.vectors = self.add_weight(shape=(feature_count + 1, dim), initializer=normal, name="vectors")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        known = tf.cast(features > 0, tf.float32)[..., None]
        vectors = gather_with_dense_gradient(self.vectors, features) * known
        return tf.math.divide_no_nan(tf.reduce_sum(vectors, axis=1), tf.reduce_sum(known, axis=1))

    def compute_output_spec(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((features.shape[0], self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_count": self.feature_count, "dim": self.dim}


@keras.saving.register_keras_serializable("tfllmrec")
class SegmentPopularity(keras.layers.Layer):
    """Score items by their popularity in the user's segment: log(1 + interactions of the segment with the item).

    A segment is the users who share a feature. The counts of a segment are smoothed with 1,000 interactions distributed
    as those of all users, so that a small segment stays close to the overall popularity.
    features int32 [B, F] -> float32 [B, items + 1]. A user without a segment gets the popularity among all users; a
    user with several segments gets that of the highest-numbered one.

    Args:
        segment_count: number of features that define a segment.
        feature_count: number of different features.
        item_count: number of items.
    """

    def __init__(self, segment_count: int, feature_count: int, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segment_count, self.feature_count, self.item_count = segment_count, feature_count, item_count
        fixed = {"initializer": "zeros", "trainable": False}
        self.segments = self.add_weight(shape=(feature_count + 1,), dtype=_INDEX, name="segments", **fixed)
        self.popularity = self.add_weight(shape=(segment_count + 1, item_count + 1), name="popularity", **fixed)

    @classmethod
    def from_counts(cls, counts: np.ndarray, features: np.ndarray, feature_count: int, **kwargs: Any) -> Self:
        """Create the layer from counts of interactions.

        Args:
            counts: interactions of all users in row 0 and of each segment in the other rows, [segments + 1, items + 1].
            features: the feature of each segment, int32 [segments].
            feature_count: number of different features.
            kwargs: arguments of `keras.layers.Layer`.
        """
        layer = cls(len(features), feature_count, counts.shape[1] - 1, **kwargs)
        segments = np.zeros(feature_count + 1, np.int64)
        segments[features] = np.arange(1, len(features) + 1)
        layer.segments.assign(segments)
        overall = counts[0] / max(counts[0].sum(), 1)
        smoothed = np.concatenate([counts[:1], counts[1:] + _PRIOR * overall])
        layer.popularity.assign(np.log1p(smoothed))
        return layer

    def call(self, features: tf.Tensor) -> tf.Tensor:
        segment = tf.reduce_max(tf.gather(tf.convert_to_tensor(self.segments), features), axis=1)
        return tf.gather(tf.convert_to_tensor(self.popularity), segment)

    def compute_output_spec(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((features.shape[0], self.item_count + 1), "float32")

    def get_config(self) -> dict[str, Any]:
        names = ("segment_count", "feature_count", "item_count")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


_PRIOR = 1000  # interactions
_INDEX = "int64"  # TensorFlow has no int32 variables on a GPU, and XLA requires all variables on one device
