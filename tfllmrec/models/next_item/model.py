"""The next-item family: an LSTM over the history, scored against the item vectors it reads."""

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.data.batches import window_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.encoders.recurrent import Precision, history_encoder, query_head
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.layers.scoring import ItemIndex, scoring_inputs
from tfllmrec.models.base.content import ContentRecommender
from tfllmrec.models.baselines.popularity import popular_if_empty, popularity
from tfllmrec.models.next_item.config import NextItemConfig
from tfllmrec.models.next_item.network import candidate_model, next_item_model, query_model, sides_of
from tfllmrec.tasks import negatives
from tfllmrec.tasks.next_item import NextItemModel, NextItemTask


class NextItem(ContentRecommender):
    """A recurrent network over the history (Hidasi et al., 2016, ICLR) whose output is tied to its input.

    It is trained to name the next item after every item of a row, in one softmax over the catalogue. Its state
    after the newest item is the user's interest vector.

    Example:
        >>> model = NextItem(epochs=5).fit(split.train, split.validation)
        >>> model.recommend(histories=[["1", "260"], ["260", "1"]], k=10)

    Attributes:
        model: {"history", "item"} -> {"query", "candidate", "bias"}: both sides as one model.
        index: the item vectors and biases that are served.
        query_model: {"user", "history": int32 [B, L]} -> interest vectors, float32 [B, dim], over `index`; it
            does not read the user.
    """

    family = "next_item"
    config_class = NextItemConfig
    scores_are_products = True
    main_signature = "next_items"

    index: ItemIndex
    query_model: keras.Model

    def _build_on(self, items: ItemEmbedding) -> keras.Model:
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
        return next_item_model(
            query_model(items, encoder, head), candidate_model(items, bias, config.candidate_dropout)
        )

    def _encoder(self, precision: Precision) -> keras.Model:
        return history_encoder(**self.config.encoder_options(), precision=precision)

    def _trainer(self) -> keras.Model:
        config, counts = self.config, self.fitted_data.counts
        drawn = negatives.mixed(counts, config.negatives, self._seed_generator) if config.loss == "sampled" else None
        return NextItemModel(
            *sides_of(self.model),
            NextItemTask(label_smoothing=config.label_smoothing, precision=config.precision),
            item_counts=counts,
            negatives=drawn,
            hide_seen=config.hide_seen,
        )

    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        config = self.config
        return window_batches(
            train, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
        )

    def _build_scorer(self) -> keras.Model:
        """Histories are read in float32 from a fixed table of item vectors, and queries matched with it."""
        item_count = len(self.fitted_data.items)
        self._candidates = sides_of(self.model)[1]
        self.index = ItemIndex(item_count, self.config.dim, biased=True)
        inputs = scoring_inputs(self.history_length)
        self._served_encoder = self._encoder("float32")
        queries = query_model(self.index, self._served_encoder, self.model.get_layer("query_head"))
        query = queries({"history": inputs["history"]})
        self.query_model = keras.Model(inputs, query)
        popular = popularity(self.fitted_data, inputs)
        self._update_served()
        return keras.Model(inputs, popular_if_empty(self.index.scores(query), popular, inputs))

    def _update_served(self) -> None:
        self._served_encoder.set_weights(self.model.get_layer("history_encoder").get_weights())
        everything = self._candidates(np.arange(len(self.fitted_data.items) + 1, dtype=np.int32))
        self.index.vectors.assign(everything["candidate"])
        self.index.biases.assign(everything["bias"])
