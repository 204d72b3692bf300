"""The two-tower retrieval family: a query vector for the user, a candidate vector for every item."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.batches import next_item_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.layers.scoring import ItemIndex
from tfllmrec.layers.users import StoredFeatures
from tfllmrec.models.base.config import STRICT, Fraction, Names, Positive
from tfllmrec.models.base.content import ContentConfig, ContentRecommender
from tfllmrec.models.baselines.popularity import popular_if_empty, popularity
from tfllmrec.models.two_tower.network import (
    candidate_tower,
    query_encoder,
    query_tower,
    towers_of,
    two_towers,
)
from tfllmrec.tasks import negatives
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel


@dataclass(frozen=True, config=STRICT)
class TwoTowerConfig(ContentConfig):
    """Attributes beside those of every `ContentConfig`; `for_data` chooses them from the size of the data.

    dim: width of all vectors.
    recent_items: newest items that are features of their own.
    pooling_heads: weighted means of the history.
    hidden_units: units of the query tower's perceptron.
    user_vectors: whether a user has a vector of their own.
    user_features: columns of the user table whose values the query tower reads.
    segment: one of them; popularity is counted by its values where it has to answer. "" counts everybody.
    feature_dropout: of the query tower's features.
    dropout: of the query tower's hidden units.
    candidate_dropout: of the candidate vectors.
    loss: what a query is scored against in training; see `tfllmrec.tasks.negatives`.
    negatives: items drawn for a batch, where `loss` draws any.
    temperature: scores are divided by it in training.
    hard_negatives: keep only that many highest-scored negatives; None keeps all.
    """

    dim: Positive = 128
    recent_items: Positive = 3
    pooling_heads: Positive = 4
    hidden_units: Positive = 256
    user_vectors: bool = True
    user_features: Names = ()
    segment: str = ""
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
                "hidden_units": 512,
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


class TwoTower(ContentRecommender):
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
    scores_are_products = True

    @property
    def _user_columns(self) -> tuple[str, ...]:
        if self.config.segment not in ("", *self.config.user_features):
            raise InputError(f"two_tower: segment {self.config.segment} is none of the user_features; add it to them")
        return self.config.user_features

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
        batches = next_item_batches(
            train, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
        )
        features = self.fitted_data.features
        return batches if features is None else batches.map(partial(_nothing_given, columns=len(features.columns)))

    def _build_on(self, items: ItemEmbedding) -> keras.Model:
        config, features = self.config, self.fitted_data.features
        encoder = query_encoder(
            dim=config.dim,
            history_length=config.history_length,
            user_count=len(self.fitted_data.users) if config.user_vectors else None,
            features=None if features is None else (len(features.vocabulary), len(features.columns)),
            recent_items=config.recent_items,
            pooling_heads=config.pooling_heads,
            hidden_units=config.hidden_units,
            feature_dropout=config.feature_dropout,
            dropout=config.dropout,
        )
        stored = None if features is None else StoredFeatures.of(features.stored, name="stored_features")
        return two_towers(query_tower(encoder, items, stored), candidate_tower(items, config.candidate_dropout))

    def _negatives(self) -> negatives.Negatives:
        counts, config = self.fitted_data.counts, self.config
        match config.loss:
            case "in_batch":
                return negatives.in_batch(counts)
            case "mixed":
                return negatives.mixed(counts, config.negatives, self._seed_generator)
            case "sampled":
                return negatives.sampled(counts, config.negatives, self._seed_generator)
            case _:
                return negatives.full(counts)

    def _build_scorer(self) -> keras.Model:
        """Histories are read from a fixed table of item vectors, and queries matched with it."""
        self.query_tower, self.candidate_tower = towers_of(self.model)
        item_count = len(self.fitted_data.items)
        self.index = ItemIndex(item_count, self.config.dim)
        stored = self.model.get_layer("stored_features") if self.fitted_data.features else None
        self.query_model = query_tower(self.model.get_layer("query_encoder"), self.index, stored)
        inputs = self.query_model.input
        scores = self.index.scores(self.query_model.output)
        popular = popularity(self.fitted_data, inputs, self.config.segment, stored)
        self._update_served()
        return keras.Model(inputs, popular_if_empty(scores, popular, inputs))

    def _update_served(self) -> None:
        """Bring the item vectors that are served up to date with the candidate tower."""
        everything = np.arange(len(self.fitted_data.items) + 1, dtype=np.int32)
        self.index.vectors.assign(self.candidate_tower(everything))


def _nothing_given(question: dict[str, tf.Tensor], item: tf.Tensor, *, columns: int) -> tuple[Any, tf.Tensor]:
    """No features but those stored."""
    return question | {"user_features": tf.zeros([tf.shape(item)[0], columns], tf.int32)}, item
