"""Metrics of ranked candidate lists."""

from collections.abc import Callable

import keras
import numpy as np

from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.errors import InputError
from tfllmrec.evaluation import metrics

ListScorer = Callable[[CandidateLists], np.ndarray]
"""Maps the lists of n targets with N candidates to scores float32 [n, N]."""

NOT_FOUND = np.iinfo(np.int32).max
"""The rank of a target that is not in its list."""


def list_ranks(scores: np.ndarray, lists: CandidateLists) -> np.ndarray:
    """Return the rank of every target in its list by the scores, int64 [n]; ties count against it.

    Args:
        scores: [n, N]; scores of the padding, candidate 0, are ignored.
        lists: the scored lists.

    Raises:
        InputError: If the shapes differ or a score is not finite.

    Example:
        >>> from tfllmrec.data import Histories, Targets
        >>> from tfllmrec.data.candidate_lists import CandidateLists
        >>> targets = Targets(np.zeros(1, np.int32), Histories.from_rows([[]]), np.array([7], np.int32))
        >>> list_ranks(np.array([[0.5, 0.9, 0.1]]), CandidateLists(targets, np.array([[7, 8, 9]], np.int32)))
        array([2])
    """
    candidates = lists.candidates
    if scores.shape != candidates.shape or not np.isfinite(scores).all():
        raise InputError(
            f"lists: the scores must be finite and have the shape {candidates.shape}; got {scores.shape}, "
            f"{int(np.sum(~np.isfinite(scores))):,} of them not finite"
        )
    is_target = candidates == lists.targets.items[:, None]
    own = np.max(np.where(is_target, scores, -np.inf), axis=1, keepdims=True)
    ranks = np.sum((scores >= own) & (candidates > 0) & ~is_target, axis=1) + 1
    return np.where(is_target.any(axis=1), ranks, NOT_FOUND)


class ListCallback(keras.callbacks.Callback):
    """Add `val_ndcg@k` of ranked lists to the logs of every epoch.

    A target that is not in its list has an ndcg of 0, and its list is not scored.

    Args:
        score: called at the end of each epoch.
        lists: candidates of a retriever for the validation targets.
        k: length of the lists that count.
    """

    def __init__(self, score: ListScorer, lists: CandidateLists, k: int = 10) -> None:
        super().__init__()
        self.score, self.k = score, k
        self._lists, self._count = lists.with_target(), max(len(lists.targets), 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Rank the lists with the weights of this epoch."""
        if logs is not None:
            ranks = list_ranks(self.score(self._lists), self._lists)
            logs[f"val_ndcg@{self.k}"] = float(metrics.ndcg(ranks, self.k).sum() / self._count)
