"""The joint family: several tasks over shared histories and items, also across scenarios."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.content.labels import label_matrix, label_vocabulary
from tfllmrec.data.batches import labelled_window_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ratings import RatingCallback
from tfllmrec.models.experts import allowed_experts, expert_mixture, expert_names
from tfllmrec.models.items import ItemEmbedding
from tfllmrec.models.multi_task import (
    Pairs,
    PairsOfAll,
    label_head,
    multi_task_inputs,
    multi_task_model,
    pair_head,
    what_experts_say,
)
from tfllmrec.models.next_item import ItemBias, Precision, history_encoder, query_head
from tfllmrec.models.scenarios import HistoriesApart, OnlyScenario, ScenarioFusion
from tfllmrec.models.scoring import ItemIndex
from tfllmrec.recommenders.content import ContentRecommender
from tfllmrec.recommenders.multi_task_config import MultiTaskConfig
from tfllmrec.recommenders.popularity import popular_if_empty, popularity
from tfllmrec.tasks import negatives
from tfllmrec.tasks.multi_task import MultiTaskModel
from tfllmrec.tasks.next_item import NextItem as NextItemTask
from tfllmrec.tasks.next_item import NextItemSoftmax
from tfllmrec.tasks.parts import InterestsPart, NextItemPart, PairPart, Part, RetrievalPart
from tfllmrec.tasks.ranking import Ranking
from tfllmrec.tasks.retrieval import Retrieval


class MultiTask(ContentRecommender):
    """One model for several tasks (`MultiTaskConfig.tasks`), and for several scenarios where the data has them.

    Histories are read once for all tasks: those of every scenario apart, fused by attention for the scenario that is
    asked for. Experts are mixed for every task by a gate of its own. With scenarios it recommends a scenario's items.

    Example:
        >>> model = MultiTask(tasks="next_item,rating").fit(split.train, split.validation)
        >>> model.expected_ratings(split.test)

    Attributes:
        model: all of it, row by row; see `tfllmrec.models.multi_task.multi_task_model`.
        labels: what interests are told in.
        index: the item vectors and biases that are served.
        ranker: {"user", "history", "scenario", "candidates": int32 [B, N]} -> {"rating", "like": float32 [B, N]}.
    """

    family = "multi_task"
    config_class = MultiTaskConfig

    labels: Vocabulary
    index: ItemIndex

    def _fit(self, train: Dataset, validation: Targets | None, fitting: Any) -> None:
        self._members = _members(train)
        self.labels = label_vocabulary(train.items)
        self._item_labels = label_matrix(train.items, self.labels)
        self._mean_rating = train.mean_rating if "rating" in self.config.tasks else 0.0
        super()._fit(train, validation, fitting)

    def _build_on(self, items: ItemEmbedding) -> keras.Model:
        config = self.config
        encoder = self._encoder(config.precision)
        scenarios = [f"scenario {number}" for number in range(1, len(self._members))] if self._transfers else []
        names = expert_names(config.sharing, config.tasks, experts=config.experts, scenarios=scenarios)
        allowed = allowed_experts(names, config.tasks, scenarios)
        if not scenarios:
            allowed = np.tile(allowed, (len(self._members), 1, 1))
        return multi_task_model(
            items,
            ItemBias(items.item_count, name="item_bias"),
            HistoriesApart.of(self._members, name="histories_apart"),
            encoder,
            ScenarioFusion(self._transfers, name="scenario_fusion"),
            expert_mixture(
                encoder.output.shape[2], config.dim, allowed, hidden=config.expert_units, dropout=config.dropout
            ),
            {name: self._head(name) for name in config.tasks},
            config.candidate_dropout,
        )

    @property
    def _transfers(self) -> bool:
        return self.config.transfer and len(self._members) > 2

    def _head(self, task: str) -> keras.Model:
        config, name = self.config, f"{task}_head"
        if task in ("next_item", "retrieval"):
            return query_head(config.dim, config.dim, query_dropout=config.query_dropout, name=name)
        if task == "interests":
            return label_head(config.dim, len(self.labels), dropout=config.dropout, name=name)
        counts = len(self.catalogue.users), len(self.catalogue.items)
        options = {"hidden": config.pair_units, "dropout": config.pair_dropout, "name": name}
        return pair_head(config.dim, *counts, start=self._mean_rating if task == "rating" else 0.0, **options)

    def _encoder(self, precision: Precision) -> keras.Model:
        return history_encoder(**self.config.encoder_options(), precision=precision)

    def _trainer(self) -> keras.Model:
        config = self.config
        weights = None
        if config.weighting == "given":
            weights = {name: float(config.weights.get(name, 1.0)) for name in config.tasks}
        labels = self._item_labels if "interests" in config.tasks else None
        parts = [self._part(name) for name in config.tasks]
        return MultiTaskModel(self.model, parts, weights, labels=labels, ahead=config.ahead)

    def _part(self, name: str) -> Part:
        config, model, counts = self.config, self.model, self.catalogue.counts
        head = model.get_layer(f"{name}_head")
        said = {part: model.output[part] for part in ("candidate", "bias")}
        candidates = keras.Model(model.input["item"], said, name="candidate_model")
        match name:
            case "next_item":
                task = NextItemTask(label_smoothing=config.label_smoothing, precision=config.precision)
                sampled = config.loss == "sampled"
                softmaxes = [
                    NextItemSoftmax(
                        task,
                        candidates,
                        item_counts=own,
                        negatives=negatives.mixed(own, config.negatives, self._draws) if sampled else None,
                        hide_seen=config.hide_seen,
                    )
                    for own in counts * self._members[1:]
                ]
                return NextItemPart(softmaxes, head)
            case "retrieval":
                drawn = negatives.in_batch(counts)
                return RetrievalPart(Retrieval(), head, candidates, drawn, most=config.in_batch, seed=self._draws)
            case "interests":
                return InterestsPart(Ranking("pointwise"), head)
            case _:
                return PairPart(name, Ranking("rating" if name == "rating" else "pointwise"), head, candidates)

    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        config = self.config
        return labelled_window_batches(
            train,
            _labels(train, config.tasks, config.liked_from),
            config.history_length,
            config.batch_size,
            seed=config.seed,
            first_epoch=first_epoch,
        )

    def _build_scorer(self) -> keras.Model:
        """Histories are read in float32 from a fixed table of item vectors, and queries matched with it."""
        item_count, layer = len(self.catalogue.items), self.model.get_layer
        said = {part: self.model.output[part] for part in ("candidate", "bias")}
        self._candidates = keras.Model(self.model.input["item"], said)
        self.index = ItemIndex(item_count, self.config.dim, biased=True)
        self._served_encoder = self._encoder("float32")
        inputs = multi_task_inputs(self.history_length)
        members = layer("histories_apart").members.numpy().T
        asked = inputs
        if len(members) == 2:
            inputs = {name: inputs[name] for name in ("user", "history")}
            asked = {**inputs, "scenario": keras.ops.ones_like(inputs["user"])}
        parts = [layer(name) for name in ("scenario_fusion", "experts")]
        vectors = what_experts_say(asked, self.index, layer("histories_apart"), self._served_encoder, *parts)["vectors"]
        vector = {name: vectors[:, place] for place, name in enumerate(self.config.tasks)}
        self._update_served()
        self._build_ranker(inputs, vector)
        popular = popularity(self.catalogue, inputs)
        scores = popular_if_empty(self._scores(inputs, vector, popular), popular, inputs)
        return keras.Model(inputs, scores if asked is not inputs else OnlyScenario(members)(scores, inputs["scenario"]))

    def _scores(
        self, inputs: dict[str, Any], vector: Mapping[str, keras.KerasTensor], popular: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Of all items, by the first task that orders them."""
        for name in ("next_item", "retrieval"):
            if name in vector:
                return self.index.scores(self.model.get_layer(f"{name}_head")(vector[name]))
        for name in ("like", "rating"):
            if name in vector:
                return PairsOfAll(self.index, self.model.get_layer(f"{name}_head"))(vector[name], inputs["user"])
        return popular

    def _build_ranker(self, inputs: dict[str, Any], vector: Mapping[str, keras.KerasTensor]) -> None:
        """What is said of given candidates, and of interests."""
        candidates = keras.Input((None,), dtype="int32", name="candidates")
        vectors = self.index(candidates)
        told = {
            name: Pairs(self.model.get_layer(f"{name}_head"))(vector[name], vectors, inputs["user"], candidates)
            for name in ("rating", "like")
            if name in vector
        }
        if told:
            self.ranker = keras.Model({**inputs, "candidates": candidates}, told)
            self._rank = tf.function(self.ranker, reduce_retracing=True)

    def expected_ratings(self, targets: Targets) -> np.ndarray:
        """What users will rate the targets' items, float32 [n].

        Raises:
            InputError: ratings are none of the tasks.
        """
        self.require_fitted()
        if "rating" not in self.config.tasks:
            raise InputError(f"this multi_task learnt {', '.join(self.config.tasks)}; rating is none of them")
        found = []
        for start in range(0, len(targets), _BLOCK):
            block = targets.take(np.arange(start, min(start + _BLOCK, len(targets))))
            asked = {"user": block.users, "history": block.histories.newest(self.history_length)}
            if self.reads_scenarios:
                asked["scenario"] = block.scenarios
            found.append(self._rank({**asked, "candidates": block.items[:, None]})["rating"][:, 0])
        return np.concatenate(found)

    def _update_served(self) -> None:
        self._served_encoder.set_weights(self.model.get_layer("history_encoder").get_weights())
        everything = self._candidates(np.arange(len(self.catalogue.items) + 1, dtype=np.int32))
        self.index.vectors.assign(everything["candidate"])
        self.index.biases.assign(everything["bias"])


_BLOCK = 1024


def _members(data: Dataset) -> np.ndarray:
    """Which items every scenario has, bool [scenarios + 1, items + 1]; without scenarios there is one that has all."""
    if data.scenarios is not None:
        return data.scenarios.members
    members = np.zeros((2, len(data.item_vocabulary) + 1), bool)
    members[1, 1:] = True
    return members


def _labels(data: Dataset, tasks: tuple[str, ...], liked_from: float) -> dict[str, np.ndarray]:
    """What is told of every interaction, as `MultiTaskModel` reads it."""
    labels: dict[str, np.ndarray] = {}
    if data.scenarios is not None:
        labels["scenario"] = data.scenario_indices
    if "rating" in tasks:
        labels["rating"] = data.ratings
    if "like" in tasks:
        labels["like"] = data.likes(liked_from)
    return labels
