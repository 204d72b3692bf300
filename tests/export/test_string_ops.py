"""String operations of exports, compared with plain Python lists."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Histories, Vocabulary
from tfllmrec.export.string_ops import Lookup, StoredHistories, known, widened
from tfllmrec.layers.history import most_recent

WIDTHS = st.integers(0, 7)
few_examples = settings(max_examples=30, deadline=None)


@few_examples
@given(rows=WIDTHS.flatmap(lambda w: st.lists(st.lists(st.integers(0, 3), min_size=w, max_size=w), max_size=4)))
def test_most_recent_ignores_padding_anywhere(rows):
    items = tf.reshape(tf.constant(rows, tf.int32), [len(rows), len(rows[0]) if rows else 0])
    expected = [[item for item in row if item][-3:] for row in rows]
    expected = [[*row, *[0] * (3 - len(row))] for row in expected]
    assert most_recent(items, 3).numpy().tolist() == expected


@pytest.mark.parametrize("rows", [[[]], [[], [3, 1, 2], [], [4]], [[], [], []]])
def test_stored_histories_match_data(rows):
    histories = Histories.from_rows(rows)
    stored = StoredHistories(histories)
    users = np.array([*range(len(rows)), 0, len(rows) - 1], np.int32)
    assert stored(users).numpy().tolist() == histories.take(users).padded().tolist()
    assert stored(np.empty(0, np.int32)).shape == (0, 0)


def test_lookup_maps_ids_to_indices_and_back():
    lookup = Lookup(Vocabulary(["甲", "🙂"]))
    assert lookup(tf.constant([["🙂", "甲"], ["", "乙"]])).numpy().tolist() == [[2, 1], [0, 0]]
    assert [text.decode() for text in lookup.ids(tf.constant([2, 0, 1])).numpy()] == ["🙂", "", "甲"]


def test_known_replaces_unknown_indices_by_zero():
    assert known(tf.constant([-1, 0, 1, 5, 6]), 5).numpy().tolist() == [0, 0, 1, 5, 0]


@pytest.mark.parametrize(
    ("base", "width", "expected"),
    [
        *((2, *sizes) for sizes in ((0, 1), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (64, 64), (65, 128))),
        *((8, *sizes) for sizes in ((0, 1), (1, 1), (2, 8), (8, 8), (9, 64), (513, 4096))),
    ],
)
def test_widened_pads_to_a_power_of_the_base(base, width, expected):
    items = tf.ones([2, width], tf.int32)
    assert widened(items, base).shape == (2, expected)
    assert tf.reduce_sum(widened(items, base)) == 2 * width
