"""Vectors of several modalities (image, audio, text, ...) fused into one content vector an item."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("tfllmrec")
class Gate(keras.layers.Layer):
    """A weighted mean of an item's modalities; the weights are a softmax over those that it has.

    How much a modality counts is a linear function of all of them. In training each is now and then taken for
    missing, so that no other comes to rely on it (modality dropout; Neverova et al., 2016, TPAMI).

    (modalities float32 [n, M, D], present bool [n, M]) -> float32 [n, D]; zeros where none is present.

    Args:
        dropout: the chance of a modality to be taken for missing.
        seed: of the dropout.
    """

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout, self.seed = dropout, seed
        self._seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, modalities_shape: Any, present_shape: Any) -> None:
        """Linear weights of M modalities of width D; zeros, so that all count the same at first."""
        _, count, dim = modalities_shape
        self.kernel = self.add_weight(shape=(count * dim, count), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(count,), initializer="zeros", name="bias")

    def call(self, modalities: tf.Tensor, present: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        if training and self._seed_generator:
            present &= keras.random.uniform(tf.shape(present), seed=self._seed_generator) >= self.dropout
        _, count, dim = modalities.shape
        there = tf.cast(present, modalities.dtype)
        modalities *= there[:, :, None]
        logits = tf.matmul(tf.reshape(modalities, [-1, count * dim]), self.kernel) + self.bias
        weights = tf.nn.softmax(tf.where(present, logits, -1e9)) * there
        return tf.reduce_sum(weights[:, :, None] * modalities, axis=1)

    def compute_output_spec(
        self, modalities: keras.KerasTensor, present: keras.KerasTensor, training: bool = False
    ) -> keras.KerasTensor:
        """[n, D]."""
        return keras.KerasTensor((modalities.shape[0], modalities.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "dropout": self.dropout, "seed": self.seed}


def fusion(widths: Mapping[str, int], dim: int, *, modality_dropout: float = 0.0, std: float = 0.05) -> keras.Model:
    """Modalities projected to one width, normalised, and gated into one vector.

    Args:
        widths: the modalities by name and how wide their vectors are.
        dim: width D of what comes out.
        modality_dropout: see `Gate`.
        std: standard deviation of what a modality comes to at the start.

    Returns:
        {name: float32 [n, width]}, zeros where an item has no such vector -> float32 [n, D]; zeros for an item that
        has none at all.

    Example:
        >>> fusion({"image": 512, "text": 384}, 64).output.shape
        (None, 64)
    """
    inputs = {name: keras.Input((width,), name=name) for name, width in widths.items()}
    projected, present = [], []
    scale = keras.initializers.Constant(std)
    for name, vectors in inputs.items():
        unit = keras.layers.UnitNormalization()(vectors)
        projection = keras.layers.Dense(dim, name=f"{name}_projection")(unit)
        normalised = keras.layers.LayerNormalization(epsilon=1e-6, gamma_initializer=scale, name=f"{name}_normalised")
        projected.append(normalised(projection))
        present.append(ops.any(vectors != 0, axis=1))
    fused = Gate(modality_dropout, name="gate")(ops.stack(projected, axis=1), ops.stack(present, axis=1))
    return keras.Model(inputs, fused, name="fusion")
