"""The tasks of a joint model: what each is asked at the positions of a batch, and what it loses there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.negatives import NegativeSampler, Seed
from tfllmrec.tasks.next_item import NextItemSoftmax
from tfllmrec.tasks.ranking import RankingTask
from tfllmrec.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Positions:
    """The places of a batch where an item came next.

    Attributes:
        items: which, int32 [n].
        users: whose, int32 [n].
        scenarios: where it came, int32 [n], from 1.
        behind: what the user had up to there, int32 [n, L]; 0 is nothing.
        labels: what is told of the item by name: "rating" float32 [n], NaN where it has none; "like" float32 [n], 1, 0
            or NaN; "interests" float32 [n, labels].
        written: vectors of what the users had written before, float32 [n, W], where that is read.
    """

    items: tf.Tensor
    users: tf.Tensor
    scenarios: tf.Tensor
    behind: tf.Tensor
    labels: dict[str, tf.Tensor]
    written: tf.Tensor | None = None


class Part(ABC):
    """One task of a joint model.

    Attributes:
        name: of the task; its loss is in the logs as `<name>_loss`.
        task: what the loss comes from.
        head: what is said of the task; see `tfllmrec.models.multi_task.heads`.
    """

    name: str

    def __init__(self, task: Task, head: keras.Model) -> None:
        self.task, self.head = task, head

    @abstractmethod
    def loss(self, vectors: tf.Tensor, at: Positions, training: bool) -> tf.Tensor:
        """The loss as a mean per example, float32 [].

        Args:
            vectors: what the experts say of the task, float32 [n, D].
            at: where.
            training: whether there is dropout.
        """


class NextItemPart(Part):
    """The softmax over what could have come next, in the item's scenario.

    Args:
        softmaxes: of every scenario, from the first; None where no item is trained on.
        head: a `tfllmrec.layers.encoders.recurrent.query_head`.
    """

    name = "next_item"

    def __init__(self, softmaxes: Sequence[NextItemSoftmax | None], head: keras.Model) -> None:
        self._softmaxes = [(place, one) for place, one in enumerate(softmaxes, 1) if one is not None]
        super().__init__(self._softmaxes[0][1].task, head)

    def loss(self, vectors: tf.Tensor, at: Positions, training: bool) -> tf.Tensor:
        """See `Part.loss`."""
        queries = self.head(vectors, training=training)
        if len(self._softmaxes) == 1:
            return self._softmaxes[0][1](queries, at.items, at.behind, training=training)
        losses = []
        for place, softmax in self._softmaxes:
            rows = tf.where(at.scenarios == place)[:, 0]
            asked = (tf.gather(part, rows) for part in (queries, at.items, at.behind))
            share = tf.cast(tf.size(rows), tf.float32) / tf.cast(tf.size(at.items), tf.float32)
            losses.append(tf.math.multiply_no_nan(softmax(*asked, training=training), share))
        return tf.add_n(losses)


class RetrievalPart(Part):
    """`tfrs.tasks.Retrieval`: the softmax over the other items of the batch that came in the item's scenario.

    Args:
        task: a `tfllmrec.tasks.retrieval.Retrieval`.
        head: a `tfllmrec.layers.encoders.recurrent.query_head`.
        candidates: item indices int32 [C] -> {"candidate": float32 [C, D], "bias"}.
        negatives: see `tfllmrec.tasks.negatives`.
        most: positions of a batch that are asked, drawn anew in every step: their number counts squared.
        seed: of these draws.
    """

    name = "retrieval"

    def __init__(
        self,
        task: Task,
        head: keras.Model,
        candidates: keras.Model,
        negatives: NegativeSampler,
        *,
        most: int = 1024,
        seed: Seed = None,
    ) -> None:
        super().__init__(task, head)
        self._candidates, self._negatives, self._most, self._seed = candidates, negatives, most, seed

    def loss(self, vectors: tf.Tensor, at: Positions, training: bool) -> tf.Tensor:
        """See `Part.loss`."""
        rows = tf.range(tf.size(at.items))
        if training:
            rows = keras.random.shuffle(rows, seed=self._seed)[: self._most]
        items, scenarios = tf.gather(at.items, rows), tf.gather(at.scenarios, rows)
        drawn = self._negatives(items)
        candidates = self._candidates(drawn.items, training=training)
        return self.task(
            self.head(tf.gather(vectors, rows), training=training),
            candidates["candidate"],
            candidate_sampling_probability=drawn.sampling_probability,
            candidate_ids=drawn.items,
            score_mask=scenarios[:, None] == scenarios[None],
            compute_metrics=False,
        )


class PairPart(Part):
    """A number that is told of a user and an item: what was liked, or how it was rated. Where none is told, no loss.

    Args:
        name: "rating" or "like", which the labels have.
        task: a `tfllmrec.tasks.ranking.RankingTask`.
        head: a `tfllmrec.models.multi_task.heads.pair_head`.
        candidates: as in `RetrievalPart`.
    """

    def __init__(self, name: str, task: RankingTask, head: keras.Model, candidates: keras.Model) -> None:
        super().__init__(task, head)
        self.name = name
        self._candidates = candidates

    def loss(self, vectors: tf.Tensor, at: Positions, training: bool) -> tf.Tensor:
        """See `Part.loss`."""
        told = at.labels[self.name]
        rows = tf.where(tf.math.is_finite(told))[:, 0]
        items = tf.gather(at.items, rows)
        asked = {
            "query": tf.gather(vectors, rows),
            "candidate": self._candidates(items, training=training)["candidate"],
            "user": tf.gather(at.users, rows),
            "item": items,
        }
        said = self.head(asked, training=training)
        loss = self.task(tf.gather(told, rows)[:, None], said[:, None])
        return tf.math.multiply_no_nan(loss, tf.cast(tf.size(rows) > 0, tf.float32))


class InterestsPart(Part):
    """Which labels the items have that come next: cross-entropy of each, and the mean over them.

    Args:
        task: a pointwise `tfllmrec.tasks.ranking.RankingTask`.
        head: a `tfllmrec.models.multi_task.heads.label_head`.
    """

    name = "interests"

    def loss(self, vectors: tf.Tensor, at: Positions, training: bool) -> tf.Tensor:
        """See `Part.loss`."""
        asked = {"query": vectors} if at.written is None else {"query": vectors, "written": at.written}
        return self.task(at.labels["interests"], self.head(asked, training=training))


def labels_ahead(following: tf.Tensor, places: tf.Tensor, labels: np.ndarray, interest_window: int) -> tf.Tensor:
    """The labels of the items that come next at places (row, position).

    Args:
        following: next items int32 [B, L].
        places: int64 [n, 2].
        labels: of every item, [items + 1, labels]; row 0 is zeros.
        interest_window: how many next items count.

    Returns:
        float32 [n, labels]: 1 where any of them has the label.
    """
    table = tf.constant(labels, tf.float32)
    row, position = places[:, 0], places[:, 1]
    padded = tf.pad(following, [[0, 0], [0, interest_window]])
    found = [
        tf.gather(table, tf.gather_nd(padded, tf.stack([row, position + step], axis=1)))
        for step in range(interest_window)
    ]
    return tf.reduce_max(tf.stack(found), axis=0)
