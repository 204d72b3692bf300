"""Retrieve, merge, rank: known answers of retrievers and rankers that are told what to say."""

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
"""What retrievers say of column 0, which must not matter."""


class Told(keras.layers.Layer):
    """The same scores for everybody, [items + 1]; without any, the item whose number is the history's sum is best."""

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


class Picked(keras.layers.Layer):
    """What is said of items, for candidates."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = tf.constant([0, *scores], tf.float32)

    def call(self, candidates: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.scores, candidates)

    def compute_output_spec(self, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape, "float32")


def retriever(scores: Sequence[float], length: int = LENGTH) -> keras.Model:
    inputs = scoring_inputs(length)
    return keras.Model(inputs, Told(scores)(inputs["history"]))


def ranker(scores: Sequence[float]) -> keras.Model:
    inputs = scoring_inputs(LENGTH) | {"candidates": keras.Input((None,), dtype="int32", name="candidates")}
    return keras.Model(inputs, Picked(scores)(inputs["candidates"]))


def ask(model: keras.Model, exclude: Sequence[Sequence[int]] = ((),), history: Sequence[int] = (1,)) -> np.ndarray:
    rows = len(exclude)
    padded = np.array([[*history, *[0] * (model.input["history"].shape[1] - len(history))]] * rows, np.int32)
    width = max(map(len, exclude))
    excluded = np.array([[*row, *[0] * (width - len(row))] for row in exclude], np.int32).reshape(rows, width)
    found = model({"user": np.zeros(rows, np.int32), "history": padded, "exclude": excluded})
    for items, left_out in zip(found["items"].numpy().tolist(), exclude, strict=True):
        there = [item for item in items if item]
        assert len(there) == len({*there} - {*left_out})
    ranked, scores = found["ranked"].numpy(), found["scores"].numpy()
    others = scores[:, ranked.shape[1] :]
    np.testing.assert_array_equal(ranked, scores[:, : ranked.shape[1]])
    assert (others <= ranked.min(axis=1, keepdims=True)).all()
    return ScoresOfAll()(found["items"], found["scores"], found["sums"]).numpy()


def order(scores: np.ndarray) -> list[int]:
    """Items, best first."""
    return (1 + np.argsort(-scores[1:], kind="stable")).tolist()


def said_of(scores: Sequence[float]) -> np.ndarray:
    return np.array(scores, np.float64)


A, B = [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 6, 5]
"""What two retrievers say of items 1 to 6."""
BOTH = {"history_length": LENGTH, "candidates": 2, "ranked": 4}


def test_the_best_of_every_retriever_are_put_in_order_by_the_ranker() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([1, 2, 30, 40, 4, 3]), [1, 1, 10], **BOTH)
    scores = ask(model)[0]
    assert order(scores)[:4] == [5, 6, 2, 1]  # 3 and 4 nobody found, whatever the ranker would say of them
    blended = said_of(A) + said_of(B)
    for item, said in ((1, 1), (2, 2), (5, 4), (6, 3)):
        assert scores[item] == pytest.approx(blended[item - 1] + 10 * said, rel=1e-4)


def test_the_others_come_after_them_in_the_retrievers_order() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([-9] * 6), [2, 1, 10], **BOTH)
    scores = ask(model)[0]
    blended = np.array([PADDING, *(2 * said_of(A) + said_of(B))])
    assert set(order(scores)[:4]) == {1, 2, 5, 6}
    assert scores[[3, 4]].max() < scores[[1, 2, 5, 6]].min()
    assert scores[3] - scores[4] == pytest.approx(blended[3] - blended[4], abs=1e-4)


def test_weights_say_who_counts() -> None:
    for weights, expected in (([1, 0, 0], [1, 2, 5, 6]), ([0, 1, 0], [5, 6, 2, 1]), ([0, 0, 1], [6, 5, 2, 1])):
        model = cascade([retriever(A), retriever(B)], ranker([1, 2, 3, 4, 5, 6]), weights, **BOTH)
        assert order(ask(model)[0])[:4] == expected


def test_only_so_many_are_ranked() -> None:
    """Those with the highest weighted sum of all that was found."""
    options = BOTH | {"ranked": 2}
    model = cascade([retriever(A), retriever(B)], ranker([100, 0, 0, 0, 0, 50]), [1, 0.9, 1], **options)
    blended = said_of(A) + 0.9 * said_of(B)
    found = [1, 2, 5, 6]
    best = sorted(found, key=lambda item: -blended[item - 1])[:2]
    scores = ask(model)[0]
    assert set(order(scores)[:2]) == set(best)
    assert order(scores)[2:] == [2, 6, 3, 4]  # the other candidates, and then what nobody found


def test_without_a_ranker_the_retrievers_are_merged() -> None:
    model = cascade([retriever(A), retriever(B)], None, [1, 2], **BOTH)
    blended = said_of(A) + 2 * said_of(B)
    scores = ask(model)[0]
    for item in (1, 2, 5, 6):
        assert scores[item] == pytest.approx(blended[item - 1], rel=1e-4)
    assert order(scores)[4:] == [4, 3]


def test_parts_of_one_name() -> None:
    """As models have that were loaded from files."""
    parts = [retriever(scores) for scores in (A, B)]
    same = [keras.Model(part.input, part.output, name="functional") for part in parts]
    scores = [ask(cascade(models, None, [1, 2], **BOTH)) for models in (parts, same)]
    np.testing.assert_array_equal(*scores)


def test_excluded_items_take_no_place() -> None:
    """In their stead the next ones are found; rows exclude for themselves."""
    model = cascade([retriever(A)], ranker([1, 2, 3, 4, 5, 6]), [1, 100], history_length=LENGTH, candidates=2, ranked=2)
    scores = ask(model, [[], [1, 2], [1, 2, 2, 0, 3], [5]])
    ranked = [set(order(row)[:2]) for row in scores]
    assert ranked == [{1, 2}, {3, 4}, {4, 5}, {1, 2}]
    above = [row[sorted(items)] - 100 * np.array(sorted(items)) for row, items in zip(scores, ranked, strict=True)]
    for row, items in zip(above, ranked, strict=True):
        np.testing.assert_allclose(row, said_of(A)[np.array(sorted(items)) - 1], atol=1e-3)
    assert np.isfinite(scores).all()


def test_everything_excluded() -> None:
    model = cascade([retriever(A), retriever(B)], ranker([1, 2, 3, 4, 5, 6]), [1, 1, 1], **BOTH)
    scores = ask(model, [[1, 2, 3, 4, 5, 6], [2]])
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[0, 1:], said_of(A) + said_of(B), atol=1e-5)  # nothing is ranked above
    np.testing.assert_allclose(scores[1], ask(model, [[2]])[0], rtol=1e-6)


def test_fewer_items_than_candidates() -> None:
    options = {"history_length": LENGTH, "candidates": 100, "ranked": 100}
    model = cascade([retriever(A), retriever(B)], ranker([6, 5, 4, 3, 2, 1]), [0, 0, 1], **options)
    for exclude in ([], [4]):
        scores = ask(model, [exclude])[0]
        left = [item for item in range(1, 7) if item not in exclude]
        np.testing.assert_allclose(scores[left], [A[item - 1] for item in left], rtol=1e-5)
        assert np.isfinite(scores).all()


def test_parts_read_the_newest_items_and_as_many_as_they_can() -> None:
    parts = [retriever([], 1), retriever([], 2)]
    for weights, best in (([1, 0], [2, 3]), ([0, 1], [3, 3])):
        model = cascade(parts, None, weights, history_length=3, candidates=6, ranked=6)
        found = [order(ask(model, history=history)[0])[0] for history in ([4, 1, 2], [3])]
        assert found == best


def test_parts_that_read_users_features_get_none_beside_those_that_are_stored() -> None:
    inputs = scoring_inputs(LENGTH, features=2)
    given = keras.ops.cast(keras.ops.sum(inputs["user_features"], axis=1, keepdims=True), "float32")
    scores = Told(A)(inputs["history"]) + given
    model = cascade([keras.Model(inputs, scores)], None, [1], history_length=LENGTH, candidates=6, ranked=6)
    np.testing.assert_array_equal(ask(model)[0, 1:], A)


SAID = arrays.arrays(np.float32, 6, elements=st.integers(-20, 20), unique=True)


@settings(max_examples=25, deadline=None)
@given(
    said=st.tuples(SAID, SAID, SAID),
    exclude=st.lists(st.integers(0, ITEMS), max_size=7),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    weights=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_against_numpy(said: tuple, exclude: list[int], sizes: tuple[int, int], weights: tuple) -> None:
    one, other, third = said
    model = cascade(
        [retriever(one), retriever(other)],
        ranker(third),
        weights,
        history_length=LENGTH,
        candidates=sizes[0],
        ranked=sizes[1],
    )
    scores = ask(model, [exclude])[0]
    assert np.isfinite(scores).all()
    left = [item for item in range(1, 7) if item not in exclude]
    blended = np.array([0, *(weights[0] * said_of(one) + weights[1] * said_of(other))])
    found = {item for part in (one, other) for item in sorted(left, key=lambda item: -part[item - 1])[: sizes[0]]}
    ranked = sorted(found, key=lambda item: (-round(blended[item], 4), item))[: sizes[1]]
    if len({round(blended[item], 3) for item in found}) < len(found):
        return  # who is ranked of equals is rounding's choice
    expected = {item: blended[item] + weights[2] * third[item - 1] for item in ranked}
    for item, score in expected.items():
        assert scores[item] == pytest.approx(score, rel=1e-3, abs=1e-3)
    second = sorted(found - {*ranked}, key=lambda item: -blended[item])
    last = [item for item in range(1, 7) if item not in found]
    for above, below in ((ranked, second), ([*ranked, *second], last)):
        assert not above or not below or scores[above].min() > scores[below].max()
    assert (np.diff(scores[second]) < 0).all()
