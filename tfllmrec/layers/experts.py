"""Mixtures of experts: small networks over one state, mixed for every task by a gate."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

Sharing = Literal["shared_bottom", "mmoe", "ple"]


@keras.saving.register_keras_serializable("tfllmrec")
class ExpertBank(keras.layers.Layer):
    """Perceptrons with one hidden layer, computed together: float32 [n, F] -> [n, experts, D].

    Args:
        experts: number of experts.
        hidden_units: hidden units of each expert.
        dim: width D of the outputs.
        dropout: dropout rate of the hidden units.
    """

    def __init__(self, experts: int, hidden_units: int, dim: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.experts, self.hidden_units, self.dim, self.dropout = experts, hidden_units, dim, dropout
        self.hidden = keras.layers.Dense(experts * hidden_units, activation="relu", name="hidden")
        self._drop = keras.layers.Dropout(dropout)

    def build(self, state_shape: Any) -> None:
        self.hidden.build(state_shape)
        # Glorot uniform with the fans of one expert's matrix
        limit = np.sqrt(6 / (self.hidden_units + self.dim))
        spread = keras.initializers.RandomUniform(-limit, limit)
        self.output_kernel = self.add_weight(
            shape=(self.experts, self.hidden_units, self.dim), initializer=spread, name="output_kernel"
        )

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        hidden = self._drop(self.hidden(state), training=training)
        return tf.einsum("neh,ehd->ned", tf.reshape(hidden, [-1, self.experts, self.hidden_units]), self.output_kernel)

    def compute_output_spec(self, state: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor((state.shape[0], self.experts, self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        names = ("experts", "hidden_units", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfllmrec")
class ExpertGates(keras.layers.Layer):
    """Softmax weights of the experts for every task, computed from the state and the scenario.

    (state float32 [n, F], scenario int32 [n]) -> float32 [n, tasks, experts].

    Args:
        allowed: the experts that each task may use in each scenario, bool [scenarios + 1, tasks, experts], as an array
            or nested lists.
    """

    def __init__(self, allowed: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allowed = np.asarray(allowed, bool)
        scenarios, tasks, experts = self.allowed.shape
        self.state_logits = keras.layers.Dense(tasks * experts, kernel_initializer="zeros", name="state_logits")
        self.scenario_logits = self.add_weight(
            shape=(scenarios, tasks, experts), initializer="zeros", name="scenario_logits", trainable=scenarios > 2
        )

    def build(self, state_shape: Any, scenario_shape: Any) -> None:
        self.state_logits.build(state_shape)

    def call(self, state: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        scenario = tf.reshape(scenario, [-1])  # Grappler loses an argument's rank and logs a warning
        logits = tf.reshape(self.state_logits(state), [-1, *self.allowed.shape[1:]])
        logits += tf.gather(tf.convert_to_tensor(self.scenario_logits), scenario)
        return tf.nn.softmax(tf.where(tf.gather(tf.constant(self.allowed), scenario), logits, -1e9), axis=-1)

    def compute_output_spec(self, state: keras.KerasTensor, scenario: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((state.shape[0], *self.allowed.shape[1:]), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "allowed": self.allowed.tolist()}


def expert_names(sharing: Sharing, tasks: Sequence[str], *, experts: int, scenarios: Sequence[str] = ()) -> list[str]:
    """Return the names of a mixture's experts: shared experts, then those of tasks, then those of scenarios.

    Args:
        sharing: "shared_bottom" (one shared expert), "mmoe" (several shared experts; Ma et al., 2018, KDD) or "ple"
            (shared experts and one per task, one level; Tang et al., 2020, RecSys).
        tasks: names of the tasks.
        experts: number of shared experts; "shared_bottom" ignores it.
        scenarios: names of the scenarios with an expert.
    """
    shared = [f"shared {number + 1}" for number in range(1 if sharing == "shared_bottom" else experts)]
    return [*shared, *(tasks if sharing == "ple" else ()), *scenarios]


def allowed_experts(names: Sequence[str], tasks: Sequence[str], scenarios: Sequence[str]) -> np.ndarray:
    """Return the experts that each task may use in each scenario: the shared ones, the task's and the scenario's.

    Args:
        names: names of the experts; see `expert_names`.
        tasks: names of the tasks.
        scenarios: names of the scenarios.

    Returns:
        bool [scenarios + 1, tasks, experts]; row 0 applies without a scenario.
    """
    by_task, by_scenario = (
        np.array([[name == owner for name in names] for owner in owners], bool).reshape(len(owners), len(names))
        for owners in (tasks, scenarios)
    )
    shared = np.array([name.startswith("shared ") for name in names])
    by_scenario = np.concatenate([np.zeros((1, len(names)), bool), by_scenario])
    return shared | by_task[None] | by_scenario[:, None]


def expert_mixture(
    width: int, dim: int, allowed: np.ndarray, *, hidden_units: int, dropout: float = 0.0
) -> keras.Model:
    """Build the model that maps a state to one vector per task: a shared projection plus the task's mixture of experts.

    Args:
        width: width F of the states.
        dim: width D of the vectors.
        allowed: see `allowed_experts`.
        hidden_units: hidden units of an expert.
        dropout: dropout rate of the hidden units.

    Returns:
        Model: {"state": float32 [n, F], "scenario": int32 [n]} -> {"vectors": float32 [n, tasks, D], "gates": float32
        [n, tasks, experts]}.
    """
    state = keras.Input((width,), name="state")
    scenario = keras.Input((), dtype="int32", name="scenario")
    base = state if width == dim else keras.layers.Dense(dim, name="linear")(state)
    outputs = ExpertBank(allowed.shape[2], hidden_units, dim, dropout, name="bank")(state)
    gates = ExpertGates(allowed, name="gates")(state, scenario)
    vectors = base[:, None] + keras.ops.matmul(gates, outputs)
    return keras.Model({"state": state, "scenario": scenario}, {"vectors": vectors, "gates": gates}, name="experts")
