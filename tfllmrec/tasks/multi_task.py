"""Training of several tasks in one Keras 3 `fit`, with one pass over the histories and a weighted sum of losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.next_item import items_up_to
from tfllmrec.tasks.replicas import replica_count, share_of_term
from tfllmrec.tasks.task import TrainingModel
from tfllmrec.tasks.task_losses import Examples, TaskLoss, interest_labels


class MultiTaskModel(TrainingModel):
    """Trains a `tfllmrec.models.multi_task.network.MultiTaskNetwork` on all its tasks at once.

    Batches are `({"user": int32 [B], "history": int32 [B, L]}, {"item": next items int32 [B, L], ...})`, see
    `tfllmrec.data.batches.labelled_window_batches`. The labels may include "scenario": int32 [B, L], "rating" and
    "like": float32 [B, L], NaN if missing, and "written": int32 [B, L], the row of the texts that the user wrote
    before. A task uses the examples that have its label: a user without ratings still trains the other tasks. The loss
    is the weighted sum of the tasks' means per example.

    The logs have `<task>_loss` for every task and, if the weights are learnt, `<task>_weight`.

    Args:
        model: the functional model.
        states: maps histories to states after every item; see `MultiTaskNetwork.state_model`.
        vectors: maps states to task vectors; see `MultiTaskNetwork.vector_model`.
        task_losses: losses of the tasks, in the order of the task vectors.
        weights: weights of the tasks by name; None learns them by uncertainty (Kendall et al., 2018, CVPR).
        labels: interest labels of every item, [items + 1, labels], for "interests".
        interest_window: number of next items whose labels count.
        written: vectors of what users wrote, float32 [rows, W], for "written".

    Example:
        >>> states, vectors = network.state_model(), network.vector_model()
        >>> trainer = MultiTaskModel(network.model, states, vectors, task_losses, {"next_item": 1.0, "rating": 0.5})
        >>> trainer.compile("adam")
        >>> trainer.fit(labelled_window_batches(data, {"rating": data.ratings}, 50, 64), shuffle=False)
    """

    def __init__(
        self,
        model: keras.Model,
        states: keras.Model,
        vectors: keras.Model,
        task_losses: Sequence[TaskLoss],
        weights: Mapping[str, float] | None = None,
        *,
        labels: np.ndarray | None = None,
        interest_window: int = 1,
        written: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.model, self._task_losses, self._task_weights = model, task_losses, weights
        self._labels, self._interest_window, self._written = labels, interest_window, written
        self.states, self.vectors = states, vectors
        names = [loss.name for loss in task_losses]
        self._task_loss_metrics = {name: keras.metrics.Mean(f"{name}_loss") for name in names}
        self._task_weight_metrics: dict[str, keras.metrics.Metric] = {}
        if weights is None:
            self.uncertainty = self.add_weight(shape=(len(names),), initializer="zeros", name="uncertainty")
            self._task_weight_metrics = {name: keras.metrics.Mean(f"{name}_weight") for name in names}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss, the losses and learnt weights of the tasks, and the metrics of the TFRS tasks."""
        task_metrics = [metric for loss in self._task_losses for metric in loss.task.metrics]
        return [*super().metrics, *self._task_loss_metrics.values(), *self._task_weight_metrics.values(), *task_metrics]

    def call(self, features: Any, training: bool = False) -> dict[str, tf.Tensor]:
        return self.states(features["history"], training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        examples, positions = self._examples(x, y)
        vectors = self._task_vectors(y_pred, examples, positions, training)
        total = []
        for number, task_loss in enumerate(self._task_losses):
            loss = task_loss(vectors[:, number], examples, training)
            self._task_loss_metrics[task_loss.name].update_state(loss * replica_count())
            if self._task_weights is None:
                weight = tf.exp(-self.uncertainty[number])
                self._task_weight_metrics[task_loss.name].update_state(weight)
                total.append(weight * loss + share_of_term(self.uncertainty[number]))
            else:
                total.append(self._task_weights[task_loss.name] * loss)
        return tf.add_n([*total, *map(share_of_term, self.losses)])

    def _examples(self, x: Any, y: Any) -> tuple[Examples, tf.Tensor]:
        """Return the examples of a batch and their positions (row, position), int64 [n, 2]."""
        next_items = tf.cast(y["item"], tf.int32)
        positions = tf.where(next_items > 0)
        items = tf.gather_nd(next_items, positions)
        scenarios = tf.gather_nd(y["scenario"], positions) if "scenario" in y else tf.ones_like(items)
        labels = {name: tf.gather_nd(y[name], positions) for name in ("rating", "like") if name in y}
        if self._labels is not None:
            labels["interests"] = interest_labels(next_items, positions, self._labels, self._interest_window)
        written = None
        if self._written is not None:
            written = tf.gather(tf.constant(self._written), tf.gather_nd(y["written"], positions))
        users, seen = tf.gather(x["user"], positions[:, 0]), items_up_to(tf.cast(x["history"], tf.int32), positions)
        return Examples(items, users, scenarios, seen, labels, written), positions

    def _task_vectors(self, encoded: Any, examples: Examples, positions: tf.Tensor, training: bool) -> tf.Tensor:
        """Return the vectors of all tasks, float32 [n, tasks, D]."""
        inputs = {
            "states": encoded["states"],
            "rows": tf.gather(encoded["rows"], positions[:, 0]),
            "lengths": tf.gather_nd(encoded["lengths"], positions),
            "scenario": examples.scenarios,
        }
        return self.vectors(inputs, training=training)
