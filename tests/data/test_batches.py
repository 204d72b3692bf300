"""Batches of next items, ratings and windows, compared with plain Python."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset
from tfllmrec.data.batches import labelled_window_batches, next_item_batches, rating_batches, window_batches
from tfllmrec.errors import InputError

Example = tuple[int, tuple[int, ...], int]
Row = tuple[tuple[int, ...], tuple[int, ...]]
"""The items of a window and, for every item, the next one."""
USERS = st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=7), min_size=1, max_size=5).filter(
    lambda users: any(len(items) > 1 for items in users)
)
few_examples = settings(max_examples=10, deadline=None)


def dataset_of(users: list[list[int]]) -> Dataset:
    """Create a data set of users with these items, oldest first."""
    rows = [(f"u{user:03}", f"i{item}", time) for user, items in enumerate(users) for time, item in enumerate(items)]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def expected_examples(data: Dataset, length: int) -> list[Example]:
    """Return (user, earlier items padded with zeros on the right, next item) for every item with an earlier one."""
    examples = []
    for user in range(1, len(data.user_vocabulary) + 1):
        items = data.histories.row(user).tolist()
        for position in range(1, len(items)):
            earlier = items[max(position - length, 0) : position]
            examples.append((user, tuple(earlier + [0] * (length - len(earlier))), items[position]))
    return examples


def epoch_of(batches: tf.data.Dataset) -> list[Example]:
    return [
        (int(user), tuple(history.tolist()), int(item))
        for features, items in batches.as_numpy_iterator()
        for user, history, item in zip(features["user"], features["history"], items, strict=True)
    ]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset_of([list(range(9)), [3, 1, 2], [4], [8, 7, 6, 5, 3, 1]])


@few_examples
@given(users=USERS, length=st.integers(1, 8), batch_size=st.integers(1, 20))
def test_every_example_occurs_once_per_epoch(users: list[list[int]], length: int, batch_size: int) -> None:
    data = dataset_of(users)
    batches = next_item_batches(data, length, batch_size)
    expected = sorted(expected_examples(data, length))
    for _ in range(2):
        assert sorted(epoch_of(batches)) == expected
    assert int(batches.cardinality()) == -(-len(expected) // batch_size)


def test_part_of_a_data_set_keeps_the_indices_of_the_whole(data: Dataset) -> None:
    part = data.keep(np.arange(len(data.interactions)) % 2 == 0)
    assert sorted(epoch_of(next_item_batches(part, 3, 4))) == sorted(expected_examples(part, 3))


def test_known_examples() -> None:
    data = dataset_of([[1, 2, 3]])
    assert sorted(epoch_of(next_item_batches(data, 2, 1))) == [(1, (1, 0), 2), (1, (1, 2), 3)]
    assert sorted(epoch_of(next_item_batches(data, 1, 1))) == [(1, (1,), 2), (1, (2,), 3)]


def test_last_batch_may_be_smaller(data: Dataset) -> None:
    sizes = [len(items) for _, items in next_item_batches(data, 4, 6)]
    assert sizes == [6, 6, 3]


def test_element_spec(data: Dataset) -> None:
    features, items = next_item_batches(data, 4, 6).element_spec
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in features.items()} == {
        "user": ([None], tf.int32),
        "history": ([None, 4], tf.int32),
    }
    assert (items.shape.as_list(), items.dtype) == ([None], tf.int32)


def test_order_depends_on_epoch_and_seed(data: Dataset) -> None:
    def epochs(**options: Any) -> list[list[Example]]:
        batches = next_item_batches(data, 4, 6, **options)
        return [epoch_of(batches) for _ in range(3)]

    first = epochs(seed=1)
    assert len({tuple(order) for order in first}) == 3
    assert sorted(first[0]) != first[0]
    assert epochs(seed=1) == first
    assert epochs(seed=2) != first


def test_no_user_with_two_interactions_gives_no_example() -> None:
    assert epoch_of(next_item_batches(dataset_of([[1], [2]]), 3, 4)) == []


def test_order_of_a_seed_is_fixed(data: Dataset) -> None:
    """Runs of other versions stay reproducible."""
    examples, random = expected_examples(data, 4), np.random.default_rng(5)
    batches = next_item_batches(data, 4, 6, seed=5)
    for _ in range(3):
        assert epoch_of(batches) == [examples[position] for position in random.permutation(len(examples))]


def rows_of(batches: tf.data.Dataset) -> list[Row]:
    """Return the windows of one epoch."""
    return [
        (tuple(history.tolist()), tuple(next_items.tolist()))
        for features, targets in batches.as_numpy_iterator()
        for history, next_items in zip(features["history"], targets, strict=True)
    ]


def users_of(lengths: list[int]) -> Dataset:
    """Create users with histories of these lengths; item indices are 1, 2, 3, ..., user after user."""
    data = dataset_of([[1000 + sum(lengths[:user]) + item for item in range(n)] for user, n in enumerate(lengths)])
    np.testing.assert_array_equal(data.item_indices, np.arange(1, sum(lengths) + 1))
    return data


def test_known_windows() -> None:
    data = dataset_of([[1, 2, 3], [4], [8, 7], [4, 5, 4, 5]])  # as indices 1, 2, 3 | 4 | 7, 6 | 4, 5, 4, 5
    assert sorted(rows_of(window_batches(data, 3, 2))) == [
        ((1, 2, 0), (2, 3, 0)),
        ((4, 5, 4), (5, 4, 5)),
        ((7, 0, 0), (6, 0, 0)),
    ]


def test_short_history_is_one_window_in_every_epoch() -> None:
    batches = window_batches(users_of([6, 5, 1, 2]), 5, 8)
    expected = [
        ((1, 2, 3, 4, 5), (2, 3, 4, 5, 6)),
        ((7, 8, 9, 10, 0), (8, 9, 10, 11, 0)),
        ((13, 0, 0, 0, 0), (14, 0, 0, 0, 0)),
    ]
    for _ in range(5):
        assert sorted(rows_of(batches)) == expected


def test_window_positions_are_uniform() -> None:
    rows = rows_of(window_batches(users_of([5] * 300), 2, 100))
    counts = Counter((history[0] - 1) % 5 for history, _ in rows)
    assert counts.total() == 2 * 300  # 5 items in rows of 3
    assert set(counts) == {0, 1, 2}
    assert all(0 < next_items[1] == next_items[0] + 1 == history[0] + 2 for history, next_items in rows)
    assert max(abs(count - 200) for count in counts.values()) < 50  # four standard deviations


@few_examples
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    window=st.integers(1, 8),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 3),
)
def test_windows_are_slices_of_histories(lengths: list[int], window: int, batch_size: int, seed: int) -> None:
    data = users_of(lengths)
    batches = window_batches(data, window, batch_size, seed=seed)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    expected = {user: -(-length // (window + 1)) for user, length in enumerate(lengths) if length > 1}
    for _ in range(2):
        rows = rows_of(batches)
        assert Counter(owner[history[0] - 1] for history, _ in rows) == expected
        for history, next_items in rows:
            size = min(lengths[owner[history[0] - 1]], window + 1) - 1
            items = np.arange(history[0], history[0] + size + 1)
            padding = (0,) * (window - size)
            assert (history, next_items) == ((*items[:-1], *padding), (*items[1:], *padding))
            assert len(set(owner[items - 1])) == 1
    assert int(batches.cardinality()) == -(-sum(expected.values()) // batch_size)


def test_windows_of_a_part_keep_the_indices_of_the_whole() -> None:
    data = users_of([3, 4])
    part = data.keep(np.array([False, False, True, True, False, True, True]))
    assert sorted(rows_of(window_batches(part, 3, 4))) == [((4, 6, 0), (6, 7, 0))]


def test_window_batch_sizes_and_element_spec() -> None:
    batches = window_batches(users_of([4] * 5), 4, 2)
    assert int(batches.cardinality()) == 3
    assert [len(next_items) for _, next_items in batches] == [2, 2, 1]
    features, next_items = batches.element_spec
    assert list(features) == ["history"]
    for spec in (features["history"], next_items):
        assert (spec.shape.as_list(), spec.dtype) == ([None, 4], tf.int32)


def test_windows_depend_on_epoch_and_seed() -> None:
    def epochs(seed: int, lengths: list[int]) -> list[list[Row]]:
        batches = window_batches(users_of(lengths), 4, 6, seed=seed)
        return [rows_of(batches) for _ in range(3)]

    cut = epochs(1, [200])
    assert len({frozenset(rows) for rows in cut}) == 3
    assert epochs(1, [200]) == cut
    assert frozenset(epochs(2, [200])[0]) not in map(frozenset, cut)
    shuffled = epochs(1, [5] * 20)
    assert len({tuple(rows) for rows in shuffled}) == 3
    assert len({frozenset(rows) for rows in shuffled}) == 1
    assert sorted(shuffled[0]) != shuffled[0]


@pytest.mark.parametrize(
    ("make", "read"), [(next_item_batches, epoch_of), (window_batches, rows_of)], ids=["next items", "windows"]
)
def test_first_epoch_resumes_the_order(
    make: Callable[..., tf.data.Dataset], read: Callable[[tf.data.Dataset], list[Any]]
) -> None:
    data = users_of([40, 3, 2, 17])
    batches = make(data, 4, 6, seed=3)
    epochs = [read(batches) for _ in range(5)]
    for first in range(4):
        later = make(data, 4, 6, seed=3, first_epoch=first)
        assert [read(later), read(later)] == epochs[first : first + 2]


@pytest.mark.parametrize("cut", [next_item_batches, window_batches])
def test_autotune_is_disabled(cut: Callable[..., tf.data.Dataset], data: Dataset) -> None:
    assert cut(data, 2, 3).options().autotune.enabled is False


def test_interrupted_epoch_does_not_affect_the_next() -> None:
    batches = window_batches(users_of([60]), 4, 2)
    expected = [rows_of(batches) for _ in range(2)]
    again = window_batches(users_of([60]), 4, 2)
    next(iter(again))
    assert rows_of(again) == expected[1]


@pytest.mark.parametrize("users", [[[1], [2]], [[1]]])
def test_no_user_with_two_interactions_gives_no_window(users: list[list[int]]) -> None:
    assert rows_of(window_batches(dataset_of(users), 3, 4)) == []


def test_ratings_match_their_items() -> None:
    table = pd.DataFrame({"user_id": list("aaab"), "item_id": list("xyzx"), "timestamp": [1, 2, 3, 4]})
    data = Dataset.from_frames(table.assign(rating=[5.0, 1.5, 3.0, 2.0]))
    ((features, ratings),) = rating_batches(data, 2, 8)
    examples = {
        int(item): (history.tolist(), float(rating))
        for item, history, rating in zip(
            features["candidates"][:, 0], features["history"].numpy(), ratings[:, 0], strict=True
        )
    }
    assert examples == {2: ([1, 0], 1.5), 3: ([1, 2], 3.0)}
    assert features["candidates"].shape == ratings.shape == (2, 1)
    with pytest.raises(InputError, match="column rating is missing"):
        rating_batches(dataset_of([[1, 2]]), 2, 8)


def test_unrated_interactions_are_skipped() -> None:
    table = dataset_of([[3, 1, 2]]).interactions
    ((features, ratings),) = rating_batches(Dataset.from_frames(table.assign(rating=[5.0, None, 3.0])), 2, 8)
    assert features["history"].numpy().tolist() == [[3, 1]]
    assert ratings.numpy().tolist() == [[3.0]]


def test_labels_match_the_next_items(data: Dataset) -> None:
    labels = {"tenfold": data.item_indices * 10.0, "row": np.arange(len(data.interactions), dtype=np.int32)}
    plain = window_batches(data, 3, 2, seed=1).as_numpy_iterator()
    labelled = labelled_window_batches(data, labels, 3, 2, seed=1).as_numpy_iterator()
    for (plain_features, next_items), (features, targets) in zip(plain, labelled, strict=True):
        np.testing.assert_array_equal(features["history"], plain_features["history"])
        np.testing.assert_array_equal(targets["item"], next_items)
        np.testing.assert_array_equal(targets["tenfold"], 10.0 * next_items)
        is_target = np.nonzero(next_items)
        np.testing.assert_array_equal(data.item_indices[targets["row"][is_target]], next_items[is_target])
        np.testing.assert_array_equal(data.user_indices[targets["row"][is_target]], features["user"][is_target[0]])
