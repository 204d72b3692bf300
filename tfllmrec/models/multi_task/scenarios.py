"""Histories taken apart by scenario, and what they come to fused again for the scenario that is asked for."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.history import newest
from tfllmrec.layers.top_items import LOWEST


@keras.saving.register_keras_serializable("tfllmrec")
class HistoriesApart(keras.layers.Layer):
    """A history as one of every scenario: int32 [B, L] -> histories int32 [B, S, L] and lengths int32 [B, L, S].

    Histories are oldest first with zeros on the right, as they come. The lengths are those after every item of the
    whole history. An item that several scenarios have is in each one's history.

    Args:
        scenario_count: S.
        item_count: items in the catalogue.

    Attributes:
        members: which items every scenario has, bool [S + 1, items + 1].
    """

    def __init__(self, scenario_count: int, item_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario_count, self.item_count = scenario_count, item_count
        shape = (scenario_count + 1, item_count + 1)
        self.members = self.add_weight(shape=shape, dtype="bool", initializer="zeros", trainable=False, name="members")

    @classmethod
    def of(cls, members: np.ndarray, **kwargs: Any) -> Self:
        """The layer of a table bool [S + 1, items + 1]; row 0 is no scenario, and nothing is in it."""
        layer = cls(members.shape[0] - 1, members.shape[1] - 1, **kwargs)
        layer.members.assign(members)
        return layer

    def call(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        length = history.shape[1]
        inside = tf.transpose(tf.gather(tf.convert_to_tensor(self.members)[1:], history, axis=1), [1, 0, 2])
        rows = tf.where(inside, history[:, None], 0)
        apart = newest(tf.reshape(rows, [-1, length]), length)
        so_far = tf.cumsum(tf.cast(inside, tf.int32), axis=2)
        return tf.reshape(apart, tf.shape(rows)), tf.transpose(so_far, [0, 2, 1])

    def compute_output_spec(self, history: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """[B, S, L] and [B, L, S]."""
        rows, length = history.shape
        return (
            keras.KerasTensor((rows, self.scenario_count, length), "int32"),
            keras.KerasTensor((rows, length, self.scenario_count), "int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "scenario_count": self.scenario_count, "item_count": self.item_count}


@keras.saving.register_keras_serializable("tfllmrec")
class RowsThere(keras.layers.Layer):
    """The histories that have an item: int32 [B, S, L] -> int32 [m, L], and which of them each is, int32 [B, S].

    Most people are in one scenario only, and what they are not in costs nothing to encode then. The first history is
    there in any case, so that there is one.

    Attributes:
        static_shapes: whether all histories are there in any case, as a compiler needs it.
    """

    static_shapes = False

    def call(self, histories: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        flat = tf.reshape(histories, [-1, histories.shape[2]])
        if self.static_shapes:
            return flat, tf.reshape(tf.range(tf.shape(flat)[0]), tf.shape(histories)[:2])
        there = (flat[:, 0] > 0) | (tf.range(tf.shape(flat)[0]) == 0)
        places = tf.cumsum(tf.cast(there, tf.int32)) - 1
        return tf.boolean_mask(flat, there), tf.reshape(tf.maximum(places, 0), tf.shape(histories)[:2])

    def compute_output_spec(self, histories: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """[m, L] and [B, S]."""
        return keras.KerasTensor((None, histories.shape[2]), "int32"), keras.KerasTensor(histories.shape[:2], "int32")


@keras.saving.register_keras_serializable("tfllmrec")
class StatesAt(keras.layers.Layer):
    """States after so many items of every scenario's history; any one where that is none.

    (states float32 [m, L, F], which of them int32 [n, S], lengths int32 [n, S]) -> float32 [n, S, F].
    """

    def call(self, states: tf.Tensor, rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.gather_nd(states, tf.stack([rows, tf.maximum(lengths - 1, 0)], axis=-1))

    def compute_output_spec(
        self, states: keras.KerasTensor, rows: keras.KerasTensor, lengths: keras.KerasTensor
    ) -> keras.KerasTensor:
        """[n, S, F]."""
        return keras.KerasTensor((*rows.shape, states.shape[2]), "float32")


@keras.saving.register_keras_serializable("tfllmrec")
class ScenarioFusion(keras.layers.Layer):
    """What a user did in every scenario, for one of them: its own state, and attention over the others.

    The scenario that is asked for asks the states of the others, each by a key of its own, and may listen to nobody.

    (states float32 [n, S, F], lengths of the histories behind them int32 [n, S], scenario int32 [n]) -> float32 [n, F];
    of empty histories nothing is read.

    Args:
        transfer: whether the others count at all.
        dim: width of questions and keys.
    """

    def __init__(self, transfer: bool = True, dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transfer, self.dim = transfer, dim

    def build(self, states_shape: Any, lengths_shape: Any, scenario_shape: Any) -> None:
        """Weights for S scenarios and F inputs."""
        if self.transfer:
            count, width = states_shape[1:]
            normal = keras.initializers.RandomNormal(stddev=0.05)
            self.questions = self.add_weight(shape=(count + 1, count, self.dim), initializer=normal, name="questions")
            self.keys = keras.layers.Dense(self.dim, name="keys")
            self.values = keras.layers.Dense(width, use_bias=False, name="values")
            for layer in (self.keys, self.values):
                layer.build((None, width))

    def call(self, states: tf.Tensor, lengths: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """See the class."""
        own = tf.one_hot(scenario - 1, states.shape[1])
        there = lengths > 0
        states = tf.where(there[..., None], states, 0.0)
        fused = tf.einsum("ns,nsf->nf", own, states)
        if not self.transfer:
            return fused
        questions = tf.gather(tf.convert_to_tensor(self.questions), scenario)
        fit = tf.reduce_sum(questions * self.keys(states), axis=-1)
        fit = tf.where(there & (own == 0.0), fit, -1e9)
        weights = tf.nn.softmax(tf.pad(fit, [[0, 0], [0, 1]]), axis=-1)[:, :-1]  # the last place is nobody's
        return fused + tf.einsum("ns,nsf->nf", weights, self.values(states))

    def compute_output_spec(
        self, states: keras.KerasTensor, lengths: keras.KerasTensor, scenario: keras.KerasTensor
    ) -> keras.KerasTensor:
        """[n, F]."""
        return keras.KerasTensor((states.shape[0], states.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "transfer": self.transfer, "dim": self.dim}


class OnlyScenario(keras.layers.Layer):
    """Scores of a scenario's items, all others at float32's lowest: (float32 [B, items + 1], int32 [B]) -> the same.

    Args:
        apart: knows which items every scenario has.
    """

    def __init__(self, apart: HistoriesApart) -> None:
        super().__init__()
        self._apart = apart

    def call(self, scores: tf.Tensor, scenario: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.where(tf.gather(tf.convert_to_tensor(self._apart.members), scenario), scores, LOWEST)

    def compute_output_spec(self, scores: keras.KerasTensor, scenario: keras.KerasTensor) -> keras.KerasTensor:
        """The scores' own shape."""
        return keras.KerasTensor(scores.shape, "float32")
