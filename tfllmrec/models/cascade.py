"""Retrieve, merge, rank: several scoring models and a ranker as one scoring model."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.models.history import NewestFirst
from tfllmrec.models.scoring import scoring_inputs
from tfllmrec.models.top_items import LOWEST, exclude_items


@keras.saving.register_keras_serializable("tfllmrec")
class Standardise(keras.layers.Layer):
    """Scores of all items with mean 0 and deviation 1 in a row, so that those of several models can be added.

    float32 [B, items + 1] -> the same; the padding's column does not count.
    """

    def call(self, scores: tf.Tensor) -> tf.Tensor:
        """See the class."""
        mean, variance = tf.nn.moments(scores[:, 1:], axes=[1], keepdims=True)
        return (scores - mean) * tf.math.rsqrt(variance + 1e-12)

    def compute_output_spec(self, scores: keras.KerasTensor) -> keras.KerasTensor:
        """The scores' own shape."""
        return keras.KerasTensor(scores.shape, "float32")


class _Merge(keras.layers.Layer):
    """The best of what any retriever finds: scores [B, items + 1] of each, their weighted sum -> int32 [B, ranked].

    Args:
        candidates: how many of the best items of every retriever.
        ranked: how many of them all by the weighted sum; 0 where there are fewer.
    """

    def __init__(self, candidates: int, ranked: int) -> None:
        super().__init__()
        self._candidates, self._ranked = candidates, ranked

    def call(self, found: Sequence[tf.Tensor], blended: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        count = min(self._candidates, blended.shape[1])
        there = tf.zeros_like(blended, tf.bool)
        for scores in found:
            available = exclude_items(scores, exclude)
            least = tf.math.top_k(available, count).values[:, -1:]
            there |= (available >= least) & (available > LOWEST)
        values, items = tf.math.top_k(tf.where(there, blended, LOWEST), min(self._ranked, blended.shape[1]))
        return tf.where(values > LOWEST, items, 0)

    def compute_output_spec(
        self, found: Any, blended: keras.KerasTensor, exclude: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor((blended.shape[0], min(self._ranked, blended.shape[1])), "int32")


class _OnTop(keras.layers.Layer):
    """Ranked items above all others: scores of all [B, items + 1], items [B, N], what a ranker adds to them [B, N]."""

    def call(self, scores: tf.Tensor, items: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
        there = items > 0
        ranked = tf.gather(scores, items, batch_dims=1) + added
        rows = tf.broadcast_to(tf.range(tf.shape(items)[0])[:, None], tf.shape(items))
        places = tf.stack([rows, items], axis=-1)
        others = tf.tensor_scatter_nd_update(scores, places, tf.fill(tf.shape(items), LOWEST))
        least = tf.reduce_min(tf.where(there, ranked, tf.float32.max), axis=1, keepdims=True)
        highest = tf.reduce_max(others[:, 1:], axis=1, keepdims=True)
        below = tf.where((highest > LOWEST) & (least < tf.float32.max), least - 1 - highest, 0.0)
        lower = tf.where(others > LOWEST, others + below, 0.0)
        return tf.tensor_scatter_nd_update(lower, places, tf.where(there, ranked, 0.0))

    def compute_output_spec(
        self, scores: keras.KerasTensor, items: keras.KerasTensor, added: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(scores.shape, "float32")


def cascade(
    retrievers: Sequence[keras.Model],
    ranker: keras.Model | None,
    weights: Sequence[float],
    *,
    history_length: int,
    candidates: int,
    ranked: int,
) -> keras.Model:
    """One scoring model: the best items of every retriever, merged, the best of them put in order by all together.

    A ranked item's score is the weighted sum of the retrievers' scores, `Standardise`d, and of the ranker's; all
    others stand below them in the order of the retrievers' sum.

    Args:
        retrievers: scoring models of the same items.
        ranker: {"user", "history", "candidates"} -> scores [B, N]; or None, where the retrievers are just merged.
        weights: of the retrievers, and of the ranker.
        history_length: L; a part that reads fewer items gets the newest.
        candidates: items that a retriever finds.
        ranked: items that the ranker scores.

    Returns:
        {"user": int32 [B], "history": int32 [B, L], "exclude": int32 [B, any]} -> float32 [B, items + 1]; excluded
        items take no place among the candidates.
    """
    inputs = scoring_inputs(history_length) | {"exclude": keras.Input((None,), dtype="int32", name="exclude")}
    found = [Standardise()(_answer(model, inputs)) for model in retrievers]
    blended = sum(weight * scores for weight, scores in zip(weights, found, strict=False))
    items = _Merge(candidates, ranked)(found, blended, inputs["exclude"])
    added = keras.ops.zeros_like(items, "float32")
    if ranker is not None:
        added = weights[-1] * _answer(ranker, {**inputs, "candidates": items})
    return keras.Model(inputs, _OnTop()(blended, items, added))


def _answer(model: keras.Model, inputs: dict[str, Any]) -> keras.KerasTensor:
    """A model asked with as much of a history as it reads, and with users' features as they are stored."""
    length = model.input["history"].shape[1]
    asked = {name: inputs[name] for name in model.input if name in inputs}
    asked["history"] = NewestFirst()(NewestFirst()(inputs["history"])[:, :length])
    if "user_features" in model.input:
        width = model.input["user_features"].shape[1]
        asked["user_features"] = keras.ops.tile(keras.ops.zeros_like(inputs["user"])[:, None], (1, width))
    return model(asked)
