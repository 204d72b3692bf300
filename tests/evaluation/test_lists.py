"""Ranks of targets in candidate lists: ties, missing targets and invalid scores."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation import metrics
from tfllmrec.evaluation.lists import NOT_FOUND, ListCallback, list_ranks


def lists_of(candidates: list[list[int]], targets: list[int]) -> CandidateLists:
    count = len(targets)
    users, histories = np.arange(count, dtype=np.int32), Histories.from_rows([[]] * count)
    return CandidateLists(Targets(users, histories, np.array(targets, np.int32)), np.array(candidates, np.int32))


LISTS = lists_of([[7, 8, 9], [7, 8, 9], [7, 8, 9], [7, 8, 0], [9, 0, 0], [0, 7, 8]], [8, 8, 5, 8, 9, 7])


def test_list_ranks() -> None:
    scores = np.array([[1, 3, 2], [1, 1, 1], [1, 2, 3], [1, 2, 99], [-5, 99, 99], [9, 1, 2]], np.float32)
    ranks = list_ranks(scores, LISTS)
    assert ranks.tolist() == [1, 3, NOT_FOUND, 1, 1, 2]  # ties rank before the target
    assert ranks.dtype == np.int64


def test_a_missing_target_scores_zero() -> None:
    ranks = np.array([NOT_FOUND, 1])
    with np.errstate(all="raise"):  # the sentinel rank does not overflow
        np.testing.assert_array_equal(metrics.ndcg(ranks, 10), [0, 1])
        np.testing.assert_array_equal(metrics.recall(ranks, 10), [0, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_raise(bad: float) -> None:
    scores = np.zeros((6, 3))
    scores[3, 2] = scores[0, 0] = bad
    with pytest.raises(
        InputError, match=r"^lists: the scores must be finite and have the shape \(6, 3\); got \(6, 3\), 2 "
    ):
        list_ranks(scores, LISTS)


@pytest.mark.parametrize("shape", [(6, 2), (5, 3), (6,), (6, 3, 1)])
def test_scores_of_a_wrong_shape_raise(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"the scores must be finite and have the shape \(6, 3\); got \(") as error:
        list_ranks(np.zeros(shape), LISTS)
    assert "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.permutations(range(5)), st.lists(st.integers(-2, 2), min_size=5, max_size=5), st.integers(1, 6)),
        min_size=1,
        max_size=4,
    )
)
def test_list_ranks_match_sorting(rows: list[tuple[list[int], list[int], int]]) -> None:
    """Candidates 1 to 4 and padding in any order, scores with ties, and targets inside and outside the lists."""
    candidates, scores, targets = ([*part] for part in zip(*rows, strict=True))
    ranks = list_ranks(np.array(scores, np.float32), lists_of(candidates, targets))
    for rank, items, values, target in zip(ranks, candidates, scores, targets, strict=True):
        by_item = {item: value for item, value in zip(items, values, strict=True) if item}
        order = sorted(by_item, key=lambda item: (-by_item[item], item == target))
        assert rank == (order.index(target) + 1 if target in by_item else NOT_FOUND)


def test_callback_logs_every_epoch() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    scores = iter([[[1, 2, 0]], [[2, 1, 0]], [[0, 0, 1]]])
    lists = lists_of([[1, 2, 3], [7, 8, 9]], [5, 8])  # the first list lacks its target
    scored: list[CandidateLists] = []

    def score(batch: CandidateLists) -> np.ndarray:
        scored.append(batch)
        return np.array(next(scores), np.float32)

    logs = model.fit(
        np.ones((2, 1)), np.ones(2), epochs=3, verbose=0, callbacks=[ListCallback(score, lists, 2)]
    ).history
    assert logs["val_ndcg@2"] == pytest.approx([1 / 2, 1 / np.log2(3) / 2, 0])
    assert [batch.candidates.tolist() for batch in scored] == [[[7, 8, 9]]] * 3


def test_callback_without_lists_logs_zero() -> None:
    empty = lists_of([[7, 8, 9]], [8]).take(np.arange(0))
    logs = {"loss": 1.0}
    ListCallback(lambda lists: np.zeros(lists.candidates.shape, np.float32), empty).on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "val_ndcg@10": 0.0}
