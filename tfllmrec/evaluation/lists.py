"""How well lists of candidates are put in order."""

from collections.abc import Callable

import keras
import numpy as np

from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.errors import InputError
from tfllmrec.evaluation import metrics

ListScorer = Callable[[CandidateLists], np.ndarray]
"""Lists of n questions with N candidates -> scores float32 [n, N]."""

NOT_FOUND = np.iinfo(np.int32).max
"""The rank of an answer that is not in its list."""


def list_ranks(scores: np.ndarray, lists: CandidateLists) -> np.ndarray:
    """The rank of every answer in its list by these scores, int64 [n]; ties count against it.

    Args:
        scores: [n, N]; those of empty places, candidate 0, do not count.
        lists: what was scored.

    Raises:
        InputError: the shapes differ, or a score is not finite.

    Example:
        >>> targets = Targets(np.zeros(1, np.int32), Histories.from_rows([[]]), np.array([7], np.int32))
        >>> list_ranks(np.array([[0.5, 0.9, 0.1]]), Lists(targets, np.array([[7, 8, 9]], np.int32)))
        array([2])
    """
    candidates, answers = lists.candidates, lists.targets.items[:, None]
    if scores.shape != candidates.shape or not np.isfinite(scores).all():
        raise InputError(
            f"lists: there must be one finite score a candidate, {candidates.shape}; got {scores.shape}, "
            f"{int(np.sum(~np.isfinite(scores))):,} of them not finite"
        )
    is_answer = candidates == answers
    own = np.max(np.where(is_answer, scores, -np.inf), axis=1, keepdims=True)
    ranks = np.sum((scores >= own) & (candidates > 0) & ~is_answer, axis=1) + 1
    return np.where(is_answer.any(axis=1), ranks, NOT_FOUND)


class ListCallback(keras.callbacks.Callback):
    """Adds `val_ndcg@k` of ordered lists to the logs of every epoch.

    An answer that is not in its list counts 0, in whatever order the list is; the scorer is not asked for it.

    Args:
        score: asked at the end of each epoch.
        lists: of the validation targets, as a retriever found them.
        k: places that count.
    """

    def __init__(self, score: ListScorer, lists: CandidateLists, k: int = 10) -> None:
        super().__init__()
        self.score, self.k = score, k
        self._answered, self._count = lists.with_target(), max(len(lists.targets), 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the lists in order with the weights of this epoch."""
        if logs is not None:
            ranks = list_ranks(self.score(self._answered), self._answered)
            logs[f"val_ndcg@{self.k}"] = float(metrics.ndcg(ranks, self.k).sum() / self._count)
