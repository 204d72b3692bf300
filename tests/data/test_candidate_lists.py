"""Candidate lists: masks, batches, and unions without duplicates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Histories, Targets
from tfllmrec.data.candidate_lists import CandidateLists, union

examples = settings(max_examples=60, deadline=None)


def lists_of(candidates: Sequence[Sequence[int]], items: Sequence[int], histories: Any = None) -> CandidateLists:
    """Create lists of users 1, 2, ... with these target items; histories are empty by default."""
    users = np.arange(1, len(items) + 1, dtype=np.int32)
    rows = Histories.from_rows([[]] * len(items) if histories is None else histories)
    return CandidateLists(Targets(users, rows, np.array(items, np.int32)), np.array(candidates, np.int32))


def row(width: int) -> st.SearchStrategy[list[int]]:
    """Distinct candidates, then zeros."""
    items = st.lists(st.integers(1, 6), max_size=width, unique=True)
    return items.map(lambda row: [*row, *[0] * (width - len(row))])


def test_lists_with_their_target() -> None:
    lists = lists_of([[3, 1, 2], [3, 1, 2], [3, 0, 0], [0, 0, 0]], [1, 7, 3, 4])
    assert lists.has_target.tolist() == [True, False, True, False]
    assert lists.with_target().targets.users.tolist() == [1, 3]
    assert lists.with_target().candidates.tolist() == [[3, 1, 2], [3, 0, 0]]


@pytest.fixture
def seven() -> CandidateLists:
    """Seven users with 0 to 6 items and targets 11, 12, ... in varying columns."""
    targets = np.arange(11, 18)
    candidates = [[*range(20, 20 + n % 3), targets[n], *range(30, 32 - n % 3)] for n in range(7)]
    return lists_of(candidates, targets, [list(range(1, n + 1)) for n in range(7)])


def epochs_of(lists: CandidateLists, count: int, **options: Any) -> list[list[Any]]:
    batches = lists.batches(3, 3, **options)
    assert len(batches) == 3
    return [[(features, labels) for features, labels in batches.as_numpy_iterator()] for _ in range(count)]


def users_of(epoch: list[Any]) -> list[int]:
    return [user for features, _ in epoch for user in features["user"].tolist()]


def test_batches(seven: CandidateLists) -> None:
    [epoch] = epochs_of(seven, 1)
    assert [len(labels) for _, labels in epoch] == [3, 3, 1]
    assert sorted(users_of(epoch)) == list(range(1, 8))
    for features, labels in epoch:
        assert {name: part.dtype.name for name, part in features.items()} == dict.fromkeys(features, "int32")
        assert set(features) == {"user", "history", "candidates"}
        assert (features["history"].shape[1], labels.shape, labels.dtype) == (3, (len(labels), 3), np.float32)
        for row, user in enumerate(features["user"]):
            recent = list(range(1, user))[-3:]
            assert features["history"][row].tolist() == [*recent, *[0] * (3 - len(recent))]
            np.testing.assert_array_equal(features["candidates"][row], seven.candidates[user - 1])
            np.testing.assert_array_equal(labels[row], seven.candidates[user - 1] == 10 + user)
            assert labels[row].sum() == 1


def test_order_depends_on_epoch_and_seed(seven: CandidateLists) -> None:
    first, second, third = map(users_of, epochs_of(seven, 3))
    assert len({tuple(first), tuple(second), tuple(third)}) == 3
    assert [users_of(epoch) for epoch in epochs_of(seven, 2, first_epoch=1)] == [second, third]
    assert users_of(epochs_of(seven, 1, seed=1)[0]) != first


def test_candidates_are_resampled_in_every_epoch(seven: CandidateLists) -> None:
    padded = CandidateLists(seven.targets, np.pad(seven.candidates, [(0, 0), (1, 2)]))
    sampled: dict[int, set[int]] = {}
    for epoch in epochs_of(padded, 12, size=2):
        for features, labels in epoch:
            assert labels.tolist() == [[1, 0]] * len(labels)
            for user, (target, other) in zip(features["user"].tolist(), features["candidates"].tolist(), strict=True):
                assert target == 10 + user
                sampled.setdefault(user, set()).add(other)
    for user, others in sampled.items():  # padding is sampled only if there is no other candidate
        assert others == set(seven.candidates[user - 1].tolist()) - {10 + user}
    [wide] = epochs_of(padded, 1, size=5)
    for features, labels in wide:
        assert features["candidates"].shape[1] == 5
        for user, row in zip(features["user"].tolist(), features["candidates"].tolist(), strict=True):
            assert sorted(row) == sorted([0, 0, *seven.candidates[user - 1].tolist()])
        assert (labels.sum(axis=1) == 1).all()
    resumed, other = (epochs_of(padded, 1, size=2, first_epoch=epoch)[0] for epoch in (3, 4))
    fourth = epochs_of(padded, 4, size=2)[3]
    for (features, _), (same, _) in zip(fourth, resumed, strict=True):
        np.testing.assert_array_equal(features["candidates"], same["candidates"])
    rows, other_rows = ([features["candidates"].tolist() for features, _ in epoch] for epoch in (fourth, other))
    assert rows != other_rows


def test_union_keeps_the_order_of_the_parts() -> None:
    parts = [lists_of([[3, 1, 0], [2, 5, 4], [0, 0, 0]], [1, 1, 1]) for _ in range(2)]
    parts[1] = CandidateLists(parts[0].targets, np.array([[1, 7], [4, 2], [0, 6]], np.int32))
    merged = union(parts)
    assert merged.candidates.tolist() == [[3, 1, 0, 0, 7], [2, 5, 4, 0, 0], [0, 0, 0, 0, 6]]
    assert merged.targets is parts[0].targets
    assert parts[0].candidates.tolist() == [[3, 1, 0], [2, 5, 4], [0, 0, 0]]


@examples
@given(first=st.lists(row(3), min_size=2, max_size=2), second=st.lists(row(4), min_size=2, max_size=2))
def test_union_is_complete_and_has_no_duplicates(first: list[list[int]], second: list[list[int]]) -> None:
    parts = [lists_of(first, [1, 1]), lists_of(second, [1, 1])]
    merged = union(parts).candidates
    assert merged.shape == (2, 7)
    np.testing.assert_array_equal(merged[:, :3], parts[0].candidates)
    for row, first_row, second_row in zip(merged.tolist(), first, second, strict=True):
        items = [item for item in row if item]
        assert len(items) == len(set(items))
        assert set(items) == {*first_row, *second_row} - {0}
