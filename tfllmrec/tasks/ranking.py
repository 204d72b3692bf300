"""The TFRS ranking task for Keras 3, and the model that trains rankers of candidate lists with it."""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfllmrec.tasks.softmax import MASKED_SCORE
from tfllmrec.tasks.task import Task, TaskModel

Objective = Literal["listwise", "pointwise", "rating"]


class RankingTask(Task):
    """`tfrs.tasks.Ranking` for Keras 3 with one of three losses, as a mean per list or per candidate.

    - listwise: softmax cross-entropy over the candidates of a row; labels [B, N] sum to 1 per row.
    - pointwise: sigmoid cross-entropy, one candidate per row; labels [n, 1] between 0 and 1.
    - rating: squared error, one candidate per row; labels [n, 1] are ratings.

    Args:
        objective: name of the loss.

    Example:
        >>> task = RankingTask("listwise")
        >>> float(task(labels=tf.constant([[1.0, 0.0]]), predictions=tf.constant([[3.0, 3.0]])))
        0.6931471824645996
    """

    def __init__(self, objective: Objective = "listwise") -> None:
        def build(tfrs: Any) -> Any:
            losses = tf.keras.losses
            loss, options = {
                "listwise": (losses.CategoricalCrossentropy, {"from_logits": True}),
                "pointwise": (losses.BinaryCrossentropy, {"from_logits": True}),
                "rating": (losses.MeanSquaredError, {}),
            }[objective]
            return tfrs.tasks.Ranking(loss=loss(reduction="sum", **options))  # strategies allow no means

        super().__init__(build, per_example=True)
        self.objective = objective


class RankingModel(TaskModel):
    """Trains a ranker of candidate lists.

    Batches are `(features, labels float32 [B, N])`, optionally with sample weights [B]. The features are the inputs of
    the ranker and include "candidates": int32 [B, N], padded with 0; padding does not contribute to the loss.

    Args:
        ranker: features -> scores float32 [B, N].
        task: a `RankingTask`.

    Example:
        >>> candidates = keras.Input((2,), dtype="int32", name="candidates")
        >>> scores = keras.layers.Embedding(9, 1)(candidates)[..., 0]
        >>> model = RankingModel(keras.Model({"candidates": candidates}, scores), RankingTask("listwise"))
        >>> model.compile("adam")
        >>> lists, labels = np.array([[1, 2], [3, 0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
        >>> training_log = model.fit({"candidates": lists}, labels, verbose=0)
    """

    def __init__(self, ranker: keras.Model, task: RankingTask) -> None:
        super().__init__(task)
        self.ranker = ranker
        self._listwise = task.objective == "listwise"

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        return self.ranker(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        present, labels = x["candidates"] > 0, tf.cast(y, tf.float32)
        if self._listwise:
            return self.task(labels, tf.where(present, y_pred, MASKED_SCORE), sample_weight=sample_weight)
        if sample_weight is not None:
            sample_weight = tf.boolean_mask(tf.broadcast_to(sample_weight[:, None], tf.shape(labels)), present)
        labels, scores = (tf.boolean_mask(values, present)[:, None] for values in (labels, y_pred))
        return self.task(labels, scores, sample_weight=sample_weight)
