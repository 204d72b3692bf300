"""How far what is served has moved, between two times or two versions: which items, and with which scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

_BINS, _SCORE_BINS, _STEPS = 10, 40, 20
_LEAST_SHARE = 1e-4  # of a bin, lest an empty one make the index infinite
_SHUFFLES = 20


@dataclass(frozen=True)
class Moved:
    """A distance between two sets of lists, and what it is if the same lists are dealt to the two by chance.

    Small sets differ by chance alone, so a distance says nothing without the other.
    """

    distance: float
    by_chance: float


@dataclass(frozen=True)
class Drift:
    """How far one set of lists is from another; None where one of them has no item, or no score.

    Attributes:
        popularity: Jensen-Shannon distance of the shares that items have in what is served, 0 to 1.
        scores: population stability index of the scores in ten bins; above .25 is held to be a large shift.
        largest_gap: Kolmogorov-Smirnov statistic of the scores, the largest gap between the cumulated shares, 0 to 1.
    """

    popularity: Moved | None
    scores: Moved | None
    largest_gap: Moved | None


def drift(before: pd.DataFrame, after: pd.DataFrame, k: int, seed: int = 0) -> Drift:
    """How far lists have moved from others.

    Args:
        before: as `Served.lists`.
        after: the others.
        k: first places of a list that count.
        seed: of the dealing.
    """
    lists = pd.concat([before, after], ignore_index=True)
    is_after = np.arange(len(lists)) >= len(before)
    rows, items = _flat(lists["item_ids"], k)
    scored, scores = _flat(lists["scores"], k)
    return Drift(
        _moved(_items_apart, is_after, rows, pd.factorize(items)[0], seed),
        _moved(stability_index, is_after, scored, scores.astype(float), seed),
        _moved(largest_gap, is_after, scored, scores.astype(float), seed),
    )


def _moved(
    apart: Callable[[np.ndarray, np.ndarray], float],
    is_after: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    seed: int,
) -> Moved | None:
    filled, rows = np.unique(rows, return_inverse=True)
    is_after, random = is_after[filled], np.random.default_rng(seed)
    if is_after.all() or not is_after.any():
        return None
    sides = [is_after, *(random.permutation(is_after) for _ in range(_SHUFFLES))]
    found, *chance = (apart(values[~side[rows]], values[side[rows]]) for side in sides)
    return Moved(found, float(np.mean(chance)))


def _items_apart(a: np.ndarray, b: np.ndarray) -> float:
    size = max(a.max(), b.max()) + 1
    return jensen_shannon(np.bincount(a, minlength=size), np.bincount(b, minlength=size))


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    """The Jensen-Shannon distance, with logarithms to base 2, of two distributions given as counts of the same things.

    Example:
        >>> jensen_shannon(np.array([3, 0]), np.array([0, 5]))
        1.0
    """
    return float(distance.jensenshannon(a, b, base=2))


def gini(counts: np.ndarray) -> float:
    """How unequal counts are: 0 where all are the same, towards 1 where one has everything.

    Example:
        >>> gini(np.array([0, 0, 0, 8]))
        0.75
    """
    if not counts.any():
        return 0.0
    ordered, size = np.sort(counts), len(counts)
    return float(2 * (np.arange(1, size + 1) * ordered).sum() / (size * ordered.sum()) - (size + 1) / size)


def concentration(counts: np.ndarray) -> list[float]:
    """The share of the whole that the largest counts have: after 0 %, 5 %, ... 100 % of them; none of nothing."""
    if not counts.any():
        return []
    cumulated = np.insert(np.cumsum(np.sort(counts)[::-1]), 0, 0) / counts.sum()
    return np.interp(np.linspace(0, 1, _STEPS + 1), np.linspace(0, 1, len(cumulated)), cumulated).tolist()


def stability_index(before: np.ndarray, after: np.ndarray) -> float:
    """Population stability index: sum over bins of (q - p) ln(q / p), bins being the deciles of `before`.

    Example:
        >>> stability_index(np.arange(100.0), np.arange(100.0))
        0.0
    """
    edges = np.unique(np.quantile(before, np.arange(1, _BINS) / _BINS))
    p, q = (
        np.maximum(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) / len(part), _LEAST_SHARE)
        for part in (before, after)
    )
    return float(((q - p) * np.log(q / p)).sum())


def largest_gap(before: np.ndarray, after: np.ndarray) -> float:
    """The Kolmogorov-Smirnov statistic of two samples."""
    return float(stats.ks_2samp(before, after, method="asymp").statistic)


def item_counts(lists: pd.DataFrame, k: int) -> pd.Series:
    """How often every item was served in the first k places, by its id."""
    return pd.Series(_flat(lists["item_ids"], k)[1]).value_counts()


def first_scores(lists: pd.DataFrame, k: int) -> np.ndarray:
    """The scores of the first k places of all lists."""
    return _flat(lists["scores"], k)[1].astype(float)


def score_edges(scores: np.ndarray) -> np.ndarray:
    """The edges of bins of one width for 99 % of the scores; none without scores."""
    if not len(scores):
        return scores
    low, high = np.quantile(scores, [0.005, 0.995])
    return np.linspace(low, high, _SCORE_BINS + 1)


def score_shares(scores: np.ndarray, edges: np.ndarray) -> list[float]:
    """The share of the scores in every bin; none without scores."""
    return (np.histogram(scores, edges)[0] / len(scores)).tolist() if len(scores) else []


def _flat(column: pd.Series, k: int) -> tuple[np.ndarray, np.ndarray]:
    """What stands in the first k places of all lists, and in which list each is, by position."""
    cut = column.str[:k]
    rows = np.repeat(np.arange(len(cut)), cut.str.len())
    return rows, np.array([value for values in cut for value in values], object)
