"""TFRS tasks as losses in Keras 3 `fit`, and the base classes of training models."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.layers.items import shared_item_tables
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.replicas import share_of_mean, share_of_term


class Task:
    """Wrap a TFRS task for Keras 3: callable in `compute_loss`, with its metrics in the `fit` logs.

    AutoGraph is off inside Keras 3 `fit`, but TFRS tasks need it. The call therefore goes through a `tf.function`; its
    value equals that of TFRS in eager mode.

    Args:
        build: builds the TFRS task from the `tensorflow_recommenders` module. It is called while `tf.keras` is Keras 2;
            build Keras 2 metrics of the task in it as well (`tf.keras.metrics...`).
        per_example: whether to divide the loss by the number of examples. Set it for tasks that sum over the batch, as
            `tfrs.tasks.Retrieval` does by default, so that the losses of several tasks can be weighted.

    Attributes:
        tfrs_task: the TFRS task.
        metrics: Keras 3 metrics that read the task's metrics; include them in your model's `metrics`.

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
        """Return the loss as a mean per example, float32 []; the arguments are those of the TFRS task's `call`.

        It is computed in float32, also from tensors of another precision. Under `tf.distribute.MirroredStrategy` it is
        this replica's share of the mean over all replicas.
        """
        args, kwargs = tf.nest.map_structure(_in_float32, (args, kwargs))
        loss, arguments = self._loss(*args, **kwargs), self._signature.bind(*args, **kwargs).arguments
        if self._per_example:
            loss = tf.math.divide_no_nan(loss, tf.cast(_num_examples(arguments), loss.dtype))
        return share_of_mean(loss, self._weight(arguments))

    def _weight(self, arguments: Mapping[str, Any]) -> tf.Tensor:
        """Return the divisor of the mean in a call."""
        return _num_examples(arguments)


def _in_float32(value: Any) -> Any:
    is_other = tf.is_tensor(value) and value.dtype.is_floating and value.dtype != tf.float32
    return tf.cast(value, tf.float32) if is_other else value


def _num_examples(arguments: Mapping[str, Any]) -> tf.Tensor:
    return tf.shape(next(iter(arguments.values())))[0]


class TrainingModel(keras.Model):
    """Model that trains on the losses of tasks.

    It computes the table of item vectors once per training step; see `shared_item_tables`. It is not saved: save the
    functional models that it trains.
    """

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **options: Any) -> None:
        """Configure the training.

        Args:
            optimizer: a Keras optimizer.
            loss: None, because the tasks have the losses.
            options: options of `keras.Model.compile` other than losses and metrics, such as `jit_compile`.

        Raises:
            InputError: If there is a loss or metric, which the tasks have already.
        """
        given = {"loss": loss, **options}
        unused = [name for name in ("loss", "loss_weights", "metrics", "weighted_metrics") if given.get(name)]
        if unused:
            raise InputError(
                f"{type(self).__name__}: the tasks have the losses and metrics; leave out {', '.join(unused)}"
            )
        super().compile(optimizer, **options)

    def save(self, *args: Any, **options: Any) -> None:
        """Refuse to save the model, which `keras.callbacks.ModelCheckpoint` does by default.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"{type(self).__name__}: a training model is not saved as a whole; give ModelCheckpoint "
            "save_weights_only=True, or use fit(backup=...) and save of the recommender"
        )

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        with shared_item_tables():
            return super().train_step(data)


class TaskModel(TrainingModel):
    """Model that trains on the loss of a task and logs the task's metrics. Subclasses implement `task_loss`.

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
        """Return the task's loss of a batch, float32 []."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        y_pred = tf.nest.map_structure(_in_float32, y_pred)
        return tf.add_n([self.task_loss(x, y, y_pred, sample_weight, training), *map(share_of_term, self.losses)])


class _TaskMetric(keras.metrics.Metric):
    """Expose a Keras 2 metric of a TFRS task as a Keras 3 metric."""

    def __init__(self, metric: Any) -> None:
        super().__init__(name=metric.name)
        self._metric = metric

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the task updates the metric in its call."""

    def result(self) -> tf.Tensor:
        return self._metric.result()

    def reset_state(self) -> None:
        self._metric.reset_state()
