"""The TFRS retrieval task for Keras 3, and the model that trains two towers with it."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.tasks.losses import RetrievalLoss, retrieval_loss
from tfllmrec.tasks.negatives import NegativeSampler
from tfllmrec.tasks.task import Task, TaskModel


class Retrieval(Task):
    """`tfrs.tasks.Retrieval` for Keras 3: a loss over a list of candidates, as a mean per query.

    Every loss reads the scores as TFRS prepares them: divided by the temperature, corrected by the sampling
    probabilities (logQ), with accidental hits and candidates outside the score mask hidden.

    Args:
        loss: "softmax" (cross-entropy), "bpr" (`tfllmrec.tasks.losses.BPR`), the name of a Keras loss (see
            `tfllmrec.tasks.losses.RetrievalLoss`), or a Keras loss object. A hidden candidate has the lowest score
            and label 0: a loss of another kind must give it no weight.
        temperature: divisor of the scores.
        remove_accidental_hits: hide other candidates with the id of a query's own target.
        num_hard_negatives: number of highest-scored negatives kept per query; None keeps all.

    Raises:
        InputError: If the loss is unknown.
        ValueError: On call, if accidental hits are to be removed and `candidate_ids` is missing.

    Example:
        >>> task = Retrieval(temperature=0.1)
        >>> queries, candidates = tf.constant([[2.0, 0.0]]), tf.constant([[1.0, 0.0], [1.0, 5.0]])
        >>> float(task(queries, candidates, candidate_ids=tf.constant([7, 8])))
        0.6931471824645996
    """

    def __init__(
        self,
        *,
        loss: RetrievalLoss | Any = "softmax",
        temperature: float | None = None,
        remove_accidental_hits: bool = True,
        num_hard_negatives: int | None = None,
    ) -> None:
        loss = retrieval_loss(loss)
        super().__init__(
            lambda tfrs: tfrs.tasks.Retrieval(
                loss=loss,
                temperature=temperature,
                remove_accidental_hits=remove_accidental_hits,
                num_hard_negatives=num_hard_negatives,
            ),
            per_example=loss is None or loss.reduction == "sum",
        )


class RetrievalModel(TaskModel):
    """Trains a query tower and a candidate tower.

    Batches are `(features, target items int32 [B])`, optionally with sample weights; the features are the inputs of
    the query tower.

    Args:
        query_tower: features -> float32 [B, D].
        candidate_tower: item indices int32 [C] -> float32 [C, D].
        task: a `Retrieval`, or any `Task` with the same call.
        negatives: selects the candidates of a batch; see `tfllmrec.tasks.negatives`.

    Example:
        >>> from tfllmrec.tasks.negatives import in_batch
        >>> index = keras.Input((), dtype="int32")
        >>> query_tower, candidate_tower = (
        ...     keras.Model(index, keras.layers.Embedding(9, 4)(index)) for _ in range(2)
        ... )
        >>> model = RetrievalModel(query_tower, candidate_tower, Retrieval(), in_batch(np.ones(9)))
        >>> model.compile("adam")
        >>> training_log = model.fit(np.array([1, 2, 3]), np.array([4, 5, 6]), verbose=0)  # users and their items
    """

    def __init__(
        self, query_tower: keras.Model, candidate_tower: keras.Model, task: Task, negatives: NegativeSampler
    ) -> None:
        super().__init__(task)
        self.query_tower, self.candidate_tower = query_tower, candidate_tower
        self._negatives = negatives

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        return self.query_tower(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
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
