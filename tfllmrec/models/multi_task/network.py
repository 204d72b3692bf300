"""One model for several tasks: shared items and histories, experts mixed for every task, a head for each."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.items import ItemBias, ItemEmbedding, gather_summing
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.multi_task.scenarios import HistoriesApart, RowsThere, ScenarioFusion, StatesAt


@keras.saving.register_keras_serializable("tfllmrec")
class UserBias(keras.layers.Layer):
    """A learnt number for every user; 0 for the unknown one. int32 [n] -> float32 [n].

    Args:
        user_count: users with one.
    """

    def __init__(self, user_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_count = user_count
        self.bias = self.add_weight(shape=(user_count + 1,), initializer="zeros", name="bias")

    def call(self, users: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.where(users > 0, gather_summing(self.bias, users), 0.0)

    def compute_output_spec(self, users: keras.KerasTensor) -> keras.KerasTensor:
        """[n]."""
        return keras.KerasTensor(users.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "user_count": self.user_count}


def pair_head(
    dim: int, users: int, items: int, *, hidden_units: int = 64, dropout: float = 0.2, start: float = 0.0, name: str
) -> keras.Model:
    """What is said of a user and an item together: a perceptron over both and their product, and a bias of each.

    Args:
        dim: width D of both vectors.
        users: users with a bias.
        items: items with a bias.
        hidden_units: units of the perceptron.
        dropout: on what it reads, and on its units.
        start: what it says at first, of everything.
        name: of the model.

    Returns:
        {"query": float32 [n, D], "candidate": float32 [n, D], "user": int32 [n], "item": int32 [n]} -> float32 [n].
    """
    query, candidate = (keras.Input((dim,), name=side) for side in ("query", "candidate"))
    user, item = (keras.Input((), dtype="int32", name=side) for side in ("user", "item"))
    both = keras.layers.Concatenate()([query, candidate, query * candidate])
    inner = keras.layers.Dense(hidden_units, activation="relu", name="hidden_units")(
        keras.layers.Dropout(dropout)(both)
    )
    start_at = keras.initializers.Constant(start)
    said = keras.layers.Dense(1, bias_initializer=start_at, name="said")(keras.layers.Dropout(dropout)(inner))
    biases = UserBias(users, name="user_bias")(user) + ItemBias(items, name="item_bias")(item)
    inputs = {"query": query, "candidate": candidate, "user": user, "item": item}
    return keras.Model(inputs, keras.ops.squeeze(said, axis=-1) + biases, name=name)


def multi_task_model(
    items: ItemEmbedding,
    bias: ItemBias,
    apart: HistoriesApart,
    encoder: keras.Model,
    fusion: ScenarioFusion,
    experts: keras.Model,
    heads: Mapping[str, keras.Model],
    candidate_dropout: float = 0.0,
    written: int = 0,
) -> keras.Model:
    """All parts as one flat model, which is what is saved; the parts are its layers.

    Args:
        items: what turns item indices into vectors.
        bias: biases of items as next ones.
        apart: takes histories apart.
        encoder: a `tfllmrec.layers.encoders.recurrent.history_encoder`.
        fusion: puts the scenarios' states together.
        experts: a `tfllmrec.layers.experts.expert_mixture`.
        heads: what is said of every task, by name, in the experts' order: a `query_head`, a `pair_head` or a
            `label_head`.
        candidate_dropout: on the vectors of candidates.
        written: width W of the vectors of what users wrote; 0 where none is read.

    Returns:
        {"user": int32 [B], "history": int32 [B, L], "scenario": int32 [B], "item": int32 [B], perhaps "written":
        float32 [B, W]} -> {"candidate": float32 [B, D], "bias": float32 [B], "gates": float32 [B, tasks, experts], and
        of every task what its head says of user and item, row by row}.
    """
    item = keras.Input((), dtype="int32", name="item")
    inputs = multi_task_inputs(encoder.input.shape[1]) | {"item": item}
    if written:
        inputs["written"] = keras.Input((written,), name="written")
    said = what_experts_say(inputs, items, apart, encoder, fusion, experts)
    candidate = keras.layers.Dropout(candidate_dropout, name="candidate_dropout")(items(item))
    outputs = {"candidate": candidate, "bias": bias(item), "gates": said["gates"]}
    for place, (name, head) in enumerate(heads.items()):
        known = {**inputs, "query": said["vectors"][:, place], "candidate": candidate}
        asked = head.input
        outputs[name] = head({part: known[part] for part in asked} if isinstance(asked, dict) else known["query"])
    return keras.Model(inputs, outputs, name="multi_task")


def candidates_of(model: keras.Model) -> keras.Model:
    """Items int32 [C] -> {"candidate": float32 [C, D], "bias": float32 [C]}, of a `multi_task_model`."""
    said = {name: model.output[name] for name in ("candidate", "bias")}
    return keras.Model(model.input["item"], said, name="candidate_model")


def multi_task_inputs(history_length: int) -> dict[str, keras.KerasTensor]:
    """Those of a scoring model, and the scenario, int32 [B]."""
    return scoring_inputs(history_length) | {"scenario": keras.Input((), dtype="int32", name="scenario")}


def what_experts_say(
    inputs: Mapping[str, keras.KerasTensor],
    items: keras.layers.Layer,
    apart: HistoriesApart,
    encoder: keras.Model,
    fusion: ScenarioFusion,
    experts: keras.Model,
) -> dict[str, keras.KerasTensor]:
    """At the end of histories: {"vectors": float32 [B, tasks, D], "gates": float32 [B, tasks, experts]}.

    Args:
        inputs: see `multi_task_inputs`.
        items: what turns item indices into vectors: the `ItemEmbedding`, or a table frozen for serving.
        apart: see `multi_task_model`.
        encoder: see there.
        fusion: see there.
        experts: see there.
    """
    histories, lengths = apart(inputs["history"])
    rows, places = RowsThere(name="rows_there")(histories)
    states, ends = encoder(items(rows)), lengths[:, -1]
    state = fusion(StatesAt(name="states_at")(states, places, ends), ends, inputs["scenario"])
    return experts({"state": state, "scenario": inputs["scenario"]})


def label_head(dim: int, labels: int, *, written: int = 0, dropout: float = 0.0, name: str) -> keras.Model:
    """Logits of labels: {"query": float32 [n, D], perhaps "written": float32 [n, W]} -> float32 [n, labels].

    Args:
        dim: width D of the vectors.
        labels: how many.
        written: width W of the vectors of what users wrote; 0 where none is read.
        dropout: on the vectors.
        name: of the model.
    """
    asked = {"query": keras.Input((dim,), name="query")}
    logits = keras.layers.Dense(labels, name="logits")(keras.layers.Dropout(dropout)(asked["query"]))
    if written:
        asked["written"] = keras.Input((written,), name="written")
        of_texts = keras.layers.Dense(labels, use_bias=False, kernel_initializer="zeros", name="of_texts")
        logits += of_texts(asked["written"])
    return keras.Model(asked, logits, name=name)
