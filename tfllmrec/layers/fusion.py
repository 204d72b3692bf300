"""Gated fusion of the vectors of several modalities (image, audio, text, ...) into one content vector per item."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("tfllmrec")
class ModalityGate(keras.layers.Layer):
    """Weighted mean of an item's modalities, with a softmax over the modalities that are present.

    The logits are a linear function of all modalities. Modality dropout (Neverova et al., 2016, TPAMI) treats
    modalities as missing at random in training.

    (modalities float32 [n, M, D], present bool [n, M]) -> float32 [n, D]; zeros if no modality is present.

    Args:
        dropout: probability that a modality is treated as missing.
        seed: seed of the dropout.
    """

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout, self.seed = dropout, seed
        self._seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, modalities_shape: Any, present_shape: Any) -> None:
        _, count, dim = modalities_shape
        self.kernel = self.add_weight(shape=(count * dim, count), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(count,), initializer="zeros", name="bias")

    def call(self, modalities: tf.Tensor, present: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training and self._seed_generator:
            present &= keras.random.uniform(tf.shape(present), seed=self._seed_generator) >= self.dropout
        _, count, dim = modalities.shape
        mask = tf.cast(present, modalities.dtype)
        modalities *= mask[:, :, None]
        logits = tf.matmul(tf.reshape(modalities, [-1, count * dim]), self.kernel) + self.bias
        weights = tf.nn.softmax(tf.where(present, logits, -1e9)) * mask
        return tf.reduce_sum(weights[:, :, None] * modalities, axis=1)

    def compute_output_spec(
        self, modalities: keras.KerasTensor, present: keras.KerasTensor, training: bool = False
    ) -> keras.KerasTensor:
        return keras.KerasTensor((modalities.shape[0], modalities.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout, "seed": self.seed}


def fusion(widths: Mapping[str, int], dim: int, *, modality_dropout: float = 0.0, std: float = 0.05) -> keras.Model:
    """Build the model that projects modalities to one width, normalises them and gates them into one vector.

    Args:
        widths: width of the vectors by modality.
        dim: width D of the fused vector.
        modality_dropout: see `ModalityGate`.
        std: initial standard deviation of the normalised modalities.

    Returns:
        Model: {name: float32 [n, width]}, zeros for an item without the modality -> float32 [n, D]; zeros for an item
        without any.

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
    fused = ModalityGate(modality_dropout, name="gate")(ops.stack(projected, axis=1), ops.stack(present, axis=1))
    return keras.Model(inputs, fused, name="fusion")
