"""Layers that split a history by scenario and fuse the encoded parts for the requested scenario."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.history import most_recent


@keras.saving.register_keras_serializable("tfllmrec")
class SplitByScenario(keras.layers.Layer):
    """Split a history into one history for every scenario.

    int32 [B, L] -> histories int32 [B, S, L] and lengths int32 [B, L, S]. Histories are oldest first with zeros on the
    right, before and after. The lengths are those after every item of the whole history. An item of several scenarios
    is in the history of each.

    Args:
        scenario_count: number of scenarios, S.
        item_count: items in the catalog.

    Attributes:
        members: the items of every scenario, bool [S + 1, items + 1].
    """

    def __init__(self, scenario_count: int, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario_count, self.item_count = scenario_count, item_count
        shape = (scenario_count + 1, item_count + 1)
        self.members = self.add_weight(shape=shape, dtype="bool", initializer="zeros", trainable=False, name="members")

    @classmethod
    def of(cls, members: np.ndarray, **kwargs: Any) -> Self:
        """Build the layer from a table bool [S + 1, items + 1]; row 0, for unknown scenarios, is False."""
        layer = cls(members.shape[0] - 1, members.shape[1] - 1, **kwargs)
        layer.members.assign(members)
        return layer

    def call(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Split histories."""
        length = history.shape[1]
        inside = tf.transpose(tf.gather(tf.convert_to_tensor(self.members)[1:], history, axis=1), [1, 0, 2])
        rows = tf.where(inside, history[:, None], 0)
        histories = most_recent(tf.reshape(rows, [-1, length]), length)
        lengths = tf.cumsum(tf.cast(inside, tf.int32), axis=2)
        return tf.reshape(histories, tf.shape(rows)), tf.transpose(lengths, [0, 2, 1])

    def compute_output_spec(self, history: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of histories [B, S, L] and lengths [B, L, S]."""
        rows, length = history.shape
        return (
            keras.KerasTensor((rows, self.scenario_count, length), "int32"),
            keras.KerasTensor((rows, length, self.scenario_count), "int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "scenario_count": self.scenario_count, "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class NonEmptyRows(keras.layers.Layer):
    """Select the histories that have an item: int32 [B, S, L] -> int32 [m, L], and the row of each int32 [B, S].

    Most users have interactions in one scenario only, so the encoder skips the empty histories of the others. The first
    history is always selected: m is at least 1. Empty histories have the row of any selected one.

    Attributes:
        static_shapes: whether all histories are selected, as XLA requires.
    """

    static_shapes = False

    def call(self, histories: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Select histories."""
        flat = tf.reshape(histories, [-1, histories.shape[2]])
        if self.static_shapes:
            return flat, tf.reshape(tf.range(tf.shape(flat)[0]), tf.shape(histories)[:2])
        selected = (flat[:, 0] > 0) | (tf.range(tf.shape(flat)[0]) == 0)
        rows = tf.cumsum(tf.cast(selected, tf.int32)) - 1
        return tf.boolean_mask(flat, selected), tf.reshape(tf.maximum(rows, 0), tf.shape(histories)[:2])

    def compute_output_spec(self, histories: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of histories [m, L] and rows [B, S]."""
        return keras.KerasTensor((None, histories.shape[2]), "int32"), keras.KerasTensor(histories.shape[:2], "int32")


@keras.saving.register_keras_serializable("tfllmrec")
class StatesAt(keras.layers.Layer):
    """Gather the states after the last items of histories; an arbitrary state for a length of 0.

    (states float32 [m, L, F], their rows int32 [n, S], lengths int32 [n, S]) -> float32 [n, S, F].
    """

    def call(self, states: tf.Tensor, rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Gather states."""
        return tf.gather_nd(states, tf.stack([rows, tf.maximum(lengths - 1, 0)], axis=-1))

    def compute_output_spec(
        self, states: keras.KerasTensor, rows: keras.KerasTensor, lengths: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Return the spec of the states [n, S, F]."""
        return keras.KerasTensor((*rows.shape, states.shape[2]), "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class ScenarioFusion(keras.layers.Layer):
    """Fuse the states of all scenarios for one of them: its own state plus attention over the others.

    Every scenario has a query for each of the others. Attention includes a zero state, so that it can ignore them all.

    (states float32 [n, S, F], lengths of their histories int32 [n, S], scenario int32 [n]) -> float32 [n, F]. States
    of empty histories are ignored.

    Args:
        transfer: whether other scenarios contribute.
        dim: width of queries and keys.
    """

    def __init__(self, transfer: bool = True, dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transfer, self.dim = transfer, dim

    def build(self, states_shape: Any, lengths_shape: Any, scenario_shape: Any) -> None:
        """Create the weights for S scenarios and F inputs."""
        if self.transfer:
            count, width = states_shape[1:]
            normal = keras.initializers.RandomNormal(stddev=0.05)
            self.queries = self.add_weight(shape=(count + 1, count, self.dim), initializer=normal, name="queries")
            self.keys = keras.layers.Dense(self.dim, name="keys")
            self.values = keras.layers.Dense(width, use_bias=False, name="values")
            for layer in (self.keys, self.values):
                layer.build((None, width))

    def call(self, states: tf.Tensor, lengths: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """Fuse states."""
        own = tf.one_hot(scenario - 1, states.shape[1])
        present = lengths > 0
        states = tf.where(present[..., None], states, 0.0)
        fused = tf.einsum("ns,nsf->nf", own, states)
        if not self.transfer:
            return fused
        queries = tf.gather(tf.convert_to_tensor(self.queries), scenario)
        logits = tf.reduce_sum(queries * self.keys(states), axis=-1)
        logits = tf.where(present & (own == 0.0), logits, -1e9)
        weights = tf.nn.softmax(tf.pad(logits, [[0, 0], [0, 1]]), axis=-1)[:, :-1]  # the last column is the zero state
        return fused + tf.einsum("ns,nsf->nf", weights, self.values(states))

    def compute_output_spec(
        self, states: keras.KerasTensor, lengths: keras.KerasTensor, scenario: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Return the spec of the fused states [n, F]."""
        return keras.KerasTensor((states.shape[0], states.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "transfer": self.transfer, "dim": self.dim}
