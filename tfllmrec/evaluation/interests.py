"""The AUC of interest labels, and the share of a label in a history, which is the baseline."""

import numpy as np
from scipy import sparse, stats

from tfllmrec.data.histories import Histories
from tfllmrec.errors import InputError


def label_aucs(scores: np.ndarray, labels: np.ndarray, *, min_positives: int = 10) -> np.ndarray:
    """Return the area under the ROC curve of every label over users; NaN for a label of too few or of all users.

    It is the probability that a user with the label has a higher score than one without it; ties count half.

    Args:
        scores: float [n, labels].
        labels: whether the user has the label, bool [n, labels].
        min_positives: minimum number of users with a label; labels of fewer users have no AUC.

    Returns:
        float64 [labels]; `numpy.nanmean` of it is the macro average.

    Raises:
        InputError: If no label has an AUC.

    Example:
        >>> label_aucs(np.array([[0.1], [0.9], [0.5]]), np.array([[False], [True], [True]]), min_positives=1)
        array([1.])
    """
    positives = labels.sum(axis=0)
    negatives = len(labels) - positives
    ranks = stats.rankdata(scores, axis=0)
    above = (ranks * labels).sum(axis=0) - positives * (positives + 1) / 2
    counted = (positives >= max(min_positives, 1)) & (negatives > 0)
    if not counted.any():
        raise InputError(f"interests: no label has at least {min_positives} users with it and one without it")
    return np.where(counted, above / np.maximum(positives * negatives, 1), np.nan)


def label_shares(histories: Histories, labels: np.ndarray) -> np.ndarray:
    """Return the share of a history's items with each label, float64 [rows, labels]; zeros for an empty history.

    Args:
        histories: item indices.
        labels: whether an item has a label, bool [items + 1, labels].
    """
    columns, count = histories.values, len(labels)
    table = sparse.csr_array((np.ones(len(columns)), columns, histories.offsets), shape=(len(histories), count))
    return np.asarray(table @ labels.astype(np.float64)) / np.maximum(histories.lengths, 1)[:, None]
