"""The next-item family: a recurrent network over the history, scored against the item vectors that it reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.batches import window_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.layers.encoders.recurrent import Precision, history_encoder, query_head
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.content import ItemContent, copy_weights, keep_known_vectors
from tfllmrec.models.base.fallback import popular_if_empty, popularity_scores
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext, Trainer, TrainingLog, fit_settings, ranking_validation
from tfllmrec.models.next_item.config import NextItemConfig
from tfllmrec.models.next_item.network import NextItemNetwork, query_model
from tfllmrec.tasks import negatives
from tfllmrec.tasks.next_item import NextItemModel, NextItemTask


@dataclass(frozen=True, kw_only=True)
class NextItemModels(BuiltModels):
    """The models of a `NextItem`.

    Attributes:
        network: the trained network and its layers.
        content: reads the content of items.
    """

    network: NextItemNetwork
    content: ItemContent


class NextItem(Recommender):
    """Predict the next item by a recurrent network (Hidasi et al., 2016, ICLR) with shared input and output vectors.

    The network is trained to predict the next item at every position, with one softmax over the catalog. Its state
    after the most recent item is the query vector.

    Args:
        dim: width of item and query vectors.
        units: units of every recurrent layer.
        cell: recurrent cell.
        layers: number of recurrent layers.
        pooling_heads: learnt weighted means of the history in addition to the recurrent state; 0 for none.
        normalise: whether input item vectors are layer-normalised.
        input_dropout: dropout of input item vectors.
        dropout: dropout of recurrent states and hidden units.
        query_dropout: dropout of query vectors.
        candidate_dropout: dropout of scored item vectors.
        label_smoothing: share of the target distribution that is spread over all items.
        negatives: "full" softmax over all items, or over "sampled" ones with the logQ correction.
        num_negatives: sampled items per batch, where `negatives` samples.
        hide_seen: whether items of the history are left out of the negatives ("full" only).
        precision: precision of recurrent layers and products in training.
        hidden_units: units of the perceptron between state and query; 0 for none.
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
        >>> model = NextItem(epochs=5).fit(split.train, split.validation)
        >>> model.recommend(histories=[["1", "260"], ["260", "1"]], k=10)
    """

    family = "next_item"
    config_class = NextItemConfig
    main_signature = "next_items"
    built: NextItemModels

    def __init__(
        self,
        *,
        dim: int | None = None,
        units: int | None = None,
        cell: Literal["lstm", "gru"] | None = None,
        layers: int | None = None,
        pooling_heads: int | None = None,
        normalise: bool | None = None,
        input_dropout: float | None = None,
        dropout: float | None = None,
        query_dropout: float | None = None,
        candidate_dropout: float | None = None,
        label_smoothing: float | None = None,
        negatives: Literal["full", "sampled"] | None = None,
        num_negatives: int | None = None,
        hide_seen: bool | None = None,
        precision: Literal["float32", "bfloat16"] | None = None,
        hidden_units: int | None = None,
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
        config: NextItemConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[NextItemModels, TrainingLog]:
        content = ItemContent.from_items(train.items, self.config)
        items = content.embedding(train.items, self.fitted_data.counts, self.config)
        seed_generator = keras.random.SeedGenerator(self.config.seed)
        built = self._serve(self._network(items), content)
        log = self._trainer.fit(
            self._training_model(built.network, seed_generator),
            self._batches(train),
            context,
            validation=ranking_validation(Predictor(self.family, self.fitted_data, built), validation),
            settings=fit_settings(self.family, self.config, built.model, train, validation),
            seed_generator=seed_generator,
        )
        built.update()
        return built, log

    @property
    def _trainer(self) -> Trainer:
        return Trainer(self.config)

    def _training_model(self, network: NextItemNetwork, seed_generator: keras.random.SeedGenerator) -> keras.Model:
        config, counts = self.config, self.fitted_data.counts
        sampled = config.negatives == "sampled"
        return NextItemModel(
            network.queries,
            network.candidates,
            NextItemTask(label_smoothing=config.label_smoothing, precision=config.precision),
            item_counts=counts,
            negatives=negatives.mixed(counts, config.num_negatives, seed_generator) if sampled else None,
            hide_seen=config.hide_seen,
        )

    def _batches(self, train: Dataset) -> Callable[[int], tf.data.Dataset]:
        config = self.config
        return lambda first_epoch: window_batches(
            train, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
        )

    def _encoder(self, precision: Precision) -> keras.Model:
        return history_encoder(**self.config.encoder_options(), precision=precision)

    def _network(self, items: ItemEmbedding) -> NextItemNetwork:
        config = self.config
        encoder = self._encoder(config.precision)
        head = query_head(
            encoder.output.shape[2],
            config.dim,
            hidden_units=config.hidden_units,
            dropout=config.dropout,
            query_dropout=config.query_dropout,
        )
        bias = ItemBias(items.item_count, name="item_bias")
        return NextItemNetwork.of(items, encoder, head, bias, config.candidate_dropout)

    def _serve(self, network: NextItemNetwork, content: ItemContent) -> NextItemModels:
        """Build the models that read a fixed table of item vectors, in float32."""
        config, item_count = self.config, len(self.fitted_data.items)
        index = ItemIndex(item_count, config.dim, biased=True)
        inputs = scoring_inputs(config.history_length)
        encoder = self._encoder("float32")
        query = query_model(index, encoder, network.head)({"history": inputs["history"]})
        query_vectors = keras.Model(inputs, query)
        popular = popularity_scores(self.fitted_data, inputs)

        def update() -> None:
            encoder.set_weights(network.encoder.get_weights())
            everything = network.candidates(np.arange(item_count + 1, dtype=np.int32))
            index.vectors.assign(everything["candidate"])
            index.biases.assign(everything["bias"])

        update()
        return NextItemModels(
            model=network.model,
            scorer=keras.Model(inputs, popular_if_empty(index.scores(query), popular, inputs)),
            history_length=config.history_length,
            query_model=query_vectors,
            index=index,
            scores_are_products=True,
            update=update,
            network=network,
            content=content,
        )

    def _restore(self, model: keras.Model, folder: Path) -> NextItemModels:
        return self._serve(NextItemNetwork.restore(model), ItemContent.load(folder, self.config))

    def _save_parts(self, folder: Path) -> None:
        self.built.content.save(folder)

    def _grow(self, built: Any, new: pd.DataFrame) -> NextItemModels:
        network = self._network(built.content.grow(built.network.items, new, self.family))
        copy_weights(built.model, network.model, skip=[network.items])
        grown = self._serve(network, built.content)
        keep_known_vectors(built.index, grown.index)
        return grown

    def refit_config(self) -> NextItemConfig:
        """Return the configuration with the best number of epochs; see `Recommender.refit_config`."""
        return replace(self.config, epochs=self.best_epochs(self.training_log))

    def best_epochs(self, log: TrainingLog) -> int:
        """Return the number of epochs with the best validation metric of a log."""
        return self._trainer.best_epochs(log)
