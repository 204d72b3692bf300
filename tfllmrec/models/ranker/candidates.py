"""Candidate lists: retrieval, scoring in blocks, and the lists that rankers learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfllmrec.data.candidate_lists import CandidateLists, union
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.ranker.config import RankerConfig
from tfllmrec.models.registry import model_class

BLOCK = 256
"""Lists that a model scores at a time."""

Retrieve = Callable[[Dataset, Sequence[Targets]], list[CandidateLists]]
"""Retrieves candidate lists for targets by a retriever that is fitted on the data set."""


def retrieve_candidates(retrievers: Sequence[Recommender], targets: Targets, count: int) -> CandidateLists:
    """Retrieve the best items of every retriever, without repeats.

    Args:
        retrievers: fitted recommenders.
        targets: users and histories; seen items are left out.
        count: items of every retriever.
    """
    return union([CandidateLists(targets, retriever.rank_targets(targets, count).top) for retriever in retrievers])


def single_retriever(config: RankerConfig) -> Retrieve:
    """Return the function that retrieves with the family `config.retriever`."""

    def retrieve(train: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
        retriever = model_class(config.retriever).from_options({"seed": config.seed}).fit(train, verbose=0)
        return [retrieve_candidates([retriever], part, config.candidates) for part in targets]

    return retrieve


def retriever_scores(retriever: Recommender, lists: CandidateLists) -> np.ndarray:
    """Score lists by a retriever, float32 [n, N]."""

    def score(users: np.ndarray, histories: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return np.take_along_axis(retriever.score(users, histories).numpy(), candidates, axis=1)

    return score_in_blocks(score, lists, retriever.history_length)


def ranker_scores(predictor: Predictor, lists: CandidateLists) -> np.ndarray:
    """Score lists by a candidate scorer, float32 [n, N]."""

    def score(users: np.ndarray, histories: np.ndarray, candidates: np.ndarray) -> ArrayLike:
        return predictor.score_candidates(users, histories, candidates)["scores"]

    return score_in_blocks(score, lists, predictor.built.history_length)


def predicted_ratings(predictor: Predictor, targets: Targets) -> np.ndarray:
    """Predict the ratings of the targets' items by a ranker with the objective "rating", float32 [n]."""
    return ranker_scores(predictor, CandidateLists(targets, targets.items[:, None]))[:, 0]


def score_in_blocks(score: Callable[..., ArrayLike], lists: CandidateLists, history_length: int) -> np.ndarray:
    """Score lists block by block, float32 [n, N].

    Args:
        score: maps users int32 [B], histories int32 [B, L] and candidates int32 [B, N] to scores [B, N].
        lists: n lists.
        history_length: most recent items of a history that are read, L.
    """
    histories, scores = (
        lists.targets.histories.most_recent(history_length),
        np.zeros(lists.candidates.shape, np.float32),
    )
    for start in range(0, len(scores), BLOCK):
        part = slice(start, start + BLOCK)
        scores[part] = score(lists.targets.users[part], histories[part], lists.candidates[part])
    return scores


@dataclass(frozen=True)
class TrainingLists:
    """The lists of a ranker.

    Attributes:
        train: lists with their target, as they were retrieved. A target inserted by hand would look different from
            retrieved items, and the ranker would learn that difference.
        validation: lists of validation targets, or None.
    """

    train: CandidateLists
    validation: CandidateLists | None

    @classmethod
    def retrieve(
        cls,
        retrieve: Retrieve,
        config: RankerConfig,
        *,
        train: Dataset,
        earlier: Dataset,
        last: Targets,
        validation: Targets | None,
    ) -> "TrainingLists":
        """Retrieve lists without leakage.

        The retriever of the training lists is fitted on the interactions before the targets; it is fitted again, on
        all training interactions, for the validation lists.

        Args:
            retrieve: retrieves lists.
            config: sample sizes and seed.
            train: the training part.
            earlier: the training part without the last interaction of every user.
            last: these interactions.
            validation: validation targets.

        Raises:
            InputError: If no list has its target.
        """
        with_target = retrieve(earlier, [last])[0].with_target()
        if not len(with_target.targets):
            raise InputError(
                f"ranker: no list of candidates has its target; raise candidates above {config.candidates}, or "
                "choose another retriever"
            )
        lists = _sample(with_target, config.max_train_lists, config.seed)
        if validation is None:
            return cls(lists, None)
        return cls(lists, _sample(retrieve(train, [validation])[0], config.max_validation_lists, config.seed))


def _sample(lists: CandidateLists, size: int, seed: int) -> CandidateLists:
    """Sample lists in their order; 0 keeps all."""
    rows = np.random.default_rng(seed).permutation(len(lists.targets))
    return lists.take(np.sort(rows[: size or None]))
