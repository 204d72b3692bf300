"""Lists of candidates as retrievers find and score them."""

from collections.abc import Sequence

import numpy as np

from tfllmrec.data.lists import Lists, union
from tfllmrec.data.splits import Targets
from tfllmrec.recommenders.base import Recommender

AT_ONCE = 256
"""Questions that a model is asked at a time."""


def found_by(retrievers: Sequence[Recommender], questions: Targets, count: int) -> Lists:
    """The best items of every retriever, each once.

    Args:
        retrievers: fitted.
        questions: whose seen items are left out.
        count: items that each retriever finds.
    """
    return union([Lists(questions, one.rank(questions, count).top) for one in retrievers])


def scores_of(retriever: Recommender, lists: Lists) -> np.ndarray:
    """A retriever's scores of lists, float32 [n, N]."""
    histories, users = lists.targets.histories.newest(retriever.history_length), lists.targets.users
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(users), AT_ONCE)]
    scores = (retriever.score(users[part], histories[part]).numpy() for part in parts)
    return np.concatenate(
        [np.take_along_axis(of_all, lists.candidates[part], axis=1) for of_all, part in zip(scores, parts, strict=True)]
    )
