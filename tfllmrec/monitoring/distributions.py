"""Distributions of recommended items and scores."""

import numpy as np
import pandas as pd

_SCORE_BINS, _CURVE_STEPS = 40, 20


def flatten(column: pd.Series, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the first k elements of all lists of a column.

    Returns:
        The row of each element, int [n], and the elements, object [n].
    """
    first_k = column.str[:k]
    rows = np.repeat(np.arange(len(first_k)), first_k.str.len())
    return rows, np.array([value for values in first_k for value in values], object)


def item_counts(impressions: pd.DataFrame, k: int) -> pd.Series:
    """Count how often each item was recommended in the first k positions, by item id."""
    return pd.Series(flatten(impressions["item_ids"], k)[1]).value_counts()


def top_scores(impressions: pd.DataFrame, k: int) -> np.ndarray:
    """Return the scores of the first k positions of all impressions, float [n]."""
    return flatten(impressions["scores"], k)[1].astype(float)


def gini(counts: np.ndarray) -> float:
    """Return the Gini coefficient: 0 for equal counts, close to 1 if one item has all counts.

    Example:
        >>> gini(np.array([0, 0, 0, 8]))
        0.75
    """
    if not counts.any():
        return 0.0
    ordered, size = np.sort(counts), len(counts)
    return float(2 * (np.arange(1, size + 1) * ordered).sum() / (size * ordered.sum()) - (size + 1) / size)


def concentration(counts: np.ndarray) -> list[float]:
    """Return the cumulative share of the largest counts, after 0 %, 5 %, ... 100 % of them; empty without counts."""
    if not counts.any():
        return []
    cumulative = np.insert(np.cumsum(np.sort(counts)[::-1]), 0, 0) / counts.sum()
    return np.interp(np.linspace(0, 1, _CURVE_STEPS + 1), np.linspace(0, 1, len(cumulative)), cumulative).tolist()


def score_edges(scores: np.ndarray) -> np.ndarray:
    """Return the edges of equal-width bins that cover 99 % of the scores; empty without scores."""
    if not len(scores):
        return scores
    low, high = np.quantile(scores, [0.005, 0.995])
    return np.linspace(low, high, _SCORE_BINS + 1)


def score_histogram(scores: np.ndarray, edges: np.ndarray) -> list[float]:
    """Return the share of the scores in each bin; empty without scores."""
    return (np.histogram(scores, edges)[0] / len(scores)).tolist() if len(scores) else []
