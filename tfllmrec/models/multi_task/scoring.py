"""The models that score with a trained network, on a fixed index of item vectors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.layers.encoders.recurrent import history_encoder
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.content import ItemContent
from tfllmrec.models.base.fallback import popular_candidates_if_empty, popular_if_empty, popularity_scores
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.network import MultiTaskLayers, MultiTaskNetwork, scenario_inputs, task_vectors
from tfllmrec.models.multi_task.scoring_layers import (
    AllPairScores,
    CandidateMask,
    CandidateScores,
    PairScores,
    ScenarioMask,
)
from tfllmrec.models.multi_task.user_texts import UserTexts

PAIR_OUTPUTS = {"rating": "ratings", "like": "likes"}
"""The names of the outputs for candidates by task; likes are probabilities."""

Inputs = Mapping[str, keras.KerasTensor]


@dataclass(frozen=True, kw_only=True)
class MultiTaskModels(BuiltModels):
    """The models of a `MultiTask`.

    Attributes:
        network: the trained network and its layers.
        content: reads the content of items.
        labels: the interest labels.
        texts: the texts of users, or None.
        interest_model: the scorer's inputs, with texts also "written" float32 [B, W], to the probability of every
            label float32 [B, labels]; None without that task.
        gate_model: the scorer's inputs to the weights of the experts, float32 [B, tasks, experts].
    """

    network: MultiTaskNetwork
    content: ItemContent
    labels: Vocabulary
    texts: UserTexts | None
    interest_model: keras.Model | None
    gate_model: keras.Model

    @property
    def members(self) -> np.ndarray:
        """The items of every scenario, bool [S + 1, items + 1]."""
        return self.network.layers.split.members.numpy()

    @cached_property
    def interest_function(self) -> Callable[..., Any]:
        """The interest model as a function."""
        return tf.function(self.interest_model, reduce_retracing=True)

    @cached_property
    def gate_function(self) -> Callable[..., Any]:
        """The gate model as a function."""
        return tf.function(self.gate_model, reduce_retracing=True)


def build_models(
    network: MultiTaskNetwork,
    config: MultiTaskConfig,
    fitted_data: FittedData,
    content: ItemContent,
    labels: Vocabulary,
    texts: UserTexts | None,
) -> MultiTaskModels:
    """Build the models that score, in float32, around a trained network.

    Args:
        network: the network; its layers are shared, its item vectors and its encoder are copied by `update`.
        config: the configuration.
        fitted_data: the items, their counts and the scenarios.
        content: see `MultiTaskModels`, as the other arguments.
        labels: see `MultiTaskModels`.
        texts: see `MultiTaskModels`.
    """
    item_count = len(fitted_data.items)
    index = ItemIndex(item_count, config.dim, biased=True)
    layers = replace(
        network.layers, items=index, encoder=history_encoder(**config.encoder_options(), precision="float32")
    )
    inputs = scenario_inputs(config.history_length)
    scenario = inputs["scenario"]
    if fitted_data.scenarios is None:
        inputs = {name: inputs[name] for name in ("user", "history")}
        scenario = keras.ops.ones_like(inputs["user"])
    mixture = task_vectors({**inputs, "scenario": scenario}, layers)
    vectors = {task: mixture["vectors"][:, position] for position, task in enumerate(config.tasks)}
    interest_model = _interest_model(inputs, vectors, layers, texts)
    backbone = None if texts is None else texts.bert.backbone

    def update() -> None:
        layers.encoder.set_weights(network.layers.encoder.get_weights())
        outputs = network.candidates(np.arange(item_count + 1, dtype=np.int32))
        index.vectors.assign(outputs["candidate"])
        index.biases.assign(outputs["bias"])

    update()
    return MultiTaskModels(
        model=network.model,
        scorer=_scorer(inputs, vectors, layers, fitted_data),
        history_length=config.history_length,
        index=index,
        candidate_scorer=_candidate_scorer(inputs, scenario, vectors, layers, fitted_data),
        served_models=tuple(model for model in (interest_model, backbone) if model is not None),
        backbone=backbone,
        update=update,
        network=network,
        content=content,
        labels=labels,
        texts=texts,
        interest_model=interest_model,
        gate_model=keras.Model(inputs, mixture["gates"]),
    )


def _scorer(inputs: Inputs, vectors: Inputs, layers: MultiTaskLayers, fitted_data: FittedData) -> keras.Model:
    """Score all items by the first task."""
    task, vector = next(iter(vectors.items()))
    if task in PAIR_OUTPUTS:
        scores = AllPairScores(layers.items, layers.heads[task])(vector, inputs["user"])
    else:
        scores = layers.items.scores(layers.heads[task](vector))
    scores = popular_if_empty(scores, popularity_scores(fitted_data, inputs), inputs)
    if "scenario" in inputs:
        scores = ScenarioMask(layers.split)(scores, inputs["scenario"])
    return keras.Model(inputs, scores)


def _candidate_scorer(
    inputs: Inputs,
    scenario: keras.KerasTensor,
    vectors: Inputs,
    layers: MultiTaskLayers,
    fitted_data: FittedData,
) -> keras.Model:
    """Score candidates by the first task, and predict their ratings and likes where these are tasks."""
    candidates = keras.Input((None,), dtype="int32", name="candidates")
    inputs = {**inputs, "candidates": candidates}
    outputs = {
        name: PairScores(layers.items, layers.heads[task])(vectors[task], inputs["user"], candidates)
        for task, name in PAIR_OUTPUTS.items()
        if task in vectors
    }
    task, vector = next(iter(vectors.items()))
    if task in PAIR_OUTPUTS:
        scores = outputs[PAIR_OUTPUTS[task]]
    else:
        scores = CandidateScores(layers.items)(layers.heads[task](vector), candidates)
    if "likes" in outputs:
        outputs["likes"] = keras.ops.sigmoid(outputs["likes"])
    outputs["scores"] = popular_candidates_if_empty(scores, fitted_data, inputs)
    mask = CandidateMask(layers.split)
    return keras.Model(inputs, {name: mask(values, candidates, scenario) for name, values in outputs.items()})


def _interest_model(
    inputs: Inputs, vectors: Inputs, layers: MultiTaskLayers, texts: UserTexts | None
) -> keras.Model | None:
    if "interests" not in vectors:
        return None
    read = {"query": vectors["interests"]}
    if texts is not None:
        read["written"] = keras.Input((texts.width,), name="written")
        inputs = {**inputs, "written": read["written"]}
    return keras.Model(inputs, keras.ops.sigmoid(layers.heads["interests"](read)))
