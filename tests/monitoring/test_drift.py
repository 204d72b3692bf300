"""Distances between distributions, against values by hand and SciPy's."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tfllmrec.monitoring.distributions import concentration, gini
from tfllmrec.monitoring.drift import drift, jensen_shannon, kolmogorov_smirnov, population_stability_index

COUNTS = hnp.arrays(np.int64, 6, elements=st.integers(0, 50)).filter(lambda counts: counts.any())


def impressions_of(*rows, scores=None):
    return pd.DataFrame({"item_ids": [list(row) for row in rows], "scores": scores or [[] for _ in rows]})


def test_jensen_shannon_by_hand():
    # p = (1/2, 1/2, 0), q = (0, 1/2, 1/2), m = (1/4, 1/2, 1/4): both are half a bit from m
    assert jensen_shannon(np.array([2, 2, 0]), np.array([0, 5, 5])) == pytest.approx(np.sqrt(0.5))
    assert jensen_shannon(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)
    assert jensen_shannon(np.array([1, 3]), np.array([2, 6])) == 0


@given(COUNTS, COUNTS)
@settings(max_examples=50, deadline=None)
def test_squared_jensen_shannon_is_the_entropy_of_the_mean_minus_the_mean_entropy(a, b):
    p, q = a / a.sum(), b / b.sum()
    expected = stats.entropy((p + q) / 2, base=2) - (stats.entropy(p, base=2) + stats.entropy(q, base=2)) / 2
    assert jensen_shannon(a, b) ** 2 == pytest.approx(expected, abs=1e-9)


def test_population_stability_index_by_hand():
    before = np.arange(100.0)  # a tenth in each bin
    after = np.repeat([5.0, 95.0], 50)  # half in the first bin, half in the last
    expected = 2 * 0.4 * np.log(5) + 8 * (1e-4 - 0.1) * np.log(1e-4 / 0.1)
    assert population_stability_index(before, after) == pytest.approx(expected)
    assert population_stability_index(before, before) == 0
    assert population_stability_index(np.ones(5), np.ones(7)) == 0


def test_gini_and_concentration_by_hand():
    assert gini(np.array([1, 1, 1, 1])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert gini(np.zeros(3)) == 0
    assert np.allclose(concentration(np.array([1, 3])), [*np.linspace(0, 0.75, 11), *np.linspace(0.75, 1, 11)[1:]])
    assert concentration(np.zeros(3)) == []


def test_kolmogorov_smirnov_by_hand():
    assert kolmogorov_smirnov(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])) == pytest.approx(0.5)


def test_drifted_impressions_exceed_the_distance_by_chance():
    random = np.random.default_rng(0)

    def sample(mean, items, size):
        rows = [[str(item) for item in random.choice(items, 3, replace=False)] for _ in range(size)]
        return impressions_of(*rows, scores=random.normal(mean, 1, (size, 3)).tolist())

    before = sample(0, 20, 300)
    unchanged, drifted = drift(before, sample(0, 20, 100), k=3), drift(before, sample(2, np.arange(10, 30), 100), k=3)
    for name in ("items", "score_psi", "score_ks"):
        small, large = getattr(unchanged, name), getattr(drifted, name)
        assert 0 < small.observed < 2 * small.by_chance
        assert large.observed > 4 * large.by_chance


def test_only_the_first_k_positions_count_and_empty_impressions_do_not():
    before = impressions_of("ab", "ac", "", scores=[[2, 1], [2, 0], []])
    after = impressions_of("ax", "ay", scores=[[2, 9], [2, 9]])
    first = drift(before, after, k=1)
    assert (first.items.observed, first.score_psi.observed, first.score_ks.observed) == (0, 0, 0)
    assert drift(before, after, k=2).items.observed > 0


def test_distances_without_items_or_scores_are_none():
    some, empty = impressions_of("ab", "cd"), impressions_of("")
    assert drift(some, empty, k=5).items is None
    unscored = drift(some, some, k=5)
    assert (unscored.items.observed, unscored.score_psi, unscored.score_ks) == (0, None, None)
