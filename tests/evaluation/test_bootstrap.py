import numpy as np
import pytest

from tfllmrec.errors import InputError
from tfllmrec.evaluation.bootstrap import Interval, difference, share, share_difference


def test_the_interval_is_the_normal_one_where_that_holds() -> None:
    rng = np.random.default_rng(1)
    b = rng.random(4000)
    a = b + rng.normal(0.02, 0.1, 4000)
    found = difference(a, b)
    half = 1.96 * np.std(a - b) / np.sqrt(4000)
    assert found.mean == pytest.approx(np.mean(a - b))
    assert found.low == pytest.approx(found.mean - half, abs=half / 10)
    assert found.high == pytest.approx(found.mean + half, abs=half / 10)
    assert found.low > 0


def test_pairing_sees_what_the_spread_over_users_hides() -> None:
    b = np.random.default_rng(2).random(300)
    assert difference(b + 0.001, b).low == pytest.approx(0.001)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    intervals = [difference(rng.exponential(size=150), np.ones(150), samples=300, level=0.8) for _ in range(200)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.72 < covered < 0.88


def test_models_that_agree_have_no_difference() -> None:
    a = np.random.default_rng(4).random(50)
    assert difference(a, a) == Interval(0, 0, 0)


def test_the_seed_decides_and_the_global_generator_does_not() -> None:
    a, b = np.random.default_rng(5).random((2, 60))
    assert difference(a, b) == difference(a, b) != difference(a, b, seed=1)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_users_must_pair(a: list[float], b: list[float]) -> None:
    with pytest.raises(InputError, match="one value a user"):
        difference(np.array(a), np.array(b))


def test_a_share_of_lists_is_as_sure_as_its_users_are_many() -> None:
    rng = np.random.default_rng(6)
    hits = rng.binomial(1, 0.3, 400)
    alone, repeated = share(hits, np.ones(400)), share(10 * hits, np.full(400, 10))
    half = 1.96 * np.sqrt(alone.mean * (1 - alone.mean) / 400)
    assert alone == repeated  # ten lists that are all alike tell no more than one
    assert alone.high - alone.low == pytest.approx(2 * half, rel=0.1)


def test_a_share_weighs_users_by_what_they_have() -> None:
    assert share(np.array([3, 0]), np.array([3, 1])).mean == 0.75
    assert share_difference(np.array([3, 0]), np.array([3, 1]), np.array([0, 1]), np.array([0, 2])).mean == 0.25


def test_a_difference_of_shares_pairs_what_a_user_has_of_both() -> None:
    rng = np.random.default_rng(7)
    of_users = rng.random(300)
    counts = np.full(300, 20)
    both = share_difference(of_users * 20, counts, of_users * 20 - 1, counts)
    assert (both.low, both.high) == (pytest.approx(0.05), pytest.approx(0.05))


def test_draws_with_nothing_counted_are_left_out() -> None:
    assert share(np.array([1, 0, 0]), np.array([2, 0, 0])) == Interval(0.5, 0.5, 0.5)


def test_shares_must_be_of_the_same_users() -> None:
    with pytest.raises(InputError, match="one value a user"):
        share_difference(np.ones(3), np.ones(3), np.ones(2), np.ones(2))
