"""The cascade of retrievers and rankers with fixed scores."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.cascade.network import ScoresOfAll, cascade

ITEMS, LENGTH = 6, 4
PADDING = 50.0
"""The score of column 0, which must have no effect."""


class FixedScores(keras.layers.Layer):
    """Return fixed scores [items + 1]; if they are empty, the best item is at the index of the history's sum."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = tf.constant([PADDING, *scores], tf.float32)

    def call(self, history: tf.Tensor) -> tf.Tensor:
        if len(self.scores) == 1:
            return -tf.abs(
                tf.cast(tf.range(ITEMS + 1)[None] - tf.reduce_sum(history, axis=1, keepdims=True), tf.float32)
            )
        return tf.tile(self.scores[None], [tf.shape(history)[0], 1])

    def compute_output_spec(self, history: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((history.shape[0], ITEMS + 1), "float32")


class FixedCandidateScores(keras.layers.Layer):
    """Return fixed scores of candidates."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = tf.constant([0, *scores], tf.float32)

    def call(self, candidates: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.scores, candidates)

    def compute_output_spec(self, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape, "float32")


def retriever(scores: Sequence[float], length: int = LENGTH) -> keras.Model:
    inputs = scoring_inputs(length)
    return keras.Model(inputs, FixedScores(scores)(inputs["history"]))


def ranker(scores: Sequence[float]) -> keras.Model:
    inputs = scoring_inputs(LENGTH) | {"candidates": keras.Input((None,), dtype="int32", name="candidates")}
    return keras.Model(inputs, FixedCandidateScores(scores)(inputs["candidates"]))


def call(model: keras.Model, exclude: Sequence[Sequence[int]] = ((),), history: Sequence[int] = (1,)) -> np.ndarray:
    rows = len(exclude)
    padded = np.array([[*history, *[0] * (model.input["history"].shape[1] - len(history))]] * rows, np.int32)
    width = max(map(len, exclude))
    excluded = np.array([[*row, *[0] * (width - len(row))] for row in exclude], np.int32).reshape(rows, width)
    outputs = model({"user": np.zeros(rows, np.int32), "history": padded, "exclude": excluded})
    for items, left_out in zip(outputs["items"].numpy().tolist(), exclude, strict=True):
        present = [item for item in items if item]
        assert len(present) == len({*present} - {*left_out})
    ranked, scores = outputs["ranked"].numpy(), outputs["scores"].numpy()
    others = scores[:, ranked.shape[1] :]
    np.testing.assert_array_equal(ranked, scores[:, : ranked.shape[1]])
    assert (others <= ranked.min(axis=1, keepdims=True)).all()
    return ScoresOfAll()(outputs["items"], outputs["scores"], outputs["sums"]).numpy()


def order(scores: np.ndarray) -> list[int]:
    """Return the items, best first."""
    return (1 + np.argsort(-scores[1:], kind="stable")).tolist()


def as_array(scores: Sequence[float]) -> np.ndarray:
    return np.array(scores, np.float64)


A, B = [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 6, 5]
"""The scores of items 1 to 6 by two retrievers."""
BOTH = {"history_length": LENGTH, "candidates": 2, "ranked": 4}


def test_the_ranker_orders_the_candidates_of_all_retrievers() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([1, 2, 30, 40, 4, 3]), [1, 1, 10], **BOTH)
    scores = call(model)[0]
    assert order(scores)[:4] == [5, 6, 2, 1]  # 3 and 4 are not candidates
    blended = as_array(A) + as_array(B)
    for item, score in ((1, 1), (2, 2), (5, 4), (6, 3)):
        assert scores[item] == pytest.approx(blended[item - 1] + 10 * score, rel=1e-4)


def test_other_items_follow_in_the_order_of_the_retrievers() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([-9] * 6), [2, 1, 10], **BOTH)
    scores = call(model)[0]
    blended = np.array([PADDING, *(2 * as_array(A) + as_array(B))])
    assert set(order(scores)[:4]) == {1, 2, 5, 6}
    assert scores[[3, 4]].max() < scores[[1, 2, 5, 6]].min()
    assert scores[3] - scores[4] == pytest.approx(blended[3] - blended[4], abs=1e-4)


def test_scores_are_weighted() -> None:
    for weights, expected in (([1, 0, 0], [1, 2, 5, 6]), ([0, 1, 0], [5, 6, 2, 1]), ([0, 0, 1], [6, 5, 2, 1])):
        model = cascade([retriever(A), retriever(B)], ranker([1, 2, 3, 4, 5, 6]), weights, **BOTH)
        assert order(call(model)[0])[:4] == expected


def test_the_ranker_scores_the_candidates_with_the_highest_sums() -> None:
    options = BOTH | {"ranked": 2}
    model = cascade([retriever(A), retriever(B)], ranker([100, 0, 0, 0, 0, 50]), [1, 0.9, 1], **options)
    blended = as_array(A) + 0.9 * as_array(B)
    candidates = [1, 2, 5, 6]
    best = sorted(candidates, key=lambda item: -blended[item - 1])[:2]
    scores = call(model)[0]
    assert set(order(scores)[:2]) == set(best)
    assert order(scores)[2:] == [2, 6, 3, 4]  # the other candidates, then the remaining items


def test_without_a_ranker_the_retrievers_are_merged() -> None:
    model = cascade([retriever(A), retriever(B)], None, [1, 2], **BOTH)
    blended = as_array(A) + 2 * as_array(B)
    scores = call(model)[0]
    for item in (1, 2, 5, 6):
        assert scores[item] == pytest.approx(blended[item - 1], rel=1e-4)
    assert order(scores)[4:] == [4, 3]


def test_parts_may_have_the_same_name() -> None:
    """Loaded models may have."""
    parts = [retriever(scores) for scores in (A, B)]
    same = [keras.Model(part.input, part.output, name="functional") for part in parts]
    scores = [call(cascade(models, None, [1, 2], **BOTH)) for models in (parts, same)]
    np.testing.assert_array_equal(*scores)


def test_excluded_items_are_replaced_by_the_next_ones() -> None:
    """Every row has its own exclusions."""
    model = cascade([retriever(A)], ranker([1, 2, 3, 4, 5, 6]), [1, 100], history_length=LENGTH, candidates=2, ranked=2)
    scores = call(model, [[], [1, 2], [1, 2, 2, 0, 3], [5]])
    ranked = [set(order(row)[:2]) for row in scores]
    assert ranked == [{1, 2}, {3, 4}, {4, 5}, {1, 2}]
    above = [row[sorted(items)] - 100 * np.array(sorted(items)) for row, items in zip(scores, ranked, strict=True)]
    for row, items in zip(above, ranked, strict=True):
        np.testing.assert_allclose(row, as_array(A)[np.array(sorted(items)) - 1], atol=1e-3)
    assert np.isfinite(scores).all()


def test_all_items_may_be_excluded() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([1, 2, 3, 4, 5, 6]), [1, 1, 1], **BOTH)
    scores = call(model, [[1, 2, 3, 4, 5, 6], [2]])
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[0, 1:], as_array(A) + as_array(B), atol=1e-5)  # no item is ranked
    np.testing.assert_allclose(scores[1], call(model, [[2]])[0], rtol=1e-6)


def test_there_may_be_fewer_items_than_candidates() -> None:
    options = {"history_length": LENGTH, "candidates": 100, "ranked": 100}
    model = cascade([retriever(A), retriever(B)], ranker([6, 5, 4, 3, 2, 1]), [0, 0, 1], **options)
    for exclude in ([], [4]):
        scores = call(model, [exclude])[0]
        left = [item for item in range(1, 7) if item not in exclude]
        np.testing.assert_allclose(scores[left], [A[item - 1] for item in left], rtol=1e-5)
        assert np.isfinite(scores).all()


def test_every_part_reads_as_many_newest_items_as_it_can() -> None:
    parts = [retriever([], 1), retriever([], 2)]
    for weights, best in (([1, 0], [2, 3]), ([0, 1], [3, 3])):
        model = cascade(parts, None, weights, history_length=3, candidates=6, ranked=6)
        best_items = [order(call(model, history=history)[0])[0] for history in ([4, 1, 2], [3])]
        assert best_items == best


def test_parts_read_only_stored_user_features() -> None:
    inputs = scoring_inputs(LENGTH, features=2)
    features = keras.ops.cast(keras.ops.sum(inputs["user_features"], axis=1, keepdims=True), "float32")
    scores = FixedScores(A)(inputs["history"]) + features
    model = cascade([keras.Model(inputs, scores)], None, [1], history_length=LENGTH, candidates=6, ranked=6)
    np.testing.assert_array_equal(call(model)[0, 1:], A)


SCORES = arrays.arrays(np.float32, 6, elements=st.integers(-20, 20), unique=True)


@settings(max_examples=25, deadline=None)
@given(
    parts=st.tuples(SCORES, SCORES, SCORES),
    exclude=st.lists(st.integers(0, ITEMS), max_size=7),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    weights=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_scores_equal_numpy(parts: tuple, exclude: list[int], sizes: tuple[int, int], weights: tuple) -> None:
    first, second_part, ranker_scores = parts
    model = cascade(
        [retriever(first), retriever(second_part)],
        ranker(ranker_scores),
        weights,
        history_length=LENGTH,
        candidates=sizes[0],
        ranked=sizes[1],
    )
    scores = call(model, [exclude])[0]
    assert np.isfinite(scores).all()
    left = [item for item in range(1, 7) if item not in exclude]
    blended = np.array([0, *(weights[0] * as_array(first) + weights[1] * as_array(second_part))])
    candidates = {
        item for part in (first, second_part) for item in sorted(left, key=lambda item: -part[item - 1])[: sizes[0]]
    }
    ranked = sorted(candidates, key=lambda item: (-round(blended[item], 4), item))[: sizes[1]]
    if len({round(blended[item], 3) for item in candidates}) < len(candidates):
        return  # rounding decides between equal scores
    expected = {item: blended[item] + weights[2] * ranker_scores[item - 1] for item in ranked}
    for item, score in expected.items():
        assert scores[item] == pytest.approx(score, rel=1e-3, abs=1e-3)
    second = sorted(candidates - {*ranked}, key=lambda item: -blended[item])
    last = [item for item in range(1, 7) if item not in candidates]
    for above, below in ((ranked, second), ([*ranked, *second], last)):
        assert not above or not below or scores[above].min() > scores[below].max()
    assert (np.diff(scores[second]) < 0).all()
