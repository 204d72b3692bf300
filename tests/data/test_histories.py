"""Histories compared with lists of lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Histories

ROWS = st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=6), max_size=8)
examples = settings(max_examples=50, deadline=None)


def rows_of(histories):
    return [histories.row(index).tolist() for index in range(len(histories))]


def right_padded(rows, width):
    return [row + [0] * (width - len(row)) for row in rows]


@examples
@given(rows=ROWS)
def test_from_rows(rows):
    histories = Histories.from_rows(rows)
    assert len(histories) == len(rows)
    assert rows_of(histories) == rows
    assert histories.lengths.tolist() == [len(row) for row in rows]
    assert (histories.values.dtype, histories.offsets.dtype) == (np.int32, np.int64)


@examples
@given(rows=ROWS, length=st.integers(0, 8))
def test_most_recent(rows, length):
    recent = Histories.from_rows(rows).most_recent(length)
    assert recent.tolist() == right_padded([row[max(len(row) - length, 0) :] for row in rows], length)
    assert recent.shape == (len(rows), length)
    assert recent.dtype == np.int32


SMALL_ROWS = st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=6)


@examples
@given(rows=SMALL_ROWS)
def test_masks(rows):
    mask = Histories.from_rows(rows).mask(6)
    assert mask.tolist() == [[item == 0 or item in row for item in range(6)] for row in rows]
    assert (mask.shape, mask.dtype) == ((len(rows), 6), bool)
    assert rows_of(Histories.from_mask(mask)) == [sorted({*row} - {0}) for row in rows]


@examples
@given(rows=SMALL_ROWS)
def test_without_padding(rows):
    known = Histories.from_rows(rows).without_padding()
    assert rows_of(known) == [[item for item in row if item] for row in rows]


@examples
@given(rows=ROWS, width=st.integers(0, 3))
def test_from_padded(rows, width):
    longest = max(map(len, rows), default=0) + width
    matrix = np.array(right_padded(rows, longest), np.int32).reshape(len(rows), longest)
    histories = Histories.from_padded(matrix)
    assert rows_of(histories) == rows
    assert (histories.values.dtype, histories.offsets.dtype) == (np.int32, np.int64)


@examples
@given(rows=ROWS)
def test_padded(rows):
    longest = max(map(len, rows), default=0)
    padded = Histories.from_rows(rows).padded()
    assert padded.tolist() == right_padded(rows, longest)
    assert padded.shape == (len(rows), longest)


@examples
@given(rows=ROWS.filter(bool), data=st.data())
def test_take(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    taken = Histories.from_rows(rows).take(np.array(chosen, dtype=np.int64))
    assert rows_of(taken) == [rows[index] for index in chosen]


@examples
@given(values=st.lists(st.integers(1, 99), min_size=1), data=st.data())
def test_slices(values, data):
    bounds = st.tuples(*[st.integers(0, len(values))] * 2).map(sorted)
    cuts = data.draw(st.lists(bounds, max_size=6))
    starts, ends = np.array(cuts, dtype=np.int64).reshape(-1, 2).T
    cut = Histories.from_rows([values]).slices(starts, ends)
    assert rows_of(cut) == [values[start:end] for start, end in cuts]


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_empty_rows(rows):
    histories = Histories.from_rows(rows)
    assert histories.padded().shape == (len(rows), 0)
    assert histories.most_recent(3).tolist() == [[0, 0, 0]] * len(rows)
