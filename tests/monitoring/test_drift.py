"""Distances of distributions: values worked out by hand, and SciPy's."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tfllmrec.monitoring.drift import concentration, drift, gini, jensen_shannon, largest_gap, stability_index

COUNTS = hnp.arrays(np.int64, 6, elements=st.integers(0, 50)).filter(lambda counts: counts.any())


def lists_of(*rows, scores=None):
    return pd.DataFrame({"item_ids": [list(row) for row in rows], "scores": scores or [[] for _ in rows]})


def test_jensen_shannon_by_hand():
    # p = (1/2, 1/2, 0), q = (0, 1/2, 1/2), m = (1/4, 1/2, 1/4): both are half a bit from m
    assert jensen_shannon(np.array([2, 2, 0]), np.array([0, 5, 5])) == pytest.approx(np.sqrt(0.5))
    assert jensen_shannon(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)
    assert jensen_shannon(np.array([1, 3]), np.array([2, 6])) == 0


@given(COUNTS, COUNTS)
@settings(max_examples=50, deadline=None)
def test_jensen_shannon_is_the_entropy_of_the_mean_less_the_mean_entropy(a, b):
    p, q = a / a.sum(), b / b.sum()
    expected = stats.entropy((p + q) / 2, base=2) - (stats.entropy(p, base=2) + stats.entropy(q, base=2)) / 2
    assert jensen_shannon(a, b) ** 2 == pytest.approx(expected, abs=1e-9)


def test_stability_index_by_hand():
    before = np.arange(100.0)  # a tenth of it in every bin
    after = np.repeat([5.0, 95.0], 50)  # half in the first, half in the last
    expected = 2 * 0.4 * np.log(5) + 8 * (1e-4 - 0.1) * np.log(1e-4 / 0.1)
    assert stability_index(before, after) == pytest.approx(expected)
    assert stability_index(before, before) == 0
    assert stability_index(np.ones(5), np.ones(7)) == 0


def test_gini_and_concentration_by_hand():
    assert gini(np.array([1, 1, 1, 1])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert gini(np.zeros(3)) == 0
    assert np.allclose(concentration(np.array([1, 3])), [*np.linspace(0, 0.75, 11), *np.linspace(0.75, 1, 11)[1:]])
    assert concentration(np.zeros(3)) == []


def test_largest_gap_by_hand():
    assert largest_gap(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])) == pytest.approx(0.5)


def test_lists_that_moved_and_lists_that_did_not():
    random = np.random.default_rng(0)

    def drawn(mean, items, size):
        rows = [[str(item) for item in random.choice(items, 3, replace=False)] for _ in range(size)]
        return lists_of(*rows, scores=random.normal(mean, 1, (size, 3)).tolist())

    before = drawn(0, 20, 300)
    still, moved = drift(before, drawn(0, 20, 100), k=3), drift(before, drawn(2, np.arange(10, 30), 100), k=3)
    for name in ("popularity", "scores", "largest_gap"):
        same, other = getattr(still, name), getattr(moved, name)
        assert 0 < same.distance < 2 * same.by_chance
        assert other.distance > 4 * other.by_chance


def test_only_the_first_places_count_and_empty_lists_do_not():
    before = lists_of("ab", "ac", "", scores=[[2, 1], [2, 0], []])
    after = lists_of("ax", "ay", scores=[[2, 9], [2, 9]])
    found = drift(before, after, k=1)
    assert (found.popularity.distance, found.scores.distance, found.largest_gap.distance) == (0, 0, 0)
    assert drift(before, after, k=2).popularity.distance > 0


def test_nothing_to_compare():
    some, none = lists_of("ab", "cd"), lists_of("")
    assert drift(some, none, k=5).popularity is None
    found = drift(some, some, k=5)
    assert (found.popularity.distance, found.scores, found.largest_gap) == (0, None, None)
