"""CandidateLists of candidates: known answers, and nothing twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Histories, Targets
from tfllmrec.data.candidate_lists import CandidateLists, union

modest = settings(max_examples=60, deadline=None)


def lists_of(candidates: Sequence[Sequence[int]], answers: Sequence[int], histories: Any = None) -> CandidateLists:
    """CandidateLists of users 1, 2, ..., whose histories are empty where none are given."""
    users = np.arange(1, len(answers) + 1, dtype=np.int32)
    past = Histories.from_rows([[]] * len(answers) if histories is None else histories)
    return CandidateLists(Targets(users, past, np.array(answers, np.int32)), np.array(candidates, np.int32))


def row(width: int) -> st.SearchStrategy[list[int]]:
    """Candidates, each once, then zeros."""
    items = st.lists(st.integers(1, 6), max_size=width, unique=True)
    return items.map(lambda found: [*found, *[0] * (width - len(found))])


def test_which_have_their_answer() -> None:
    lists = lists_of([[3, 1, 2], [3, 1, 2], [3, 0, 0], [0, 0, 0]], [1, 7, 3, 4])
    assert lists.has_target.tolist() == [True, False, True, False]
    assert lists.with_target().targets.users.tolist() == [1, 3]
    assert lists.with_target().candidates.tolist() == [[3, 1, 2], [3, 0, 0]]


@pytest.fixture
def seven() -> CandidateLists:
    """Seven users with 0 to 6 items, whose answers are 11, 12, ... in places of their own."""
    answers = np.arange(11, 18)
    candidates = [[*range(20, 20 + n % 3), answers[n], *range(30, 32 - n % 3)] for n in range(7)]
    return lists_of(candidates, answers, [list(range(1, n + 1)) for n in range(7)])


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
        for place, user in enumerate(features["user"]):
            newest = list(range(1, user))[-3:]
            assert features["history"][place].tolist() == [*newest, *[0] * (3 - len(newest))]
            np.testing.assert_array_equal(features["candidates"][place], seven.candidates[user - 1])
            np.testing.assert_array_equal(labels[place], seven.candidates[user - 1] == 10 + user)
            assert labels[place].sum() == 1


def test_an_order_for_every_seed_and_epoch(seven: CandidateLists) -> None:
    first, second, third = map(users_of, epochs_of(seven, 3))
    assert len({tuple(first), tuple(second), tuple(third)}) == 3
    assert [users_of(epoch) for epoch in epochs_of(seven, 2, first_epoch=1)] == [second, third]
    assert users_of(epochs_of(seven, 1, seed=1)[0]) != first


def test_some_candidates_of_a_list_drawn_anew_in_every_epoch(seven: CandidateLists) -> None:
    padded = CandidateLists(seven.targets, np.pad(seven.candidates, [(0, 0), (1, 2)]))
    met: dict[int, set[int]] = {}
    for epoch in epochs_of(padded, 12, size=2):
        for features, labels in epoch:
            assert labels.tolist() == [[1, 0]] * len(labels)
            for user, (answer, other) in zip(features["user"].tolist(), features["candidates"].tolist(), strict=True):
                assert answer == 10 + user
                met.setdefault(user, set()).add(other)
    for user, others in met.items():  # all of them in turn, and nothing only where there is nothing else
        assert others == set(seven.candidates[user - 1].tolist()) - {10 + user}
    [wide] = epochs_of(padded, 1, size=5)
    for features, labels in wide:
        assert features["candidates"].shape[1] == 5
        for user, row in zip(features["user"].tolist(), features["candidates"].tolist(), strict=True):
            assert sorted(row) == sorted([0, 0, *seven.candidates[user - 1].tolist()])
        assert (labels.sum(axis=1) == 1).all()
    again, other = (epochs_of(padded, 1, size=2, first_epoch=epoch)[0] for epoch in (3, 4))
    fourth = epochs_of(padded, 4, size=2)[3]
    for (one, _), (same, _) in zip(fourth, again, strict=True):
        np.testing.assert_array_equal(one["candidates"], same["candidates"])
    assert [one["candidates"].tolist() for one, _ in fourth] != [one["candidates"].tolist() for one, _ in other]


def test_each_once_and_the_first_ones_first() -> None:
    parts = [lists_of([[3, 1, 0], [2, 5, 4], [0, 0, 0]], [1, 1, 1]) for _ in range(2)]
    parts[1] = CandidateLists(parts[0].targets, np.array([[1, 7], [4, 2], [0, 6]], np.int32))
    found = union(parts)
    assert found.candidates.tolist() == [[3, 1, 0, 0, 7], [2, 5, 4, 0, 0], [0, 0, 0, 0, 6]]
    assert found.targets is parts[0].targets
    assert parts[0].candidates.tolist() == [[3, 1, 0], [2, 5, 4], [0, 0, 0]]


@modest
@given(first=st.lists(row(3), min_size=2, max_size=2), second=st.lists(row(4), min_size=2, max_size=2))
def test_a_union_has_everything_and_nothing_twice(first: list[list[int]], second: list[list[int]]) -> None:
    one, other = lists_of(first, [1, 1]), lists_of(second, [1, 1])
    found = union([one, other]).candidates
    assert found.shape == (2, 7)
    np.testing.assert_array_equal(found[:, :3], one.candidates)
    for items, mine, others in zip(found.tolist(), first, second, strict=True):
        there = [item for item in items if item]
        assert len(there) == len(set(there))
        assert set(there) == {*mine, *others} - {0}
