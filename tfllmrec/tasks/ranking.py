"""Lists of candidates put in order under the TFRS ranking task with Keras 3 `fit`."""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfllmrec.tasks.task import Task, TaskModel

Objective = Literal["listwise", "pointwise", "rating"]
_HIDDEN = -1e9


class RankingTask(Task):
    """`tfrs.tasks.Ranking` for Keras 3, with one of three losses, as a mean per list or per candidate.

    - listwise: the softmax over a row's candidates; labels [B, N] sum to 1 in a row.
    - pointwise: sigmoid cross-entropy, one candidate a row; labels [n, 1] from 0 to 1.
    - rating: squared error, one candidate a row; labels [n, 1] are ratings.

    Args:
        objective: which.

    Example:
        >>> task = RankingTask("listwise")
        >>> float(task(labels=tf.constant([[1.0, 0.0]]), predictions=tf.constant([[3.0, 3.0]])))
        0.6931471824645996
    """

    def __init__(self, objective: Objective = "listwise") -> None:
        def build(tfrs: Any) -> Any:
            losses = tf.keras.losses
            loss = {
                "listwise": lambda: losses.CategoricalCrossentropy(from_logits=True),
                "pointwise": lambda: losses.BinaryCrossentropy(from_logits=True),
                "rating": losses.MeanSquaredError,
            }[objective]
            return tfrs.tasks.Ranking(loss=loss())

        super().__init__(build)
        self.objective = objective


class RankingModel(TaskModel):
    """Trains what scores a row's candidates.

    Batches are `(features, labels float32 [B, N])`, perhaps with sample weights [B]; the features are what the ranker
    takes, among them "candidates": int32 [B, N], 0 where a row has fewer, which then do not count.

    Args:
        ranker: features -> scores float32 [B, N].
        task: a `RankingTask`.

    Example:
        >>> model = RankingModel(ranker, RankingTask("listwise"))
        >>> model.compile("adam")
        >>> model.fit(lists)
    """

    def __init__(self, ranker: keras.Model, task: RankingTask) -> None:
        super().__init__(task)
        self.ranker = ranker
        self._listwise = task.objective == "listwise"

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        """Scores of the candidates, float32 [B, N]."""
        return self.ranker(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """The task's loss of the lists, or of their candidates one by one."""
        there, labels = x["candidates"] > 0, tf.cast(y, tf.float32)
        if self._listwise:
            return self.task(labels, tf.where(there, y_pred, _HIDDEN), sample_weight=sample_weight)
        if sample_weight is not None:
            sample_weight = tf.boolean_mask(tf.broadcast_to(sample_weight[:, None], tf.shape(labels)), there)
        labels, scores = (tf.boolean_mask(values, there)[:, None] for values in (labels, y_pred))
        return self.task(labels, scores, sample_weight=sample_weight)
