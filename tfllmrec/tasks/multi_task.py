"""Several tasks in one Keras 3 `fit`: one pass over histories, one optimizer, a weighted sum of losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.next_item import items_behind
from tfllmrec.tasks.parts import Part, Positions, labels_ahead
from tfllmrec.tasks.task import StepModel


class MultiTaskModel(StepModel):
    """Trains a `tfllmrec.models.multi_task.network.MultiTaskNetwork` on all its tasks at once.

    Batches are `({"user": int32 [B], "history": int32 [B, L]}, {"item": next items int32 [B, L], ...})`, see
    `tfllmrec.data.batches.labelled_window_batches`; beside the items there may be "scenario": int32 [B, L], "rating"
    and "like": float32 [B, L], NaN where nothing is told, and "written": int32 [B, L], what the user wrote before.
    Every task takes what there is for it: a user without ratings trains the others. The loss is the sum of the tasks'
    means per example, each with its weight.

    The logs have `<task>_loss` of every task and, where weights are learnt, `<task>_weight`.

    Args:
        model: the functional model.
        states: its states after every item of a history; see `MultiTaskNetwork.state_model`.
        vectors: the task vectors of such states; see `MultiTaskNetwork.vector_model`.
        parts: its tasks, in the order of its experts.
        weights: of the tasks by name; None for weights learnt by uncertainty (Kendall et al., 2018, CVPR).
        labels: interest labels of every item, [items + 1, labels], for "interests".
        interest_window: following items whose labels are the interests.
        written: vectors of what users wrote, float32 [rows, W], for "written".

    Example:
        >>> states, vectors = network.state_model(), network.vector_model()
        >>> trainer = MultiTaskModel(network.model, states, vectors, parts, {"next_item": 1.0, "rating": 0.5})
        >>> trainer.compile("adam")
        >>> trainer.fit(labelled_window_batches(data, {"rating": data.ratings}, 50, 64), shuffle=False)
    """

    def __init__(
        self,
        model: keras.Model,
        states: keras.Model,
        vectors: keras.Model,
        parts: Sequence[Part],
        weights: Mapping[str, float] | None = None,
        *,
        labels: np.ndarray | None = None,
        interest_window: int = 1,
        written: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.model, self._parts, self._given = model, parts, weights
        self._labels, self._ahead, self._written = labels, interest_window, written
        self.states, self.vectors = states, vectors
        self._part_losses = {part.name: keras.metrics.Mean(f"{part.name}_loss") for part in parts}
        self._part_weights: dict[str, keras.metrics.Metric] = {}
        if weights is None:
            self.uncertainty = self.add_weight(shape=(len(parts),), initializer="zeros", name="uncertainty")
            self._part_weights = {part.name: keras.metrics.Mean(f"{part.name}_weight") for part in parts}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss, that of every task, its weight where it is learnt, and the tasks' own metrics."""
        own = [metric for part in self._parts for metric in part.task.metrics]
        return [*super().metrics, *self._part_losses.values(), *self._part_weights.values(), *own]

    def call(self, features: Any, training: bool = False) -> dict[str, tf.Tensor]:
        """States after every item of every scenario's history, and which of them are whose."""
        return self.states(features["history"], training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The weighted sum of the tasks' losses, plus what the layers add (regularisation)."""
        at, places = self._positions(x, y)
        vectors = self._vectors(y_pred, at, places, training)
        total = []
        for number, part in enumerate(self._parts):
            loss = part.loss(vectors[:, number], at, training)
            self._part_losses[part.name].update_state(loss)
            if self._given is None:
                weight = tf.exp(-self.uncertainty[number])
                self._part_weights[part.name].update_state(weight)
                total.append(weight * loss + self.uncertainty[number])
            else:
                total.append(self._given[part.name] * loss)
        return tf.add_n([*total, *self.losses])

    def _positions(self, x: Any, y: Any) -> tuple[Positions, tf.Tensor]:
        """Where an item came next, and these places (row, position), int64 [n, 2]."""
        following = tf.cast(y["item"], tf.int32)
        places = tf.where(following > 0)
        items = tf.gather_nd(following, places)
        scenarios = tf.gather_nd(y["scenario"], places) if "scenario" in y else tf.ones_like(items)
        labels = {name: tf.gather_nd(y[name], places) for name in ("rating", "like") if name in y}
        if self._labels is not None:
            labels["interests"] = labels_ahead(following, places, self._labels, self._ahead)
        written = None
        if self._written is not None:
            written = tf.gather(tf.constant(self._written), tf.gather_nd(y["written"], places))
        users, behind = tf.gather(x["user"], places[:, 0]), items_behind(tf.cast(x["history"], tf.int32), places)
        return Positions(items, users, scenarios, behind, labels, written), places

    def _vectors(self, encoded: Any, at: Positions, places: tf.Tensor, training: bool) -> tf.Tensor:
        """What the experts say of every task, float32 [n, tasks, D]."""
        inputs = {
            "states": encoded["states"],
            "rows": tf.gather(encoded["rows"], places[:, 0]),
            "lengths": tf.gather_nd(encoded["lengths"], places),
            "scenario": at.scenarios,
        }
        return self.vectors(inputs, training=training)
