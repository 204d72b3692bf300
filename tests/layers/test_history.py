"""Layers that read a history, against known values and a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.layers.history import HistoryWeights, LastState, MostRecentFirst

ROWS = st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=4)
modest = settings(max_examples=30, deadline=None)


def padded(rows: list[list[int]], width: int = 5) -> np.ndarray:
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32)


@modest
@given(rows=ROWS)
def test_most_recent_first(rows: list[list[int]]) -> None:
    outputs = MostRecentFirst()(padded(rows))
    np.testing.assert_array_equal(outputs, padded([row[::-1] for row in rows]))
    assert outputs.dtype == "int32"


@modest
@given(rows=ROWS, decay=st.sampled_from([1.0, 0.5]), recent_items=st.sampled_from([None, 1, 3, 9]))
def test_history_weights(rows: list[list[int]], decay: float, recent_items: int | None) -> None:
    expected = np.zeros((len(rows), 7))
    for row, items in enumerate(rows):
        for age, item in enumerate(items[:recent_items]):
            expected[row, item] = max(expected[row, item], decay**age)
    weights = HistoryWeights(6, decay, recent_items)(padded(rows))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("history", "weights"),
    [
        ([3, 1, 2, 0], [0, 0.5, 0.25, 1]),
        ([1, 2, 1, 1], [0, 1, 0.5, 0]),  # a repeat counts once, at its newest position
        ([0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_known_history_weights(history: list[int], weights: list[float]) -> None:
    np.testing.assert_array_equal(HistoryWeights(3, 0.5)(np.array([history], np.int32)), [weights])


@modest
@given(rows=ROWS)
def test_last_state(rows: list[list[int]]) -> None:
    states = np.arange(len(rows) * 10, dtype=np.float32).reshape(len(rows), 5, 2)
    outputs = LastState()(states, padded(rows))
    np.testing.assert_array_equal(outputs, [own[max(len(row) - 1, 0)] for own, row in zip(states, rows, strict=True)])
