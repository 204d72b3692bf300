"""Any TFRS task as a loss inside Keras 3 `fit`."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.items import shared_item_tables
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras


class Task:
    """A TFRS task that Keras 3 can train with: callable in `compute_loss`, its metrics in the `fit` logs.

    Inside Keras 3 `fit` AutoGraph is off, which TFRS tasks need: the call goes through a `tf.function` of its
    own, and the value is the one that TFRS gives eagerly.

    Args:
        build: makes the TFRS task from the `tensorflow_recommenders` module; called while `tf.keras` is Keras 2.
            Build Keras 2 metrics for the task in here as well (`tf.keras.metrics...`).
        per_example: whether the task sums its loss over the batch (as `tfrs.tasks.Retrieval` does); it is then
            divided by the number of examples, so that losses of several tasks can be weighted against each other.

    Attributes:
        metrics: Keras 3 metrics that read the task's own; list them in your model's `metrics`.

    Example:
        >>> ranking = Task(lambda tfrs: tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError()))
        >>> float(ranking(labels=tf.constant([[1.0]]), predictions=tf.constant([[0.5]])))
        0.25
    """

    def __init__(self, build: Callable[[Any], Any], *, per_example: bool = False) -> None:
        tfrs = import_tfrs()
        with legacy_keras():
            self.tfrs_task = build(tfrs)
        self._per_example = per_example
        self._loss = tf.function(self.tfrs_task)
        self._signature = inspect.signature(self.tfrs_task.call)
        self.metrics = [_TaskMetric(metric) for metric in self.tfrs_task.metrics]

    def __call__(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        """The task's loss as a mean per example, float32 []; arguments are those of the TFRS task's `call`."""
        loss = self._loss(*args, **kwargs)
        if not self._per_example:
            return loss
        examples = next(iter(self._signature.bind(*args, **kwargs).arguments.values()))
        return loss / tf.cast(tf.shape(examples)[0], loss.dtype)


class StepModel(keras.Model):
    """A model that makes the table of item vectors once a training step; see `tfllmrec.layers.items.tables_once`."""

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras's own."""
        with shared_item_tables():
            return super().train_step(data)


class TaskModel(StepModel):
    """A model that trains under a task: its loss is the task's, and the task's metrics are in the `fit` logs.

    A subclass says what the task is asked (`task_loss`).

    Args:
        task: the task.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss and the task's metrics."""
        return super().metrics + self.task.metrics

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """The task's loss of a batch, float32 []."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The task's loss, plus what the layers add (regularisation)."""
        return tf.add_n([self.task_loss(x, y, y_pred, sample_weight, training), *self.losses])


class _TaskMetric(keras.metrics.Metric):
    """A Keras 3 face for a Keras 2 metric that a TFRS task updates."""

    def __init__(self, metric: Any) -> None:
        super().__init__(name=metric.name)
        self._metric = metric

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the task has updated the metric in its call."""

    def result(self) -> tf.Tensor:
        return self._metric.result()

    def reset_state(self) -> None:
        self._metric.reset_state()
