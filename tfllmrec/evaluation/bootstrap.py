"""Bootstrap confidence intervals over users, of shares and of differences between two models."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfllmrec.errors import InputError

_NUMBERS_IN_MEMORY = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


def difference(a: np.ndarray, b: np.ndarray, *, samples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the mean of a - b over users and its bootstrap interval; users are drawn with both values.

    Args:
        a: one value per user, such as `metrics.ndcg(ranking.ranks, 10)`.
        b: the other model's values for the same users, in the same order.
        samples: bootstrap samples.
        level: share of the samples' means inside the interval.
        seed: seed of the draws.

    Raises:
        InputError: If `a` and `b` differ in length or have fewer than two values.

    Example:
        >>> difference(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.0, -0.5]))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    _require_users(a, b)
    # Drawing pairs and averaging their differences is drawing differences.
    return _interval((a - b,), np.mean, samples, level, seed)


def share(hits: np.ndarray, counts: np.ndarray, *, samples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the sum of hits over the sum of counts and its bootstrap interval; users are drawn with both.

    Use it for lists or events, of which a user has any number. They are correlated, so the interval is wider than that
    of as many users with one each.

    Args:
        hits: one number per user.
        counts: the denominators, for the same users; at least one is above 0.
        samples: bootstrap samples; a sample with only zero counts is left out.
        level: share of the samples' shares inside the interval.
        seed: seed of the draws.

    Raises:
        InputError: If the arrays differ in length or have fewer than two values.

    Example:
        >>> share(np.array([1, 3, 2]), np.array([2, 6, 4])).mean
        0.5
    """
    _require_users(hits, counts)
    return _interval((hits, counts), _share, samples, level, seed)


def share_difference(
    hits_a: np.ndarray,
    counts_a: np.ndarray,
    hits_b: np.ndarray,
    counts_b: np.ndarray,
    *,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the difference of two shares, a - b, and its bootstrap interval; a user may count in both, one or none.

    See `share` for the arguments.

    Example:
        >>> share_difference(np.array([1, 0]), np.array([1, 1]), np.array([0, 1]), np.array([2, 2])).mean
        0.25
    """
    _require_users(hits_a, counts_a, hits_b, counts_b)
    return _interval((hits_a, counts_a, hits_b, counts_b), _share_difference, samples, level, seed)


def _share(hits: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # 0 / 0, where all counts of a draw are 0
        return hits.sum(axis) / counts.sum(axis)


def _share_difference(
    hits_a: np.ndarray, counts_a: np.ndarray, hits_b: np.ndarray, counts_b: np.ndarray, axis: int = -1
) -> np.ndarray:
    return _share(hits_a, counts_a, axis) - _share(hits_b, counts_b, axis)


def _require_users(*columns: np.ndarray) -> None:
    shapes = [column.shape for column in columns]
    if len(set(shapes)) > 1 or len(columns[0]) < 2:
        raise InputError(f"bootstrap: give one value per user for two or more users; got {', '.join(map(str, shapes))}")


def _interval(
    columns: tuple[np.ndarray, ...], statistic: Callable[..., Any], samples: int, level: float, seed: int
) -> Interval:
    # Percentiles: BCa needs a jackknife (users x users numbers) and fails where all values are equal.
    users, random = len(columns[0]), np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_IN_MEMORY // users)
    drawn = []
    for start in range(0, samples, at_once):
        draws = random.integers(0, users, (min(at_once, samples - start), users))
        drawn.append(statistic(*(column[draws] for column in columns), axis=-1))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(*columns)), float(low), float(high))
