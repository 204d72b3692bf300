"""Lists of candidates as retrievers find and score them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfllmrec.data.candidate_lists import CandidateLists, union
from tfllmrec.data.splits import Targets
from tfllmrec.models.base.recommender import Recommender

AT_ONCE = 256
"""Questions that a model is asked at a time."""


def found_by(retrievers: Sequence[Recommender], questions: Targets, count: int) -> CandidateLists:
    """The best items of every retriever, each once.

    Args:
        retrievers: fitted.
        questions: whose seen items are left out.
        count: items that each retriever finds.
    """
    return union([CandidateLists(questions, one.rank_targets(questions, count).top) for one in retrievers])


def scores_of(retriever: Recommender, lists: CandidateLists) -> np.ndarray:
    """A retriever's scores of lists, float32 [n, N]."""

    def score(users: np.ndarray, histories: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return np.take_along_axis(retriever.score(users, histories).numpy(), candidates, axis=1)

    return scored_by(score, lists, retriever.history_length)


def scored_by(score: Callable[..., ArrayLike], lists: CandidateLists, history_length: int) -> np.ndarray:
    """Scores of lists, float32 [n, N], some of them at a time.

    Args:
        score: users int32 [B], histories int32 [B, L], candidates int32 [B, N] -> [B, N].
        lists: n questions.
        history_length: L, how many of the newest items of a history are read.
    """
    histories, scores = (
        lists.targets.histories.most_recent(history_length),
        np.zeros(lists.candidates.shape, np.float32),
    )
    for start in range(0, len(scores), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        scores[part] = score(lists.targets.users[part], histories[part], lists.candidates[part])
    return scores
