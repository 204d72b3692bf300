"""Losses of the single tasks of a multi-task model, on the positions of a batch that have a next item."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.negatives import NegativeSampler, Seed
from tfllmrec.tasks.next_item_loss import NextItemLoss
from tfllmrec.tasks.ranking import RankingTask
from tfllmrec.tasks.replicas import from_all_replicas, sum_over_replicas
from tfllmrec.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Examples:
    """Training examples: the n positions of a batch that have a next item.

    Attributes:
        items: the next items, int32 [n].
        users: int32 [n].
        scenarios: the scenarios of the next items, int32 [n], from 1.
        seen: the items of the history up to the position, int32 [n, L]; 0 is padding.
        labels: labels of the next items by task: "rating" float32 [n], NaN if missing; "like" float32 [n], 1, 0 or
            NaN; "interests" float32 [n, labels].
        written: vectors of the texts that the user wrote before, float32 [n, W], or None.
    """

    items: tf.Tensor
    users: tf.Tensor
    scenarios: tf.Tensor
    seen: tf.Tensor
    labels: dict[str, tf.Tensor]
    written: tf.Tensor | None = None


class TaskLoss(ABC):
    """Loss of one task of a multi-task model.

    Attributes:
        name: name of the task; its loss is logged as `<name>_loss`.
        task: the TFRS task.
        head: the task's head; see `tfllmrec.models.multi_task.heads`.
    """

    name: str

    def __init__(self, task: Task, head: keras.Model) -> None:
        self.task, self.head = task, head

    @abstractmethod
    def __call__(self, vectors: tf.Tensor, examples: Examples, training: bool) -> tf.Tensor:
        """Return the loss as a mean per example, float32 [].

        Args:
            vectors: task vectors of the examples, float32 [n, D].
            examples: the examples.
            training: whether dropout is active.
        """


class NextItemTaskLoss(TaskLoss):
    """Next-item softmax over the items of the example's scenario.

    Args:
        losses: loss of every scenario, starting with scenario 1; None for a scenario without training interactions.
        head: a `tfllmrec.layers.encoders.recurrent.query_head`.
    """

    name = "next_item"

    def __init__(self, losses: Sequence[NextItemLoss | None], head: keras.Model) -> None:
        self._losses = {scenario: loss for scenario, loss in enumerate(losses, 1) if loss is not None}
        super().__init__(next(iter(self._losses.values())).task, head)

    def __call__(self, vectors: tf.Tensor, examples: Examples, training: bool) -> tf.Tensor:
        queries = self.head(vectors, training=training)
        if len(self._losses) == 1:
            [loss] = self._losses.values()
            return loss(queries, examples.items, examples.seen, training=training)
        shares = []
        for scenario, loss in self._losses.items():
            rows = tf.where(examples.scenarios == scenario)[:, 0]
            inputs = (tf.gather(part, rows) for part in (queries, examples.items, examples.seen))
            counts = sum_over_replicas(tf.cast([tf.size(rows), tf.size(examples.items)], tf.float32))
            share = counts[0] / counts[1]
            shares.append(tf.math.multiply_no_nan(loss(*inputs, training=training), share))
        return tf.add_n(shares)


class RetrievalTaskLoss(TaskLoss):
    """`tfrs.tasks.Retrieval` over the other next items of the batch that are in the example's scenario.

    Args:
        task: a `tfllmrec.tasks.retrieval.Retrieval`.
        head: a `tfllmrec.layers.encoders.recurrent.query_head`.
        candidates: item indices int32 [C] -> {"candidate": float32 [C, D], "bias"}.
        negatives: selects the candidates; see `tfllmrec.tasks.negatives`.
        max_positions: maximum number of examples, resampled in every training step; the cost is quadratic in it.
        seed: seed of the sampling.
    """

    name = "retrieval"

    def __init__(
        self,
        task: Task,
        head: keras.Model,
        candidates: keras.Model,
        negatives: NegativeSampler,
        *,
        max_positions: int = 1024,
        seed: Seed = None,
    ) -> None:
        super().__init__(task, head)
        self._candidates, self._negatives = candidates, negatives
        self._max_positions, self._seed = max_positions, seed

    def __call__(self, vectors: tf.Tensor, examples: Examples, training: bool) -> tf.Tensor:
        rows = tf.range(tf.size(examples.items))
        if training:
            rows = keras.random.shuffle(rows, seed=self._seed)[: self._max_positions]
        items, scenarios = tf.gather(examples.items, rows), tf.gather(examples.scenarios, rows)
        sample = self._negatives(items)
        candidates = self._candidates(sample.items, training=training)
        return self.task(
            self.head(tf.gather(vectors, rows), training=training),
            candidates["candidate"],
            candidate_sampling_probability=sample.sampling_probability,
            candidate_ids=sample.items,
            score_mask=scenarios[:, None] == from_all_replicas(scenarios)[None],
            compute_metrics=False,
        )


class PairTaskLoss(TaskLoss):
    """Loss of a value of a user-item pair, a rating or a like, on the examples that have one.

    Args:
        name: "rating" or "like", a key of the examples' labels.
        task: a `tfllmrec.tasks.ranking.RankingTask`.
        head: a `tfllmrec.models.multi_task.heads.pair_head`.
        candidates: see `RetrievalTaskLoss`.
    """

    def __init__(self, name: str, task: RankingTask, head: keras.Model, candidates: keras.Model) -> None:
        super().__init__(task, head)
        self.name = name
        self._candidates = candidates

    def __call__(self, vectors: tf.Tensor, examples: Examples, training: bool) -> tf.Tensor:
        labels = examples.labels[self.name]
        rows = tf.where(tf.math.is_finite(labels))[:, 0]
        items = tf.gather(examples.items, rows)
        inputs = {
            "query": tf.gather(vectors, rows),
            "candidate": self._candidates(items, training=training)["candidate"],
            "user": tf.gather(examples.users, rows),
            "item": items,
        }
        predictions = self.head(inputs, training=training)
        loss = self.task(tf.gather(labels, rows)[:, None], predictions[:, None])
        return tf.math.multiply_no_nan(loss, tf.cast(tf.size(rows) > 0, tf.float32))


class InterestsTaskLoss(TaskLoss):
    """Mean cross-entropy of the labels of the next items.

    Args:
        task: a pointwise `tfllmrec.tasks.ranking.RankingTask`.
        head: a `tfllmrec.models.multi_task.heads.label_head`.
    """

    name = "interests"

    def __call__(self, vectors: tf.Tensor, examples: Examples, training: bool) -> tf.Tensor:
        inputs = {"query": vectors} if examples.written is None else {"query": vectors, "written": examples.written}
        return self.task(examples.labels["interests"], self.head(inputs, training=training))


def interest_labels(next_items: tf.Tensor, positions: tf.Tensor, labels: np.ndarray, interest_window: int) -> tf.Tensor:
    """Return the labels of the next items at given positions.

    Args:
        next_items: next item of every position, int32 [B, L].
        positions: (row, position) int64 [n, 2].
        labels: labels of every item, [items + 1, labels]; row 0 is zeros.
        interest_window: number of next items whose labels count.

    Returns:
        float32 [n, labels]: 1 if any of the next items has the label.
    """
    table = tf.constant(labels, tf.float32)
    row, position = positions[:, 0], positions[:, 1]
    padded = tf.pad(next_items, [[0, 0], [0, interest_window]])
    steps = [
        tf.gather(table, tf.gather_nd(padded, tf.stack([row, position + step], axis=1)))
        for step in range(interest_window)
    ]
    return tf.reduce_max(tf.stack(steps), axis=0)
