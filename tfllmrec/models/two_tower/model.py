"""The two-tower retrieval family: a query vector of the user, a candidate vector of every item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.batches import next_item_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.keras_state import isolated_keras
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.layers.users import StoredFeatures
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.content import ItemContent, copy_weights, keep_known_vectors
from tfllmrec.models.base.fallback import popular_if_empty, popularity_scores
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext, Trainer, TrainingLog, fit_settings, ranking_validation
from tfllmrec.models.two_tower.config import TwoTowerConfig
from tfllmrec.models.two_tower.network import TwoTowerNetwork, query_encoder, query_tower
from tfllmrec.tasks.losses import RetrievalLoss
from tfllmrec.tasks.negatives import negative_sampler
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel


@dataclass(frozen=True, kw_only=True)
class TwoTowerModels(BuiltModels):
    """The models of a `TwoTower`.

    Attributes:
        network: the trained towers and their layers.
        content: reads the content of items.
    """

    network: TwoTowerNetwork
    content: ItemContent


class TwoTower(Recommender):
    """Retrieve with two towers (Covington et al., 2016; Yi et al., 2019, RecSys), trained under `tfrs.tasks.Retrieval`.

    The query tower reads the most recent items, several learnt weighted means of the history and the user's vector;
    the candidate tower reads an item's own vector and its title and categories.

    Args:
        dim: width of user, item and query vectors.
        recent_items: most recent items that are separate inputs.
        pooling_heads: learnt weighted means of the history.
        hidden_units: units of the query tower's perceptron.
        user_vectors: whether every user has a learnt vector.
        user_features: columns of the user table that the query tower reads.
        segment: one of `user_features`; the popularity fallback counts interactions by its values. "" counts all.
        feature_dropout: dropout of the query tower's inputs.
        dropout: dropout of the query tower's hidden units.
        candidate_dropout: dropout of candidate vectors.
        loss: "softmax", "bpr" or the name of a Keras loss; see `tfllmrec.tasks.losses`.
        negatives: items that a query is contrasted with; see `tfllmrec.tasks.negatives`.
        num_negatives: sampled items per batch, where `negatives` samples.
        temperature: divisor of the scores in training.
        hard_negatives: number of highest-scored negatives that are kept; by default all.
        learning_rate: learning rate of AdamW.
        warmup: epochs in which the learning rate rises from 0.
        schedule: learning rate after the warm-up; "cosine" falls to 0 at the last epoch.
        weight_decay: weight decay of AdamW.
        ema: momentum of the moving average of the weights that is evaluated and kept.
        batch_size: examples a step.
        epochs: maximum number of epochs.
        patience: epochs without a better validation metric before training stops.
        content: whether title and categories add to the vector of an item.
        vectors: columns of the item table with content vectors that add to it.
        token_std: standard deviation of the initial token vectors.
        id_dropout: probability that an item is represented by its content alone in a training step.
        modality_dropout: probability that the vector of a column is treated as missing.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> model = TwoTower(epochs=5).fit(split.train, split.validation)
        >>> model.recommend(histories=[["1", "260"]], k=10)
    """

    family = "two_tower"
    config_class = TwoTowerConfig
    built: TwoTowerModels

    def __init__(
        self,
        *,
        dim: int | None = None,
        recent_items: int | None = None,
        pooling_heads: int | None = None,
        hidden_units: int | None = None,
        user_vectors: bool | None = None,
        user_features: str | Sequence[str] | None = None,
        segment: str | None = None,
        feature_dropout: float | None = None,
        dropout: float | None = None,
        candidate_dropout: float | None = None,
        loss: RetrievalLoss | None = None,
        negatives: Literal["in_batch", "mixed", "sampled", "full"] | None = None,
        num_negatives: int | None = None,
        temperature: float | None = None,
        hard_negatives: int | None = None,
        learning_rate: float | None = None,
        warmup: int | None = None,
        schedule: Literal["constant", "cosine"] | None = None,
        weight_decay: float | None = None,
        ema: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        content: bool | None = None,
        vectors: str | Sequence[str] | None = None,
        token_std: float | None = None,
        id_dropout: float | None = None,
        modality_dropout: float | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: TwoTowerConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    @property
    def _user_columns(self) -> tuple[str, ...]:
        config = self.config
        if config.segment not in ("", *config.user_features):
            raise InputError(f"two_tower: segment {config.segment} is not one of user_features; add it to them")
        return config.user_features

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[TwoTowerModels, TrainingLog]:
        content = ItemContent.from_items(train.items, self.config)
        items = content.embedding(train.items, self.fitted_data.counts, self.config)
        built = self._serve(self._network(items), content)
        return built, self._train(built, train, validation, context)

    @isolated_keras()
    def fit_more(self, train: Dataset, validation: Targets | None, context: FitContext, *, epochs: int) -> None:
        """Continue training on the same users and items with more interactions.

        Args:
            train: all interactions, those of the first fit included.
            validation: targets that decide when to stop.
            context: callbacks, verbosity and a separate backup.
            epochs: maximum number of epochs.

        Raises:
            InputError: If the items or users of the data, or their order, differ from the model's.
        """
        built = self.built
        if not self.fitted_data.has_ids_of(train):
            raise InputError(
                "fit_more: the items and users of the data must be those of the model, in its order; add new items "
                "with with_items, and build the data set with id_order=model.id_order"
            )
        self.fitted_data = self._fitted_data_of(train)
        built.model.trainable = True
        built = self._serve(built.network, built.content)
        self.training_log = self._train(built, train, validation, context, epochs=epochs)
        self._use(built)

    def _train(
        self,
        built: TwoTowerModels,
        train: Dataset,
        validation: Targets | None,
        context: FitContext,
        epochs: int | None = None,
    ) -> TrainingLog:
        config = self.config if epochs is None else replace(self.config, epochs=epochs)
        seed_generator = keras.random.SeedGenerator(config.seed)
        network, predictor = built.network, Predictor(self.family, self.fitted_data, built)
        negatives = negative_sampler(config.negatives, self.fitted_data.counts, config.num_negatives, seed_generator)
        log = self._trainer.fit(
            RetrievalModel(network.query_tower, network.candidate_tower, self._task(), negatives),
            self._batches(train),
            context,
            validation=ranking_validation(predictor, validation),
            settings=fit_settings(self.family, config, built.model, train, validation),
            seed_generator=seed_generator,
            epochs=config.epochs,
        )
        built.update()
        return log

    @property
    def _trainer(self) -> Trainer:
        return Trainer(self.config)

    def _task(self) -> Retrieval:
        config = self.config
        return Retrieval(
            loss=config.loss,
            temperature=config.temperature,
            remove_accidental_hits=config.negatives in ("in_batch", "mixed"),  # the others mask them
            num_hard_negatives=config.hard_negatives,
        )

    def _batches(self, train: Dataset) -> Callable[[int], tf.data.Dataset]:
        config, features = self.config, self.fitted_data.features

        def batches(first_epoch: int) -> tf.data.Dataset:
            data = next_item_batches(
                train, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
            )
            return data if features is None else data.map(partial(_with_stored_features, columns=len(features.columns)))

        return batches

    def _network(self, items: ItemEmbedding) -> TwoTowerNetwork:
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
        stored = None if features is None else StoredFeatures.from_table(features.stored, name="stored_features")
        return TwoTowerNetwork.of(encoder, items, stored, config.candidate_dropout)

    def _serve(self, network: TwoTowerNetwork, content: ItemContent) -> TwoTowerModels:
        """Build the models that read a fixed table of item vectors."""
        config, item_count = self.config, len(self.fitted_data.items)
        index = ItemIndex(item_count, config.dim)
        query_model = query_tower(network.encoder, index, network.stored_features)
        inputs = query_model.input
        scores = index.scores(query_model.output)
        popular = popularity_scores(self.fitted_data, inputs, config.segment, network.stored_features)

        def update() -> None:
            index.vectors.assign(network.candidate_tower(np.arange(item_count + 1, dtype=np.int32)))

        update()
        return TwoTowerModels(
            model=network.model,
            scorer=keras.Model(inputs, popular_if_empty(scores, popular, inputs)),
            history_length=config.history_length,
            query_model=query_model,
            index=index,
            scores_are_products=True,
            update=update,
            network=network,
            content=content,
        )

    def _restore(self, model: keras.Model, folder: Path) -> TwoTowerModels:
        network = TwoTowerNetwork.restore(model, features=self.fitted_data.features is not None)
        return self._serve(network, ItemContent.load(folder, self.config))

    def _save_parts(self, folder: Path) -> None:
        self.built.content.save(folder)

    def _grow(self, built: Any, new: pd.DataFrame) -> TwoTowerModels:
        network = self._network(built.content.grow(built.network.items, new, self.family))
        copy_weights(built.model, network.model, skip=[network.items])
        grown = self._serve(network, built.content)
        keep_known_vectors(built.index, grown.index)
        return grown

    def refit_config(self) -> TwoTowerConfig:
        """Return the configuration with the best number of epochs; see `Recommender.refit_config`."""
        return replace(self.config, epochs=self.best_epochs(self.training_log))

    def best_epochs(self, log: TrainingLog) -> int:
        """Return the number of epochs with the best validation metric of a log."""
        return self._trainer.best_epochs(log)


def _with_stored_features(
    query: dict[str, tf.Tensor], item: tf.Tensor, *, columns: int
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Add empty features of the request, so that the stored ones are read."""
    return query | {"user_features": tf.zeros([tf.shape(item)[0], columns], tf.int32)}, item
