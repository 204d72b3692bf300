"""Two towers trained under the TFRS retrieval task with Keras 3 `fit`."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.tasks.negatives import Negatives
from tfllmrec.tasks.task import Task, TaskModel


class Retrieval(Task):
    """`tfrs.tasks.Retrieval` for Keras 3: the softmax over a list of candidates, as a mean per query.

    Args:
        temperature: scores are divided by it.
        remove_accidental_hits: a candidate that is a query's own target does not count as its negative.
        num_hard_negatives: keep only that many highest-scored negatives of every query.

    Raises:
        ValueError: from the call, where accidental hits are to be removed and no `candidate_ids` are given.

    Example:
        >>> task = Retrieval(temperature=0.1)
        >>> loss = task(queries, candidates, candidate_ids=ids)  # float32 [B, D], [C, D], int32 [C] -> []
    """

    def __init__(
        self,
        *,
        temperature: float | None = None,
        remove_accidental_hits: bool = True,
        num_hard_negatives: int | None = None,
    ) -> None:
        super().__init__(
            lambda tfrs: tfrs.tasks.Retrieval(
                temperature=temperature,
                remove_accidental_hits=remove_accidental_hits,
                num_hard_negatives=num_hard_negatives,
            ),
            per_example=True,
        )


class RetrievalModel(TaskModel):
    """A query tower and a candidate tower in one trainable model.

    Batches are `(features, target items int32 [B])`, perhaps with sample weights; the features are whatever the
    query tower takes.

    Args:
        query_tower: features -> float32 [B, D].
        candidate_tower: item indices int32 [C] -> float32 [C, D].
        task: a `Retrieval`, or any `Task` with its call.
        negatives: which candidates a batch is scored against; see `tfllmrec.tasks.negatives`.

    Example:
        >>> model = RetrievalModel(query_tower, candidate_tower, Retrieval(), in_batch(data.item_counts))
        >>> model.compile("adam")
        >>> model.fit(batches)
    """

    def __init__(
        self, query_tower: keras.Model, candidate_tower: keras.Model, task: Task, negatives: Negatives
    ) -> None:
        super().__init__(task)
        self.query_tower, self.candidate_tower = query_tower, candidate_tower
        self._negatives = negatives

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        """Query vectors, float32 [B, D]."""
        return self.query_tower(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """The task's loss of the queries among their candidates."""
        candidates = self._negatives(tf.cast(y, tf.int32))
        return self.task(
            y_pred,
            self.candidate_tower(candidates.items, training=training),
            sample_weight=sample_weight,
            candidate_sampling_probability=candidates.sampling_probability,
            candidate_ids=candidates.items,
            score_mask=candidates.score_mask,
            compute_metrics=False,
        )
