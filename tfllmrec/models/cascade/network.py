"""Retrieve, merge, rank: several scoring models and a ranker as one scoring model."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.history import MostRecentFirst
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.layers.top_items import LOWEST, top_items


class _Merge(keras.layers.Layer):
    """The best of what any retriever finds, each item once, best first by the weighted sum of their scores.

    (scores float32 [B, items + 1] of every retriever, exclude int32 [B, any]) -> items int32 [B, U], sums float32
    [B, U]; U is all their candidates together, and where there are fewer there is item 0 with float32's lowest.

    Args:
        weights: of the retrievers.
        candidates: how many of the best items of each.
    """

    def __init__(self, weights: Sequence[float], candidates: int) -> None:
        super().__init__()
        self._weights, self._candidates = weights, candidates

    def call(self, found: Sequence[tf.Tensor], exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        items = _without_repeats(tf.concat([self._best(scores, exclude) for scores in found], axis=1))
        pairs = zip(self._weights, found, strict=True)
        sums = tf.add_n([weight * tf.gather(scores, items, batch_dims=1) for weight, scores in pairs])
        sums, order = tf.math.top_k(tf.where(items > 0, sums, LOWEST), items.shape[1])
        return tf.gather(items, order, batch_dims=1), sums

    def _best(self, scores: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        return top_items(scores, exclude, self._count(scores), in_order=False)[0]

    def _count(self, scores: Any) -> int:
        return min(self._candidates, scores.shape[1])

    def compute_output_spec(self, found: Any, exclude: keras.KerasTensor) -> tuple[keras.KerasTensor, ...]:
        shape = (found[0].shape[0], sum(map(self._count, found)))
        return keras.KerasTensor(shape, "int32"), keras.KerasTensor(shape, "float32")


def _without_repeats(items: tf.Tensor) -> tf.Tensor:
    """Rows of items in their order, in which all but the first of equal ones are 0."""
    items = tf.sort(items, axis=1)
    again = tf.pad(items[:, 1:] == items[:, :-1], [[0, 0], [1, 0]])
    return tf.where(again, 0, items)


class _Ranked(keras.layers.Layer):
    """What a ranker adds to the first sums: sums [B, U], added [B, R] -> [B, R]."""

    def call(self, sums: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
        first = sums[:, : added.shape[1]]
        return tf.where(first > LOWEST, first + added, LOWEST)

    def compute_output_spec(self, sums: keras.KerasTensor, added: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(added.shape, "float32")


class _OnTop(keras.layers.Layer):
    """Ranked items, and all others below: ranked [B, R], sums [B, U] -> [B, U]."""

    def call(self, ranked: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        others = sums[:, ranked.shape[1] :]
        return tf.concat([ranked, _below(ranked, others, others)], axis=1)

    def compute_output_spec(self, ranked: keras.KerasTensor, sums: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(sums.shape, "float32")


def _below(first: tf.Tensor, others: tf.Tensor, all_others: tf.Tensor) -> tf.Tensor:
    """Scores [B, any] in their order, the highest of `others` 1 below the least of `first`; LOWEST is nothing."""
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
    """One model: the best items of every retriever, each once, the best of them put in order by all together.

    A ranked item's score is the weighted sum of the retrievers' scores and the ranker's; the other candidates stand
    below them in the order of the retrievers' sum.

    Args:
        retrievers: scoring models of the same items.
        ranker: {"user", "history", "candidates"} -> scores [B, N]; or None, where the retrievers are just merged.
        weights: of the retrievers, and of the ranker.
        history_length: L; a part that reads fewer items gets the newest.
        candidates: items that a retriever finds.
        ranked: items that the ranker scores.

    Returns:
        {"user": int32 [B], "history": int32 [B, L], "exclude": int32 [B, any]} -> {"items": int32 [B, U], "scores":
        float32 [B, U], "ranked": float32 [B, R], "sums": float32 [B, items + 1]}: the candidates of all retrievers, no
        excluded items among them, item 0 with float32's lowest score where there are fewer; the scores of the first R
        alone, all of which stand above the others; and the retrievers' sums for all items.
    """
    inputs = scoring_inputs(history_length) | {"exclude": keras.Input((None,), dtype="int32", name="exclude")}
    found = [_answer(model, inputs, f"retriever_{place}") for place, model in enumerate(retrievers)]
    items, sums = _Merge(weights[: len(found)], candidates)(found, inputs["exclude"])
    scores = first_scores = sums
    if ranker is not None:
        first = items[:, :ranked]
        added = weights[-1] * _answer(ranker, {**inputs, "candidates": first}, "ranker")
        first_scores = _Ranked()(sums, added)
        scores = _OnTop()(first_scores, sums)
    of_all = keras.ops.sum(keras.ops.stack([w * one for w, one in zip(weights, found, strict=False)]), axis=0)
    answer = {"items": items, "scores": scores, "ranked": first_scores, "sums": of_all}
    return keras.Model(inputs, answer, name="cascade")


@keras.saving.register_keras_serializable("tfllmrec")
class ScoresOfAll(keras.layers.Layer):
    """A cascade's answer as scores of all items, those that are no candidates below: float32 [B, items + 1].

    (items int32 [B, U], scores float32 [B, U], sums float32 [B, items + 1]) -> float32 [B, items + 1]; all finite.
    """

    def call(self, items: tf.Tensor, scores: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.broadcast_to(tf.range(tf.shape(items)[0])[:, None], tf.shape(items))
        places = tf.stack([rows, items], axis=-1)
        others = tf.tensor_scatter_nd_update(sums, places, tf.fill(tf.shape(items), LOWEST))
        lower = _below(scores, others[:, 1:], others)
        return tf.tensor_scatter_nd_update(lower, places, tf.where(items > 0, scores, LOWEST))

    def compute_output_spec(
        self, items: keras.KerasTensor, scores: keras.KerasTensor, sums: keras.KerasTensor
    ) -> keras.KerasTensor:
        """[B, items + 1]."""
        return keras.KerasTensor(sums.shape, "float32")


def _answer(model: keras.Model, inputs: dict[str, Any], name: str) -> keras.KerasTensor:
    """A model asked with as much of a history as it reads, and with users' features as they are stored.

    It has a name of its own here: models that were loaded may all have the same one.
    """
    length = model.input["history"].shape[1]
    asked = {part: inputs[part] for part in model.input if part in inputs}
    if length < inputs["history"].shape[1]:
        asked["history"] = MostRecentFirst()(MostRecentFirst()(inputs["history"])[:, :length])
    if "user_features" in model.input:
        width = model.input["user_features"].shape[1]
        asked["user_features"] = keras.ops.tile(keras.ops.zeros_like(inputs["user"])[:, None], (1, width))
    return keras.Model(model.input, model.output, name=name)(asked)
