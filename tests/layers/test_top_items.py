"""Top items without excluded ones."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfllmrec.layers.top_items import LOWEST, exclude_items, top_items, top_k

SCORES = np.array([[9, 5, 7, 6, 8], [9, 1, 2, 3, 4]], np.float32)


def test_excluded_items_and_the_padding_get_the_lowest_score() -> None:
    kept = exclude_items(SCORES, np.array([[4, 0, 2], [1, 1, 1]], np.int32))
    low = LOWEST
    np.testing.assert_array_equal(kept, [[low, 5, low, 6, low], [low, low, 2, 3, 4]])
    assert np.isfinite(kept).all()
    assert np.finfo(np.float32).min == LOWEST


def test_nothing_excluded() -> None:
    kept = exclude_items(SCORES, np.zeros((2, 0), np.int32))
    np.testing.assert_array_equal(kept[:, 1:], SCORES[:, 1:])


def test_fewer_items_than_k_are_padded() -> None:
    items, scores = top_items(SCORES, np.array([[1, 3], [0, 0]], np.int32), 3)
    np.testing.assert_array_equal(items, [[4, 2, 0], [4, 3, 2]])
    np.testing.assert_array_equal(scores, [[8, 7, LOWEST], [4, 3, 2]])
    assert (items.dtype, scores.dtype) == ("int32", "float32")


TIES = st.integers(1, 600).flatmap(lambda n: arrays.arrays(np.float32, (2, n), elements=st.sampled_from([0, 1, 2])))
# No subnormal numbers: TensorFlow flushes them to zero, which makes ties.
FLOATS = st.floats(-3, 3, width=32, allow_subnormal=False)


@settings(max_examples=50, deadline=None)
@given(
    scores=arrays.arrays(np.float32, (2, 6), elements=FLOATS, unique=True),
    excluded=arrays.arrays(np.int32, (2, 4), elements=st.integers(0, 5)),
    k=st.integers(1, 6),
)
def test_top_items_match_sorting(scores: np.ndarray, excluded: np.ndarray, k: int) -> None:
    items, _ = top_items(scores, excluded, k)
    for row in range(2):
        left = [item for item in range(1, 6) if item not in excluded[row]]
        best = sorted(left, key=lambda item: -scores[row, item])[:k]
        np.testing.assert_array_equal(items[row], best + [0] * (k - len(best)))


@pytest.mark.parametrize("dynamic", [False, True])
@settings(max_examples=30, deadline=None)
@given(scores=TIES, k=st.integers(1, 5))
def test_ties_keep_the_order_of_columns(dynamic: bool, scores: np.ndarray, k: int) -> None:
    """As in `tf.math.top_k`, for few and for many columns."""
    k = min(k, scores.shape[1])
    scores[:, -1] = [LOWEST, 3]
    values, columns = top_k(scores, tf.constant(k) if dynamic else k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(columns, order)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, order, axis=1))


def shuffled(columns: int, seed: int) -> np.ndarray:
    """Return two rows of distinct scores."""
    return np.random.default_rng(seed).permutation(2 * columns).reshape(2, columns).astype(np.float32)


MANY = st.builds(shuffled, st.integers(400, 700), st.integers(0, 1000))


@settings(max_examples=30, deadline=None)
@given(scores=MANY, k=st.integers(1, 3))
def test_unordered_result_contains_the_same_items(scores: np.ndarray, k: int) -> None:
    excluded = np.argsort(-scores, axis=1)[:, :2].astype(np.int32)
    ordered, unordered = (top_items(scores, excluded, k, in_order=in_order) for in_order in (True, False))
    for expected, actual in zip(ordered, unordered, strict=True):
        np.testing.assert_array_equal(np.sort(actual), np.sort(expected))
