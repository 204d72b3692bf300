"""The host part against lists."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Histories, Vocabulary
from tfllmrec.export.string_ops import Lookup, StoredHistories, known, widened
from tfllmrec.layers.history import most_recent

WIDTHS = st.integers(0, 7)
modest = settings(max_examples=30, deadline=None)


@modest
@given(rows=WIDTHS.flatmap(lambda w: st.lists(st.lists(st.integers(0, 3), min_size=w, max_size=w), max_size=4)))
def test_newest_items_wherever_the_zeros_are(rows):
    items = tf.reshape(tf.constant(rows, tf.int32), [len(rows), len(rows[0]) if rows else 0])
    expected = [[item for item in row if item][-3:] for row in rows]
    expected = [[*row, *[0] * (3 - len(row))] for row in expected]
    assert most_recent(items, 3).numpy().tolist() == expected


@pytest.mark.parametrize("rows", [[[]], [[], [3, 1, 2], [], [4]], [[], [], []]])
def test_stored_histories(rows):
    histories = Histories.from_rows(rows)
    stored = StoredHistories(histories)
    asked = np.array([*range(len(rows)), 0, len(rows) - 1], np.int32)
    assert stored(asked).numpy().tolist() == histories.take(asked).padded().tolist()
    assert stored(np.empty(0, np.int32)).shape == (0, 0)


def test_lookup_both_ways():
    lookup = Lookup(Vocabulary(["甲", "🙂"]))
    assert lookup(tf.constant([["🙂", "甲"], ["", "乙"]])).numpy().tolist() == [[2, 1], [0, 0]]
    assert [text.decode() for text in lookup.ids(tf.constant([2, 0, 1])).numpy()] == ["🙂", "", "甲"]


def test_known_indices():
    assert known(tf.constant([-1, 0, 1, 5, 6]), 5).numpy().tolist() == [0, 0, 1, 5, 0]


@pytest.mark.parametrize(
    ("base", "width", "wide"),
    [
        *((2, *sizes) for sizes in ((0, 1), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (64, 64), (65, 128))),
        *((8, *sizes) for sizes in ((0, 1), (1, 1), (2, 8), (8, 8), (9, 64), (513, 4096))),
    ],
)
def test_as_wide_as_a_power(base, width, wide):
    items = tf.ones([2, width], tf.int32)
    assert widened(items, base).shape == (2, wide)
    assert tf.reduce_sum(widened(items, base)) == 2 * width
