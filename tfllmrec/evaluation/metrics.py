"""Metrics at k of ranks, with one relevant item per target, and of recommended lists."""

import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.evaluation.ranking import RankedTargets


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """Normalised discounted cumulative gain of each target: 1 / log2(1 + rank) if rank <= k, else 0.

    Example:
        >>> ndcg(np.array([1, 3, 11]), 10)
        array([1. , 0.5, 0. ])
    """
    return np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)


def recall(ranks: np.ndarray, k: int) -> np.ndarray:
    """Recall of each target, which equals the hit rate for one relevant item: 1 if rank <= k, else 0.

    Example:
        >>> recall(np.array([1, 3, 11]), 10)
        array([1., 1., 0.])
    """
    return (ranks <= k).astype(np.float64)


def mrr(ranks: np.ndarray, k: int) -> np.ndarray:
    """Reciprocal rank of each target: 1 / rank if rank <= k, else 0.

    Example:
        >>> mrr(np.array([1, 4, 11]), 10)
        array([1.  , 0.25, 0.  ])
    """
    return np.where(ranks <= k, 1 / ranks, 0.0)


def precision(ranks: np.ndarray, k: int) -> np.ndarray:
    """Precision of each target's list: 1 / k if rank <= k, else 0.

    Example:
        >>> precision(np.array([1, 3, 11]), 10)
        array([0.1, 0.1, 0. ])
    """
    return recall(ranks, k) / k


def f1(ranks: np.ndarray, k: int) -> np.ndarray:
    """Harmonic mean of precision 1 / k and recall 1: 2 / (k + 1) if rank <= k, else 0.

    Example:
        >>> f1(np.array([1, 3, 11]), 9)
        array([0.2, 0.2, 0. ])
    """
    return recall(ranks, k) * 2 / (k + 1)


def coverage(top: np.ndarray, item_count: int) -> float:
    """Share of the catalog that is recommended to any user: |items in the lists| / |items|.

    Args:
        top: recommended items, [n, k]; 0 is padding.
        item_count: items of the catalog, without the padding.

    Example:
        >>> coverage(np.array([[1, 2], [2, 0]]), item_count=4)
        0.5
    """
    return float(np.count_nonzero(np.unique(top)) / item_count)


def novelty(top: np.ndarray, item_counts: np.ndarray) -> float:
    """Mean self-information in bits of the recommended items: mean over the lists of -log2 p(item).

    p(item) = (c(item) + 1) / (sum of c + |items|) is the item's share of the training interactions with add-one
    smoothing, so that the novelty of an item without interactions is finite. N equally frequent items have novelty
    log2 N.

    Args:
        top: recommended items, [n, k]; 0 is padding and left out of the mean.
        item_counts: training interactions of every item, [items + 1]; element 0 is ignored.

    Example:
        >>> counts = np.array([0, 3, 1, 0, 0])  # p = 1/2, 1/4, 1/8, 1/8
        >>> novelty(np.array([[1, 2], [3, 0]]), counts)
        2.0
    """
    smoothed = item_counts[1:] + 1
    information = -np.log2(smoothed / smoothed.sum())
    return float(information[top[top > 0] - 1].mean())


def summarise(ranking: RankedTargets, item_counts: np.ndarray, k: int = 10) -> dict[str, float]:
    """Return all metrics at k; models are compared by the first, ndcg.

    Args:
        ranking: ranks with top lists of at least k items.
        item_counts: training interactions of every item, [items + 1].
        k: length of the lists that count.

    Raises:
        InputError: If the top lists are shorter than k.

    Example:
        >>> from tfllmrec.evaluation import RankedTargets
        >>> ranking = RankedTargets(np.array([1, 3]), np.array([[1, 2], [2, 1]]))
        >>> summarise(ranking, np.array([0, 1, 1]), k=2)["ndcg@2"]
        0.5
    """
    if ranking.top.shape[1] < k:
        raise InputError(f"metrics at {k} need top lists of {k} items; these were made with k={ranking.top.shape[1]}")
    top = ranking.top[:, :k]
    means = {metric.__name__: float(metric(ranking.ranks, k).mean()) for metric in (ndcg, recall, mrr, precision, f1)}
    lists = {"coverage": coverage(top, len(item_counts) - 1), "novelty": novelty(top, item_counts)}
    return {f"{name}@{k}": value for name, value in (means | lists).items()}
