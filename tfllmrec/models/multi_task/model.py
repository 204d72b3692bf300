"""The joint family: several tasks over shared histories and items, also across scenarios."""

import copy
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.content.labels import label_matrix, label_vocabulary
from tfllmrec.content.written import Written
from tfllmrec.data.batches import labelled_window_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ratings import RatingCallback
from tfllmrec.layers.encoders.recurrent import Precision, history_encoder, query_head
from tfllmrec.layers.experts import allowed_experts, expert_mixture, expert_names
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.layers.scoring import ItemIndex
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.baselines.popularity import popular_candidates_if_empty, popular_if_empty, popularity
from tfllmrec.models.multi_task.config import TASKS, MultiTaskConfig
from tfllmrec.models.multi_task.inference import MultiTaskAnswers
from tfllmrec.models.multi_task.network import (
    candidates_of,
    label_head,
    multi_task_inputs,
    multi_task_model,
    pair_head,
    what_experts_say,
)
from tfllmrec.models.multi_task.scenarios import HistoriesApart, OnlyScenario, ScenarioFusion
from tfllmrec.models.multi_task.scoring import CandidateScores, OnlyMembers, Pairs, PairsOfAll
from tfllmrec.models.multi_task.tasks import labels_of, members_of, members_of_new, part_of
from tfllmrec.models.multi_task.user_texts import UserTexts
from tfllmrec.tasks.multi_task import MultiTaskModel

Vectors = Mapping[str, keras.KerasTensor]  # what the experts say of every task, float32 [B, D]


class MultiTask(MultiTaskAnswers):
    """One model for several tasks (`MultiTaskConfig.tasks`), and for several scenarios where the data has them.

    Histories are read once for all tasks: those of every scenario apart, fused by attention for the scenario that is
    asked for. Experts are mixed for every task by a gate of its own. With scenarios it recommends a scenario's items.

    Example:
        >>> model = MultiTask(tasks="next_item,rating").fit(split.train, split.validation)
        >>> model.expected_ratings(split.test)

    Attributes:
        model: all of it, row by row; see `tfllmrec.models.multi_task.network.multi_task_model`.
        index: the item vectors and biases that are served.
        others: what answers beside the scoring model, with the scoring model's inputs. "candidates": of candidates
            int32 [B, N] -> {"scores", "ratings", "likes": float32 [B, N]}, the latter as chances and where these are
            tasks. "interests", where that is a task: -> the chance of every label, float32 [B, labels].
    """

    family = "multi_task"
    config_class = MultiTaskConfig
    main_signature = "recommend"
    asks_for_scenario = True

    index: ItemIndex
    _written: Written | None = None  # while it trains
    _mean_rating: float = 0.0  # where what is loaded grows, its head brings its own

    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        self._members = members_of(train)
        self.labels = label_vocabulary(train.items)
        self._item_labels = label_matrix(train.items, self.labels)
        if self.config.backbone:
            if "interests" not in self.config.tasks:
                raise InputError("multi_task: backbone reads texts for interests; add that task, or leave backbone out")
            options = {"length": self.config.text_length, "seed": self.config.seed}
            self.texts, self._written = UserTexts.learnt(train, self.config.backbone, **options)
        self._mean_rating = train.mean_rating if "rating" in self.config.tasks else 0.0
        if self.config.tasks == ("rating",):
            self._chosen_by, self._better = "val_rmse", "min"
        super()._fit(train, validation, fitting)
        self._written = None

    def _build_on(self, items: ItemEmbedding) -> keras.Model:
        config = self.config
        encoder = self._encoder(config.precision)
        allowed = allowed_experts(self.experts, config.tasks, self._scenario_names)
        return multi_task_model(
            items,
            ItemBias(items.item_count, trainable="next_item" in config.tasks, name="item_bias"),
            HistoriesApart.of(self._members, name="histories_apart"),
            encoder,
            ScenarioFusion(self._transfers, name="scenario_fusion"),
            expert_mixture(
                encoder.output.shape[2], config.dim, allowed, hidden_units=config.expert_units, dropout=config.dropout
            ),
            {name: self._head(name) for name in config.tasks},
            config.candidate_dropout,
            self._text_width,
        )

    @property
    def _transfers(self) -> bool:
        return self.config.transfer and len(self._members) > 2

    @property
    def _scenario_names(self) -> list[str]:
        """What the scenarios' own experts are called; one name where there are no scenarios."""
        names = self.fitted_data.scenarios
        return ["everywhere"] if names is None else [f"scenario {name}" for name in names.tokens[1:]]

    @property
    def experts(self) -> list[str]:
        """The experts by name; see `tfllmrec.layers.experts.expert_names`."""
        config = self.config
        own = self._scenario_names if self._transfers else ()
        return expert_names(config.sharing, config.tasks, experts=config.experts, scenarios=own)

    def _head(self, task: str) -> keras.Model:
        config, name = self.config, f"{task}_head"
        if task in ("next_item", "retrieval"):
            return query_head(config.dim, config.dim, query_dropout=config.query_dropout, name=name)
        if task == "interests":
            options = {"written": self._text_width, "dropout": config.dropout, "name": name}
            return label_head(config.dim, len(self.labels), **options)
        counts = len(self.fitted_data.users), len(self.fitted_data.items)
        options = {"hidden_units": config.pair_units, "dropout": config.pair_dropout, "name": name}
        return pair_head(config.dim, *counts, start=self._mean_rating if task == "rating" else 0.0, **options)

    def _encoder(self, precision: Precision) -> keras.Model:
        return history_encoder(**self.config.encoder_options(), precision=precision)

    def _trainer(self) -> keras.Model:
        config = self.config
        weights = None
        if config.weighting == "given":
            weights = {name: float(config.weights.get(name, 1.0)) for name in config.tasks}
        labels = self._item_labels if "interests" in config.tasks else None
        own_counts = self.fitted_data.counts * self._members[1:]
        parts = [part_of(name, self.model, config, own_counts, self._seed_generator) for name in config.tasks]
        written = self._written and self._written.states
        return MultiTaskModel(
            self.model, parts, weights, labels=labels, interest_window=config.interest_window, written=written
        )

    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        config = self.config
        labels = labels_of(train, config.tasks, config.like_threshold)
        if self._written is not None:
            labels["written"] = self._written.before
        return labelled_window_batches(
            train,
            labels,
            config.history_length,
            config.batch_size,
            seed=config.seed,
            first_epoch=first_epoch,
        )

    def _build_scorer(self) -> keras.Model:
        """Histories are read in float32 from a fixed table of item vectors, and queries matched with it."""
        item_count, layer = len(self.fitted_data.items), self.model.get_layer
        self._members = layer("histories_apart").members.numpy()
        self._candidates = candidates_of(self.model)
        self.index = ItemIndex(item_count, self.config.dim, biased=True)
        self._served_encoder = self._encoder("float32")
        inputs = multi_task_inputs(self.history_length)
        asked = inputs
        if self.fitted_data.scenarios is None:
            inputs = {name: inputs[name] for name in ("user", "history")}
            asked = {**inputs, "scenario": keras.ops.ones_like(inputs["user"])}
        parts = [layer(name) for name in ("scenario_fusion", "experts")]
        said = what_experts_say(asked, self.index, layer("histories_apart"), self._served_encoder, *parts)
        vector = {name: said["vectors"][:, place] for place, name in enumerate(self.config.tasks)}
        self._gates = tf.function(keras.Model(inputs, said["gates"]), reduce_retracing=True)
        self._update_served()
        self._build_others({**inputs}, asked["scenario"], vector)
        popular = popularity(self.fitted_data, inputs)
        scores = popular_if_empty(self._scores(vector, inputs["user"]), popular, inputs)
        if self.fitted_data.scenarios is not None:
            scores = OnlyScenario(layer("histories_apart"))(scores, inputs["scenario"])
        return keras.Model(inputs, scores)

    def _scores(self, vector: Vectors, user: keras.KerasTensor) -> keras.KerasTensor:
        """Of all items, by the first task that orders them; by interests, none does."""
        main, head = self._main
        if main in ("next_item", "retrieval"):
            return self.index.scores(head(vector[main]))
        return PairsOfAll(self.index, head)(vector[main], user)

    @property
    def _main(self) -> tuple[str, keras.Model]:
        """The task that orders items, and its head."""
        main = next(name for name in TASKS if name in self.config.tasks)
        return main, self.model.get_layer(f"{main}_head")

    def _build_others(self, inputs: dict[str, Any], scenario: keras.KerasTensor, vector: Vectors) -> None:
        """What is said of given candidates, and of interests."""
        candidates = keras.Input((None,), dtype="int32", name="candidates")
        given, main, head = {**inputs, "candidates": candidates}, *self._main
        told = {
            _TOLD[name]: Pairs(self.index, self.model.get_layer(f"{name}_head"))(
                vector[name], inputs["user"], candidates
            )
            for name in _TOLD
            if name in vector
        }
        scores = told.get(_TOLD.get(main, ""))
        if scores is None:
            scores = CandidateScores(self.index)(head(vector[main]), candidates)
        if "likes" in told:
            told["likes"] = keras.ops.sigmoid(told["likes"])
        told["scores"] = popular_candidates_if_empty(scores, self.fitted_data, given)
        only = OnlyMembers(self.model.get_layer("histories_apart"))
        self.others = {
            "candidates": keras.Model(given, {name: only(said, candidates, scenario) for name, said in told.items()})
        }
        if "interests" in vector:
            said = {"query": vector["interests"]}
            if self.texts is not None:
                said["written"] = inputs["written"] = keras.Input((self._text_width,), name="written")
            chances = keras.ops.sigmoid(self.model.get_layer("interests_head")(said))
            self.others["interests"] = keras.Model(inputs, chances)
        self._other = {name: tf.function(model, reduce_retracing=True) for name, model in self.others.items()}

    def _ranking(self, validation: Targets) -> keras.callbacks.Callback:
        if self._chosen_by != "val_rmse":
            return super()._ranking(validation)

        def expected(targets: Targets) -> np.ndarray:
            self._update_served()
            return self.predict_ratings(targets)

        return RatingCallback(expected, validation)

    def _update_served(self) -> None:
        self._served_encoder.set_weights(self.model.get_layer("history_encoder").get_weights())
        everything = self._candidates(np.arange(len(self.fitted_data.items) + 1, dtype=np.int32))
        self.index.vectors.assign(everything["candidate"])
        self.index.biases.assign(everything["bias"])

    def _with_items(self, new: pd.DataFrame) -> Self:
        grown = copy.copy(self)
        grown._members = np.concatenate([self._members, members_of_new(new, self.fitted_data.scenarios)], axis=1)
        return super(MultiTask, grown)._with_items(new)

    def _grown_layers(self) -> list[keras.layers.Layer]:
        return [*super()._grown_layers(), self.model.get_layer("histories_apart")]


_TOLD = {"rating": "ratings", "like": "likes"}
