"""The multi-task network: shared items and histories, experts mixed for every task, and a head for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import keras

from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.multi_task.scenarios import NonEmptyRows, ScenarioFusion, SplitByScenario, StatesAt


@dataclass(frozen=True)
class MultiTaskLayers:
    """The layers of a network.

    Attributes:
        items: maps item indices to vectors: the `ItemEmbedding`, or an `ItemIndex` for serving.
        bias: biases of items as next items.
        split: splits histories by scenario.
        encoder: a `tfllmrec.layers.encoders.recurrent.history_encoder`.
        fusion: fuses the states of the scenarios.
        experts: a `tfllmrec.layers.experts.expert_mixture`.
        heads: a `query_head`, `pair_head` or `label_head` for every task, in the order of the tasks.
    """

    items: keras.layers.Layer
    bias: ItemBias
    split: SplitByScenario
    encoder: keras.Model
    fusion: ScenarioFusion
    experts: keras.Model
    heads: Mapping[str, keras.Model]

    @classmethod
    def of_model(cls, model: keras.Model, tasks: Sequence[str]) -> Self:
        """Return the layers of a loaded model."""
        layer = model.get_layer
        return cls(
            items=layer("items"),
            bias=layer("item_bias"),
            split=layer("split_by_scenario"),
            encoder=layer("history_encoder"),
            fusion=layer("scenario_fusion"),
            experts=layer("experts"),
            heads={task: layer(f"{task}_head") for task in tasks},
        )


@dataclass(frozen=True)
class MultiTaskNetwork:
    """The trained network.

    Attributes:
        model: the whole network as one flat model, which is saved: {"user": int32 [B], "history": int32 [B, L],
            "scenario": int32 [B], "item": int32 [B], with texts also "written": float32 [B, W]} to {"candidate":
            float32 [B, D], "bias": float32 [B], "gates": float32 [B, tasks, experts], and the output of every head by
            task}.
        candidates: item indices int32 [C] to {"candidate": float32 [C, D], "bias": float32 [C]}.
        layers: the layers.
    """

    model: keras.Model
    candidates: keras.Model
    layers: MultiTaskLayers

    @classmethod
    def of(cls, layers: MultiTaskLayers, candidate_dropout: float = 0.0, text_width: int = 0) -> Self:
        """Build the network of layers.

        Args:
            layers: the layers, with an `ItemEmbedding`.
            candidate_dropout: dropout of candidate vectors.
            text_width: width of the vectors of user texts, W; 0 for a network that does not read them.
        """
        item = keras.Input((), dtype="int32", name="item")
        inputs = scenario_inputs(layers.encoder.input.shape[1]) | {"item": item}
        if text_width:
            inputs["written"] = keras.Input((text_width,), name="written")
        mixture = task_vectors(inputs, layers)
        candidate = keras.layers.Dropout(candidate_dropout, name="candidate_dropout")(layers.items(item))
        outputs = {"candidate": candidate, "bias": layers.bias(item), "gates": mixture["gates"]}
        for position, (task, head) in enumerate(layers.heads.items()):
            known = {**inputs, "query": mixture["vectors"][:, position], "candidate": candidate}
            read = head.input
            outputs[task] = head({name: known[name] for name in read} if isinstance(read, dict) else known["query"])
        return cls._of_model(keras.Model(inputs, outputs, name="multi_task"), layers)

    @classmethod
    def restore(cls, model: keras.Model, tasks: Sequence[str]) -> Self:
        """Take a loaded `MultiTaskNetwork.model` apart."""
        return cls._of_model(model, MultiTaskLayers.of_model(model, tasks))

    @classmethod
    def _of_model(cls, model: keras.Model, layers: MultiTaskLayers) -> Self:
        outputs = {name: model.output[name] for name in ("candidate", "bias")}
        return cls(model, keras.Model(model.input["item"], outputs, name="candidate_model"), layers)

    @property
    def items(self) -> ItemEmbedding:
        """The item embedding."""
        return self.layers.items

    def state_model(self) -> keras.Model:
        """Return the model of the states after every item of a history.

        Returns:
            Histories int32 [B, L] to {"states", "rows", "lengths"}, as `encode_histories` has them.
        """
        history = keras.Input((self.layers.encoder.input.shape[1],), dtype="int32", name="history")
        return keras.Model(history, encode_histories(history, self.layers), name="state_model")

    def vector_model(self) -> keras.Model:
        """Return the model of the task vectors after any number of items.

        Returns:
            {"states": float32 [m, L, F], "rows": int32 [n, S], "lengths": int32 [n, S], "scenario": int32 [n]} to
            float32 [n, tasks, D].
        """
        scenarios = self.layers.split.scenario_count
        inputs = {
            "states": keras.Input(self.layers.encoder.output.shape[1:], name="states"),
            "rows": keras.Input((scenarios,), dtype="int32", name="rows"),
            "lengths": keras.Input((scenarios,), dtype="int32", name="lengths"),
            "scenario": keras.Input((), dtype="int32", name="scenario"),
        }
        return keras.Model(inputs, mix_experts(inputs, self.layers)["vectors"], name="vector_model")


def scenario_inputs(history_length: int) -> dict[str, keras.KerasTensor]:
    """Return the inputs of a scoring model, and the scenario int32 [B]."""
    return scoring_inputs(history_length) | {"scenario": keras.Input((), dtype="int32", name="scenario")}


def task_vectors(inputs: Mapping[str, keras.KerasTensor], layers: MultiTaskLayers) -> dict[str, keras.KerasTensor]:
    """Compute the task vectors after whole histories.

    Args:
        inputs: see `scenario_inputs`.
        layers: the layers.

    Returns:
        {"vectors": float32 [B, tasks, D], "gates": float32 [B, tasks, experts]}.
    """
    encoded = encode_histories(inputs["history"], layers)
    return mix_experts({**encoded, "lengths": encoded["lengths"][:, -1], "scenario": inputs["scenario"]}, layers)


def encode_histories(history: keras.KerasTensor, layers: MultiTaskLayers) -> dict[str, keras.KerasTensor]:
    """Encode the histories of all scenarios.

    Args:
        history: int32 [B, L].
        layers: the layers.

    Returns:
        {"states": states after every item, float32 [m, L, F]; "rows": their rows by scenario, int32 [B, S]; "lengths":
        the lengths of the scenarios' histories after every item of the whole history, int32 [B, L, S]}.
    """
    histories, lengths = layers.split(history)
    selected, rows = NonEmptyRows(name="non_empty_rows")(histories)
    return {"states": layers.encoder(layers.items(selected)), "rows": rows, "lengths": lengths}


def mix_experts(inputs: Mapping[str, keras.KerasTensor], layers: MultiTaskLayers) -> dict[str, keras.KerasTensor]:
    """Fuse the states of the scenarios, and mix the experts for every task.

    Args:
        inputs: "states", "rows", and one row of "lengths" int32 [n, S], as `encode_histories` has them; "scenario"
            int32 [n].
        layers: the layers.

    Returns:
        See `task_vectors`.
    """
    lengths, scenario = inputs["lengths"], inputs["scenario"]
    states = StatesAt(name="states_at")(inputs["states"], inputs["rows"], lengths)
    return layers.experts({"state": layers.fusion(states, lengths, scenario), "scenario": scenario})
