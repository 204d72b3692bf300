"""The cascade network: several scoring models and a ranker as one scoring model."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.history import MostRecentFirst
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.layers.top_items import LOWEST, top_items


class _MergedCandidates(keras.layers.Layer):
    """Merge the best items of all retrievers without repeats, ordered by the weighted sum of their scores.

    Maps scores float32 [B, items + 1] of every retriever and exclude int32 [B, any] to items int32 [B, U] and sums
    float32 [B, U]. U is the number of candidates of all retrievers; unused positions have item 0 and float32's lowest.

    Args:
        weights: weights of the retrievers.
        candidates: items of every retriever.
    """

    def __init__(self, weights: Sequence[float], candidates: int) -> None:
        super().__init__()
        self._weights, self._candidates = weights, candidates

    def call(self, retrieved: Sequence[tf.Tensor], exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        items = _without_repeats(tf.concat([self._best(scores, exclude) for scores in retrieved], axis=1))
        pairs = zip(self._weights, retrieved, strict=True)
        sums = tf.add_n([weight * tf.gather(scores, items, batch_dims=1) for weight, scores in pairs])
        sums, order = tf.math.top_k(tf.where(items > 0, sums, LOWEST), items.shape[1])
        return tf.gather(items, order, batch_dims=1), sums

    def _best(self, scores: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        return top_items(scores, exclude, self._count(scores), in_order=False)[0]

    def _count(self, scores: Any) -> int:
        return min(self._candidates, scores.shape[1])

    def compute_output_spec(self, retrieved: Any, exclude: keras.KerasTensor) -> tuple[keras.KerasTensor, ...]:
        shape = (retrieved[0].shape[0], sum(map(self._count, retrieved)))
        return keras.KerasTensor(shape, "int32"), keras.KerasTensor(shape, "float32")


def _without_repeats(items: tf.Tensor) -> tf.Tensor:
    """Sort the items of every row, and replace repeats by 0."""
    items = tf.sort(items, axis=1)
    repeated = tf.pad(items[:, 1:] == items[:, :-1], [[0, 0], [1, 0]])
    return tf.where(repeated, 0, items)


class _RankedScores(keras.layers.Layer):
    """Add the ranker's scores to the first sums: sums [B, U] and added [B, R] to [B, R]."""

    def call(self, sums: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
        first = sums[:, : added.shape[1]]
        return tf.where(first > LOWEST, first + added, LOWEST)

    def compute_output_spec(self, sums: keras.KerasTensor, added: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(added.shape, "float32")


class _CandidateScores(keras.layers.Layer):
    """Shift the sums of other candidates below the ranked scores: ranked [B, R] and sums [B, U] to [B, U]."""

    def call(self, ranked: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        others = sums[:, ranked.shape[1] :]
        return tf.concat([ranked, _below(ranked, others, others)], axis=1)

    def compute_output_spec(self, ranked: keras.KerasTensor, sums: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(sums.shape, "float32")


def _below(first: tf.Tensor, others: tf.Tensor, all_others: tf.Tensor) -> tf.Tensor:
    """Shift scores so that the highest of `others` is 1 below the lowest of `first`; LOWEST marks empty positions."""
    least = tf.reduce_min(tf.where(first > LOWEST, first, tf.float32.max), axis=1, keepdims=True)
    highest = tf.reduce_max(tf.pad(others, [[0, 0], [0, 1]], constant_values=LOWEST), axis=1, keepdims=True)
    shift = tf.where((least < tf.float32.max) & (highest > LOWEST), least - 1 - highest, 0.0)
    return tf.where(all_others > LOWEST, all_others + shift, LOWEST)


def cascade(
    retrievers: Sequence[keras.Model],
    ranker: keras.Model | None,
    weights: Sequence[float],
    *,
    history_length: int,
    candidates: int,
    ranked: int,
) -> keras.Model:
    """Build one model that retrieves, merges and ranks.

    The score of a ranked item is the weighted sum of the scores of retrievers and ranker. The other candidates follow
    in the order of the retrievers' weighted sum.

    Args:
        retrievers: scoring models of the same items.
        ranker: a model of {"user", "history", "candidates"} to scores [B, N], or None to merge the retrievers alone.
        weights: weights of the retrievers and of the ranker.
        history_length: length of histories, L; parts that read fewer items get the most recent ones.
        candidates: items of every retriever.
        ranked: candidates that the ranker scores.

    Returns:
        A model of {"user": int32 [B], "history": int32 [B, L], "exclude": int32 [B, any]} to
        - "items": int32 [B, U], the candidates without excluded items, best first by the retrievers; 0 is padding.
        - "scores": float32 [B, U], their scores; float32's lowest for padding.
        - "ranked": float32 [B, R], the scores of the first R candidates, which are above those of the others.
        - "sums": float32 [B, items + 1], the weighted sums of the retrievers for all items.
    """
    inputs = scoring_inputs(history_length) | {"exclude": keras.Input((None,), dtype="int32", name="exclude")}
    retrieved = [_call_part(model, inputs, f"retriever_{number}") for number, model in enumerate(retrievers)]
    items, sums = _MergedCandidates(weights[: len(retrieved)], candidates)(retrieved, inputs["exclude"])
    scores = first_scores = sums
    if ranker is not None:
        first = items[:, :ranked]
        added = weights[-1] * _call_part(ranker, {**inputs, "candidates": first}, "ranker")
        first_scores = _RankedScores()(sums, added)
        scores = _CandidateScores()(first_scores, sums)
    weighted = [weight * scores for weight, scores in zip(weights, retrieved, strict=False)]
    all_sums = keras.ops.sum(keras.ops.stack(weighted), axis=0)
    outputs = {"items": items, "scores": scores, "ranked": first_scores, "sums": all_sums}
    return keras.Model(inputs, outputs, name="cascade")


@keras.saving.register_keras_serializable("tfllmrec")
class ScoresOfAll(keras.layers.Layer):
    """Extend the scores of candidates to all items; other items are below the candidates.

    Maps items int32 [B, U], scores float32 [B, U] and sums float32 [B, items + 1] to finite scores float32
    [B, items + 1].
    """

    def call(self, items: tf.Tensor, scores: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        rows = tf.broadcast_to(tf.range(tf.shape(items)[0])[:, None], tf.shape(items))
        positions = tf.stack([rows, items], axis=-1)
        others = tf.tensor_scatter_nd_update(sums, positions, tf.fill(tf.shape(items), LOWEST))
        lower = _below(scores, others[:, 1:], others)
        return tf.tensor_scatter_nd_update(lower, positions, tf.where(items > 0, scores, LOWEST))

    def compute_output_spec(
        self, items: keras.KerasTensor, scores: keras.KerasTensor, sums: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(sums.shape, "float32")


def _call_part(model: keras.Model, inputs: dict[str, Any], name: str) -> keras.KerasTensor:
    """Call a part with the most recent items that it reads and the stored user features.

    The part is renamed, because loaded models may all have the same name.
    """
    length = model.input["history"].shape[1]
    part_inputs = {part: inputs[part] for part in model.input if part in inputs}
    if length < inputs["history"].shape[1]:
        part_inputs["history"] = MostRecentFirst()(MostRecentFirst()(inputs["history"])[:, :length])
    if "user_features" in model.input:
        width = model.input["user_features"].shape[1]
        part_inputs["user_features"] = keras.ops.tile(keras.ops.zeros_like(inputs["user"])[:, None], (1, width))
    return keras.Model(model.input, model.output, name=name)(part_inputs)
