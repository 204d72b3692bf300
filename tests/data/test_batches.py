"""Batches of (history, next item) against plain Python."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset
from tfllmrec.data.batches import next_item_batches

Example = tuple[int, tuple[int, ...], int]
USERS = st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=7), min_size=1, max_size=5).filter(
    lambda users: any(len(items) > 1 for items in users)
)
modest = settings(max_examples=10, deadline=None)


def dataset_of(users: list[list[int]]) -> Dataset:
    """Users whose items are given oldest first."""
    rows = [(f"u{user}", f"i{item}", time) for user, items in enumerate(users) for time, item in enumerate(items)]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def in_python(data: Dataset, length: int) -> list[Example]:
    """(user, newest earlier items and zeros on the right, next item), for every item that has an earlier one."""
    examples = []
    for user in range(1, len(data.user_vocabulary) + 1):
        items = data.histories.row(user).tolist()
        for place in range(1, len(items)):
            earlier = items[max(place - length, 0) : place]
            examples.append((user, tuple(earlier + [0] * (length - len(earlier))), items[place]))
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


@modest
@given(users=USERS, length=st.integers(1, 8), batch_size=st.integers(1, 20))
def test_every_example_once_an_epoch(users: list[list[int]], length: int, batch_size: int) -> None:
    data = dataset_of(users)
    batches = next_item_batches(data, length, batch_size)
    expected = sorted(in_python(data, length))
    for _ in range(2):
        assert sorted(epoch_of(batches)) == expected
    assert int(batches.cardinality()) == -(-len(expected) // batch_size)


def test_a_part_of_a_data_set_keeps_the_indices_of_the_whole(data: Dataset) -> None:
    part = data.keep(np.arange(len(data.interactions)) % 2 == 0)
    assert sorted(epoch_of(next_item_batches(part, 3, 4))) == sorted(in_python(part, 3))


def test_a_known_answer() -> None:
    data = dataset_of([[1, 2, 3]])
    assert sorted(epoch_of(next_item_batches(data, 2, 1))) == [(1, (1, 0), 2), (1, (1, 2), 3)]
    assert sorted(epoch_of(next_item_batches(data, 1, 1))) == [(1, (1,), 2), (1, (2,), 3)]


def test_the_last_batch_may_be_smaller(data: Dataset) -> None:
    sizes = [len(items) for _, items in next_item_batches(data, 4, 6)]
    assert sizes == [6, 6, 3]


def test_shapes_and_types_are_known(data: Dataset) -> None:
    features, items = next_item_batches(data, 4, 6).element_spec
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in features.items()} == {
        "user": ([None], tf.int32),
        "history": ([None, 4], tf.int32),
    }
    assert (items.shape.as_list(), items.dtype) == ([None], tf.int32)


def test_every_epoch_has_an_order_of_its_own_and_the_seed_decides(data: Dataset) -> None:
    def epochs(**options: Any) -> list[list[Example]]:
        batches = next_item_batches(data, 4, 6, **options)
        return [epoch_of(batches) for _ in range(3)]

    first = epochs(seed=1)
    assert len({tuple(order) for order in first}) == 3
    assert sorted(first[0]) != first[0]
    assert epochs(seed=1) == first
    assert epochs(seed=2) != first


def test_nobody_with_two_interactions() -> None:
    assert epoch_of(next_item_batches(dataset_of([[1], [2]]), 3, 4)) == []
