"""Experts: several small networks over one state, mixed for every task by a gate of its own."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

Sharing = Literal["shared_bottom", "mmoe", "ple"]


@keras.saving.register_keras_serializable("tfllmrec")
class ExpertBank(keras.layers.Layer):
    """Perceptrons of one hidden layer side by side: float32 [n, F] -> [n, experts, D].

    Args:
        experts: how many.
        hidden_units: units of each.
        dim: width D of what they say.
        dropout: of the hidden units.
    """

    def __init__(self, experts: int, hidden_units: int, dim: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.experts, self.hidden_units, self.dim, self.dropout = experts, hidden_units, dim, dropout
        self.inner = keras.layers.Dense(experts * hidden_units, activation="relu", name="inner")
        self._drop = keras.layers.Dropout(dropout)

    def build(self, state_shape: Any) -> None:
        """Weights for F inputs."""
        self.inner.build(state_shape)
        # each expert on its own: fans are those of one matrix
        limit = np.sqrt(6 / (self.hidden_units + self.dim))
        spread = keras.initializers.RandomUniform(-limit, limit)
        self.outer = self.add_weight(
            shape=(self.experts, self.hidden_units, self.dim), initializer=spread, name="outer"
        )

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        hidden = self._drop(self.inner(state), training=training)
        return tf.einsum("neh,ehd->ned", tf.reshape(hidden, [-1, self.experts, self.hidden_units]), self.outer)

    def compute_output_spec(self, state: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """[n, experts, D]."""
        return keras.KerasTensor((state.shape[0], self.experts, self.dim), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("experts", "hidden_units", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfllmrec")
class Gates(keras.layers.Layer):
    """How much every task listens to every expert, from the state and the scenario: sums to 1.

    (state float32 [n, F], scenario int32 [n]) -> float32 [n, tasks, experts].

    Args:
        allowed: which experts a task may listen to in a scenario, bool [scenarios + 1, tasks, experts], nested lists in
            a configuration.
    """

    def __init__(self, allowed: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allowed = np.asarray(allowed, bool)
        scenarios, tasks, experts = self.allowed.shape
        self.of_state = keras.layers.Dense(tasks * experts, kernel_initializer="zeros", name="of_state")
        self.of_scenario = self.add_weight(
            shape=(scenarios, tasks, experts), initializer="zeros", name="of_scenario", trainable=scenarios > 2
        )

    def build(self, state_shape: Any, scenario_shape: Any) -> None:
        """Weights for F inputs."""
        self.of_state.build(state_shape)

    def call(self, state: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """See the class."""
        scenario = tf.reshape(scenario, [-1])  # an argument's rank is lost on TensorFlow's optimiser, which says so
        said = tf.reshape(self.of_state(state), [-1, *self.allowed.shape[1:]])
        said += tf.gather(tf.convert_to_tensor(self.of_scenario), scenario)
        return tf.nn.softmax(tf.where(tf.gather(tf.constant(self.allowed), scenario), said, -1e9), axis=-1)

    def compute_output_spec(self, state: keras.KerasTensor, scenario: keras.KerasTensor) -> keras.KerasTensor:
        """[n, tasks, experts]."""
        return keras.KerasTensor((state.shape[0], *self.allowed.shape[1:]), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "allowed": self.allowed.tolist()}


def expert_names(sharing: Sharing, tasks: Sequence[str], *, experts: int, scenarios: Sequence[str] = ()) -> list[str]:
    """The experts of a mixture, by name: shared ones, those of one task, those of one scenario.

    Args:
        sharing: one shared expert for all ("shared_bottom"), several (MMoE; Ma et al., 2018, KDD), or several and one
            for every task (PLE with one level; Tang et al., 2020, RecSys).
        tasks: what is learnt.
        experts: shared ones, where there is more than one.
        scenarios: those that have an expert of their own.
    """
    shared = [f"shared {number + 1}" for number in range(1 if sharing == "shared_bottom" else experts)]
    return [*shared, *(tasks if sharing == "ple" else ()), *scenarios]


def allowed_experts(names: Sequence[str], tasks: Sequence[str], scenarios: Sequence[str]) -> np.ndarray:
    """Which experts a task may listen to in a scenario: the shared ones, its own and the scenario's, where it has one.

    Returns:
        bool [scenarios + 1, tasks, experts]; row 0 is no scenario.
    """
    of_task, of_scenario = (
        np.array([[name == owner for name in names] for owner in owners], bool).reshape(len(owners), len(names))
        for owners in (tasks, scenarios)
    )
    shared = np.array([name.startswith("shared ") for name in names])
    of_scenario = np.concatenate([np.zeros((1, len(names)), bool), of_scenario])
    return shared | of_task[None] | of_scenario[:, None]


def expert_mixture(
    width: int, dim: int, allowed: np.ndarray, *, hidden_units: int, dropout: float = 0.0
) -> keras.Model:
    """What a state comes to for every task: what all tasks share, and a mixture of experts of its own.

    Args:
        width: of the states, F.
        dim: width of the results, D.
        allowed: see `allowed_experts`.
        hidden_units: units of an expert.
        dropout: of these units.

    Returns:
        {"state": float32 [n, F], "scenario": int32 [n]} -> {"vectors": float32 [n, tasks, D], "gates": float32
        [n, tasks, experts]}.
    """
    state = keras.Input((width,), name="state")
    scenario = keras.Input((), dtype="int32", name="scenario")
    base = state if width == dim else keras.layers.Dense(dim, name="linear")(state)
    said = ExpertBank(allowed.shape[2], hidden_units, dim, dropout, name="bank")(state)
    gates = Gates(allowed, name="gates")(state, scenario)
    vectors = base[:, None] + keras.ops.matmul(gates, said)
    return keras.Model({"state": state, "scenario": scenario}, {"vectors": vectors, "gates": gates}, name="experts")
