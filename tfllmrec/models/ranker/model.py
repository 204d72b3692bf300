"""What rankers have in common: scores of given candidates, and training on lists that a retriever found."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.pretrained import Bert
from tfllmrec.data.batches import rating_batches
from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets, leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.evaluation.lists import ListCallback
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets
from tfllmrec.evaluation.ratings import RatingCallback
from tfllmrec.models.base.config import STRICT, Fraction, Positive
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.base.trainer import NeuralConfig, NeuralRecommender
from tfllmrec.models.baselines.popularity import popular_candidates_if_empty
from tfllmrec.models.ranker.candidates import found_by, scored_by
from tfllmrec.models.ranker.text_ranker import PairTextRanker, TextRanker
from tfllmrec.tasks.ranking import Objective, RankingModel, RankingTask
from tfllmrec_client.requests import rank_request

Retrieve = Callable[[Dataset, Sequence[Targets]], list[CandidateLists]]
"""Fitted on a data set, what it finds for questions."""
_PAIRS_AT_ONCE = 2**16  # 32 MB, where an item vector has 128 numbers


@dataclass(frozen=True, config=STRICT)
class RankerConfig(NeuralConfig):
    """Attributes beside those of every `NeuralConfig`, which are those of the training on lists.

    retriever: the family that finds the candidates to train on, with its own defaults.
    candidates: how many it finds for a user.
    list_size: candidates of a list in training, the answer and others drawn anew in every epoch; None for all.
    max_train_lists: lists with their answer that are trained on, a seeded sample of them; None for all.
    max_validation_lists: validation lists that decide when to stop, a seeded sample of them; None for all.
    objective: see `tfllmrec.tasks.ranking.RankingTask`; "rating" learns from the ratings of all interactions instead of
        from lists, and is chosen by the error on the validation targets' ratings.
    """

    retriever: str = "markov_chain"
    candidates: Positive = 100
    list_size: Positive | None = None
    max_train_lists: Positive | None = None
    max_validation_lists: Positive | None = None
    objective: Objective = "listwise"
    learning_rate: float = Field(default=3e-3, gt=0)
    ema: Fraction = 0.9
    batch_size: Positive = 32
    epochs: Positive = 40
    patience: Positive = 6


class Ranker(NeuralRecommender):
    """A recommender whose model scores given candidates, trained on what a retriever finds.

    It learns from the lists that have their answer, as they were found: an answer put into a list by hand would look
    like nothing that was retrieved, and be told by that. Nothing leaks: with n interactions of a user before
    validation, the retriever of the lists to train on knows the first n - 1, and the n-th is the answer. It is fitted
    once more, on all n, for the lists to choose by.

    Attributes:
        bert: the backbone and its tokenizer.
        ranker: {"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, N]} -> scores float32 [B, N].
        retrieve: finds the lists; by default with `config.retriever`.
    """

    bert: Bert
    ranker: keras.Model
    retrieve: Retrieve
    _lists: CandidateLists
    _to_choose_by: CandidateLists

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config, **options)
        self.retrieve = self._retrieve

    def _retrieve(self, train: Dataset, questions: Sequence[Targets]) -> list[CandidateLists]:
        from tfllmrec.models.registry import model_class  # which knows the rankers

        retriever = model_class(self.config.retriever)(seed=self.config.seed).fit(train, verbose=0)
        return [found_by([retriever], asked, self.config.candidates) for asked in questions]

    @abstractmethod
    def _prepare(self, train: Dataset, earlier: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        """Whatever there is to learn of all items and of the earlier interactions before there are lists."""

    def _finish(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        """Whatever there is to learn of the interactions that were answers, once the lists are done with."""

    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        if self.config.objective == "rating":
            self._chosen_by, self._better = "val_rmse", "min"
            self._prepare(train, train, validation, fitting)
        else:
            earlier, last = leave_last_out(train)
            self._prepare(train, earlier, validation, fitting)
            self._make_lists(train, earlier, last, validation)
        super()._fit(train, validation, fitting)
        self._finish(train, validation, fitting)

    def _make_lists(self, train: Dataset, earlier: Dataset, last: Targets, validation: Targets | None) -> None:
        """Lists to train on, and to choose by."""
        config = self.config
        answered = self.retrieve(earlier, [last])[0].with_target()
        if not len(answered.targets):
            raise InputError(
                f"{self.family}: its retriever finds none of the items to learn from; give it more than "
                f"{config.candidates} candidates, or another retriever"
            )
        self._lists = self._sample(answered, config.max_train_lists)
        if validation is not None:
            self._to_choose_by = self._sample(self.retrieve(train, [validation])[0], config.max_validation_lists)

    def _sample(self, lists: CandidateLists, most: int | None) -> CandidateLists:
        drawn = np.random.default_rng(self.config.seed).permutation(len(lists.targets))[:most]
        return lists.take(np.sort(drawn))

    def _trainer(self) -> keras.Model:
        return RankingModel(self.ranker, RankingTask(self.config.objective))

    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        config = self.config
        order = {"seed": config.seed, "first_epoch": first_epoch}
        if config.objective == "rating":
            return rating_batches(train, config.history_length, config.batch_size, **order)
        return self._lists.batches(config.history_length, config.batch_size, size=config.list_size, **order)

    def _ranking(self, validation: Targets) -> keras.callbacks.Callback:
        if self.config.objective == "rating":
            return RatingCallback(self.predict_ratings, validation)
        return ListCallback(self.score_lists, self._to_choose_by)

    def predict_ratings(self, targets: Targets) -> np.ndarray:
        """What users will rate the targets' items, float32 [n], of a ranker whose objective was "rating"."""
        return self.score_lists(CandidateLists(targets, targets.items[:, None]))[:, 0]

    def score_candidates(self, users: np.ndarray, histories: np.ndarray, candidates: np.ndarray) -> tf.Tensor:
        """Scores of given candidates: int32 [B], [B, L], [B, N] -> float32 [B, N]."""
        return self._rank({"user": users, "history": histories, "candidates": candidates})

    def rank_targets(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> RankedTargets:
        """As every family does; where only some items are ranked, no others are scored.

        A ranker of ratings puts those in order by what it expects, also after an empty history.
        """
        if item_subset is None:
            return super().rank_targets(targets, k)
        self.require_fitted()
        columns = len(self.fitted_data.items) + 1

        def score(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
            scores = np.zeros((len(users), columns), np.float32)
            candidates = np.tile(item_subset.astype(np.int32), (len(users), 1))
            scores[:, item_subset] = self.score_candidates(users, histories, candidates)
            return scores

        block = 1 + _PAIRS_AT_ONCE // max(1, len(item_subset))
        return rank_targets(score, targets, self.history_length, k=k, item_subset=item_subset, block=block)

    @abstractmethod
    def text_ranker(self) -> TextRanker | PairTextRanker:
        """The ranker of raw texts, a function of TensorFlow."""

    def score_texts(self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Scores of candidates that no catalogue knows, after histories that it does not know either, as raw texts.

        Args:
            histories: texts, oldest first, one sequence a row; what was searched for may be the last.
            candidates: texts, one sequence a row.

        Returns:
            Scores float32 of every row; float32's lowest for blank candidates.

        Raises:
            InputError: not as many histories as candidates, or a string for a sequence.
        """
        self.require_fitted()
        asked = rank_request(candidates, histories=histories)
        utf8 = ([[text.encode("utf-8", "replace") for text in row] for row in part] for part in asked[1:3])
        rows = [tf.ragged.constant(part, dtype=tf.string, ragged_rank=1).to_tensor("") for part in utf8]
        scores = self._rank_texts(*rows).numpy()
        return [row[: len(texts)] for row, texts in zip(scores, asked.candidates, strict=True)]

    @property
    def served_models(self) -> list[keras.Model]:
        """What answers beside the scoring model."""
        return [self.ranker, *self.text_ranker().models]

    def score_lists(self, lists: CandidateLists) -> np.ndarray:
        """Scores of lists, float32 [n, N]."""
        return scored_by(self.score_candidates, lists, self.history_length)

    def _rank_with(self, ranker: keras.Model) -> None:
        """Score candidates with this model from now on, and by their popularity after an empty history."""
        if self.config.objective != "rating":  # which popularity is not
            scores = popular_candidates_if_empty(ranker.output, self.fitted_data, ranker.input)
            ranker = keras.Model(ranker.input, scores)
        self.ranker = ranker
        inputs = {name: tf.TensorSpec(given.shape, given.dtype, name) for name, given in ranker.input.items()}
        self._rank = tf.function(ranker, input_signature=[inputs])
        texts = tf.TensorSpec([None, None], tf.string)
        self._rank_texts = tf.function(self.text_ranker(), input_signature=[texts, texts])
