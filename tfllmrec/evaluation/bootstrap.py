"""How sure is a difference between two models: a paired bootstrap over users."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tfllmrec.errors import InputError

_NUMBERS_IN_MEMORY = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


def difference(a: np.ndarray, b: np.ndarray, *, samples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """The mean of a - b over users and its bootstrap interval; a draw of a user takes both values.

    Args:
        a: one value a user, `metrics.ndcg(ranking.ranks, 10)` say.
        b: the other model's values for the same users, in the same order.
        samples: bootstrap samples.
        level: share of the samples' means inside the interval.
        seed: of the draws.

    Raises:
        InputError: `a` and `b` are not of one length of at least two.

    Example:
        >>> difference(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.0, -0.5]))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    if a.shape != b.shape or len(a) < 2:
        raise InputError(f"bootstrap: give one value a user, for at least two users; got {a.shape} and {b.shape}")
    # Drawing pairs and averaging their differences is drawing differences. Percentiles and not SciPy's BCa,
    # which leaves out each user once (users x users numbers) and fails where all differences are equal.
    result = stats.bootstrap(
        (a - b,),
        np.mean,
        n_resamples=samples,
        batch=max(1, _NUMBERS_IN_MEMORY // len(a)),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return Interval(float(np.mean(a - b)), float(low), float(high))
