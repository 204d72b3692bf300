"""The two-tower retrieval family: a query vector for the user, a candidate vector for every item."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.tokens import token_matrix
from tfllmrec.data.batches import next_item_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.models.items import ItemEmbedding
from tfllmrec.models.scoring import ItemIndex, popular_if_empty, scoring_inputs
from tfllmrec.models.two_tower import (
    candidate_tower,
    query_encoder,
    query_tower,
    towers_of,
    two_towers,
)
from tfllmrec.recommenders.config import STRICT, Fraction, Positive
from tfllmrec.recommenders.neural import NeuralConfig, NeuralRecommender
from tfllmrec.tasks import negatives
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel


@dataclass(frozen=True, config=STRICT)
class TwoTowerConfig(NeuralConfig):
    """Attributes beside those of every `NeuralConfig`; `for_data` chooses them from the size of the data.

    dim: width of all vectors.
    newest: newest items that are features of their own.
    heads: weighted means of the history.
    hidden: units of the query tower's perceptron.
    user_vectors: whether a user has a vector of their own.
    content: whether an item's title and categories add to its vector.
    feature_dropout: of the query tower's features.
    dropout: of the query tower's hidden units.
    candidate_dropout: of the candidate vectors.
    loss: what a query is scored against in training; see `tfllmrec.tasks.negatives`.
    negatives: items drawn for a batch, where `loss` draws any.
    temperature: scores are divided by it in training.
    hard_negatives: keep only that many highest-scored negatives; None keeps all.
    """

    dim: Positive = 128
    newest: Positive = 3
    heads: Positive = 4
    hidden: Positive = 256
    user_vectors: bool = True
    content: bool = True
    feature_dropout: Fraction = 0.3
    dropout: Fraction = 0.3
    candidate_dropout: Fraction = 0.0
    loss: Literal["in_batch", "mixed", "sampled", "full"] = "full"
    negatives: Positive = 1024
    temperature: Annotated[float, Field(gt=0)] = 1.0
    hard_negatives: Positive | None = None

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """The recipes found on validation targets of three data sets, by the size of the data.

        Long histories carry user vectors; short ones overfit them and want strong regularisation. Where there
        are many interactions in-batch negatives are as good as the full softmax and cheaper.
        """
        interactions, users = len(data.interactions), len(data.user_vocabulary)
        sized: dict[str, Any] = {}
        if interactions >= _MANY_INTERACTIONS:
            sized |= {
                "loss": "in_batch",
                "history_length": 30,
                "hidden": 512,
                "candidate_dropout": 0.2,
                "ema": 0.999,
            }
        elif len(data.item_vocabulary) > _MOST_ITEMS_FOR_SOFTMAX:
            sized |= {"loss": "mixed"}
        if interactions / users < _SHORT_HISTORY:
            sized |= {"user_vectors": False, "feature_dropout": 0.7, "dropout": 0.5, "weight_decay": 0.6}
        elif interactions < _FEW_INTERACTIONS:
            sized |= {"dim": 64, "learning_rate": 3e-3, "weight_decay": 0.3}
        return cls.from_options({**sized, **options})


_FEW_INTERACTIONS, _MANY_INTERACTIONS = 100_000, 500_000
_SHORT_HISTORY = 20  # interactions a user
_MOST_ITEMS_FOR_SOFTMAX = 20_000


class TwoTower(NeuralRecommender):
    """Retrieval with two towers (Covington et al., 2016; Yi et al., 2019, RecSys), trained under a TFRS task.

    The query tower reads the newest items, several learnt weighted means of the history, and the user's own
    vector; the candidate tower an item's own vector and its title and categories.

    Example:
        >>> model = TwoTower(epochs=5).fit(split.train, split.validation)
        >>> model.recommend(histories=[["1", "260"]], k=10)

    Attributes:
        model: {"user", "history", "item"} -> {"query", "candidate"}: both towers as one model.
        query_tower: {"user": int32 [B], "history": int32 [B, L]} -> query vectors, float32 [B, dim].
        candidate_tower: item indices int32 [C] -> candidate vectors, float32 [C, dim].
        index: the item vectors that are served.
        query_model: the query tower over `index`.
    """

    family = "two_tower"
    config_class = TwoTowerConfig

    query_tower: keras.Model
    candidate_tower: keras.Model
    index: ItemIndex
    query_model: keras.Model

    def _trainer(self) -> keras.Model:
        config = self.config
        task = Retrieval(
            temperature=config.temperature,
            remove_accidental_hits=config.loss in ("in_batch", "mixed"),  # the others hide them themselves
            num_hard_negatives=config.hard_negatives,
        )
        return RetrievalModel(self.query_tower, self.candidate_tower, task, self._negatives())

    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        config = self.config
        return next_item_batches(
            train, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
        )

    def _build(self, train: Dataset) -> keras.Model:
        config, item_count = self.config, len(self.catalogue.items)
        if config.content:
            items = ItemEmbedding.with_content(config.dim, tokens=token_matrix(train.items))
        else:
            items = ItemEmbedding(item_count, config.dim)
        encoder = query_encoder(
            dim=config.dim,
            history_length=config.history_length,
            user_count=len(self.catalogue.users) if config.user_vectors else None,
            newest=config.newest,
            heads=config.heads,
            hidden=config.hidden,
            feature_dropout=config.feature_dropout,
            dropout=config.dropout,
        )
        return two_towers(query_tower(encoder, items), candidate_tower(items, config.candidate_dropout))

    def _negatives(self) -> negatives.Negatives:
        counts, config = self.catalogue.counts, self.config
        match config.loss:
            case "in_batch":
                return negatives.in_batch(counts)
            case "mixed":
                return negatives.mixed(counts, config.negatives, self._draws)
            case "sampled":
                return negatives.sampled(len(counts) - 1, config.negatives, self._draws)
            case _:
                return negatives.full(len(counts) - 1)

    def _build_scorer(self) -> keras.Model:
        """Histories are read from a fixed table of item vectors, and queries matched with it."""
        self.query_tower, self.candidate_tower = towers_of(self.model)
        item_count = len(self.catalogue.items)
        self.index = ItemIndex(item_count, self.config.dim)
        self.query_model = query_tower(self.model.get_layer("query_encoder"), self.index)
        user, history = scoring_inputs(self.history_length)
        scores = self.index.scores(self.query_model({"user": user, "history": history}))
        scores = popular_if_empty(scores, history, self.catalogue.counts)
        self._update_served()
        return keras.Model({"user": user, "history": history}, scores)

    def _update_served(self) -> None:
        """Bring the item vectors that are served up to date with the candidate tower."""
        everything = np.arange(len(self.catalogue.items) + 1, dtype=np.int32)
        self.index.vectors.assign(self.candidate_tower(everything))
