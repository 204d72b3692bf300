import numpy as np
import pytest

from tfllmrec.errors import InputError
from tfllmrec.evaluation.bootstrap import Interval, difference, share, share_difference


def test_interval_matches_the_normal_approximation() -> None:
    rng = np.random.default_rng(1)
    b = rng.random(4000)
    a = b + rng.normal(0.02, 0.1, 4000)
    interval = difference(a, b)
    half = 1.96 * np.std(a - b) / np.sqrt(4000)
    assert interval.mean == pytest.approx(np.mean(a - b))
    assert interval.low == pytest.approx(interval.mean - half, abs=half / 10)
    assert interval.high == pytest.approx(interval.mean + half, abs=half / 10)
    assert interval.low > 0


def test_pairing_removes_the_variance_between_users() -> None:
    b = np.random.default_rng(2).random(300)
    assert difference(b + 0.001, b).low == pytest.approx(0.001)


def test_coverage_equals_the_confidence_level() -> None:
    rng = np.random.default_rng(3)
    intervals = [difference(rng.exponential(size=150), np.ones(150), samples=300, level=0.8) for _ in range(200)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.72 < covered < 0.88


def test_equal_models_have_a_zero_interval() -> None:
    a = np.random.default_rng(4).random(50)
    assert difference(a, a) == Interval(0, 0, 0)


def test_draws_depend_on_the_seed_only() -> None:
    a, b = np.random.default_rng(5).random((2, 60))
    assert difference(a, b) == difference(a, b) != difference(a, b, seed=1)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_unpaired_or_too_few_users_raise(a: list[float], b: list[float]) -> None:
    with pytest.raises(InputError, match="one value per user"):
        difference(np.array(a), np.array(b))


def test_interval_of_a_share_depends_on_the_number_of_users() -> None:
    rng = np.random.default_rng(6)
    hits = rng.binomial(1, 0.3, 400)
    single, repeated = share(hits, np.ones(400)), share(10 * hits, np.full(400, 10))
    half = 1.96 * np.sqrt(single.mean * (1 - single.mean) / 400)
    assert single == repeated  # ten equal lists of a user carry no more information than one
    assert single.high - single.low == pytest.approx(2 * half, rel=0.1)


def test_shares_weight_users_by_their_counts() -> None:
    assert share(np.array([3, 0]), np.array([3, 1])).mean == 0.75
    assert share_difference(np.array([3, 0]), np.array([3, 1]), np.array([0, 1]), np.array([0, 2])).mean == 0.25


def test_share_difference_pairs_users() -> None:
    rng = np.random.default_rng(7)
    rates = rng.random(300)
    counts = np.full(300, 20)
    both = share_difference(rates * 20, counts, rates * 20 - 1, counts)
    assert (both.low, both.high) == (pytest.approx(0.05), pytest.approx(0.05))


def test_draws_without_counts_are_ignored() -> None:
    assert share(np.array([1, 0, 0]), np.array([2, 0, 0])) == Interval(0.5, 0.5, 0.5)


def test_shares_of_different_users_raise() -> None:
    with pytest.raises(InputError, match="one value per user"):
        share_difference(np.ones(3), np.ones(3), np.ones(2), np.ones(2))
