"""Drift of recommended items and scores between two sets of impressions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

from tfllmrec.monitoring.distributions import flatten

_PSI_BINS = 10
_MIN_SHARE = 1e-4
"""Lower bound of a bin's share: with an empty bin the stability index would be infinite."""
_PERMUTATIONS = 20


@dataclass(frozen=True)
class Distance:
    """Distance between two sets of impressions, and its mean over random splits of the same impressions.

    Small sets differ by chance, so compare `observed` with `by_chance`.
    """

    observed: float
    by_chance: float


@dataclass(frozen=True)
class Drift:
    """Distances between two sets of impressions. A distance is None if a set has no items, or no scores.

    Attributes:
        items: Jensen-Shannon distance between the item distributions, 0 to 1.
        score_psi: population stability index of the scores in ten bins; values above .25 are considered a large shift.
        score_ks: Kolmogorov-Smirnov statistic of the scores, 0 to 1.
    """

    items: Distance | None
    score_psi: Distance | None
    score_ks: Distance | None


def drift(before: pd.DataFrame, after: pd.DataFrame, k: int, seed: int = 0) -> Drift:
    """Measure the drift between two sets of impressions.

    Args:
        before: impressions, see `Impressions.table`.
        after: other impressions.
        k: number of positions that count.
        seed: seed of the random splits.
    """
    impressions = pd.concat([before, after], ignore_index=True)
    is_after = np.arange(len(impressions)) >= len(before)
    item_rows, items = flatten(impressions["item_ids"], k)
    score_rows, scores = flatten(impressions["scores"], k)
    scores = scores.astype(float)
    return Drift(
        items=_distance(_item_distance, is_after, item_rows, pd.factorize(items)[0], seed),
        score_psi=_distance(population_stability_index, is_after, score_rows, scores, seed),
        score_ks=_distance(kolmogorov_smirnov, is_after, score_rows, scores, seed),
    )


def _distance(
    metric: Callable[[np.ndarray, np.ndarray], float],
    is_after: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    seed: int,
) -> Distance | None:
    """Apply a metric to the values before and after, and to random splits of the same impressions.

    Whole impressions are permuted, because the values of one impression are not independent.
    """
    filled, rows = np.unique(rows, return_inverse=True)
    is_after, random = is_after[filled], np.random.default_rng(seed)
    if is_after.all() or not is_after.any():
        return None
    splits = [is_after, *(random.permutation(is_after) for _ in range(_PERMUTATIONS))]
    observed, *by_chance = (metric(values[~split[rows]], values[split[rows]]) for split in splits)
    return Distance(observed, float(np.mean(by_chance)))


def _item_distance(before: np.ndarray, after: np.ndarray) -> float:
    size = max(before.max(), after.max()) + 1
    return jensen_shannon(np.bincount(before, minlength=size), np.bincount(after, minlength=size))


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jensen-Shannon distance (base 2) between two distributions, given as counts of the same items.

    Example:
        >>> jensen_shannon(np.array([3, 0]), np.array([0, 5]))
        1.0
    """
    return float(distance.jensenshannon(a, b, base=2))


def population_stability_index(before: np.ndarray, after: np.ndarray) -> float:
    """Return the population stability index: the sum of (q - p) ln(q / p) over bins at the deciles of `before`.

    Example:
        >>> population_stability_index(np.arange(100.0), np.arange(100.0))
        0.0
    """
    edges = np.unique(np.quantile(before, np.arange(1, _PSI_BINS) / _PSI_BINS))
    p, q = (
        np.maximum(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) / len(part), _MIN_SHARE)
        for part in (before, after)
    )
    return float(((q - p) * np.log(q / p)).sum())


def kolmogorov_smirnov(before: np.ndarray, after: np.ndarray) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic."""
    return float(stats.ks_2samp(before, after, method="asymp").statistic)
