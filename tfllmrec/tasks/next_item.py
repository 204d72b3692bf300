"""A recurrent model of histories trained to name the next item at every position, with Keras 3 `fit`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.negatives import NegativeSampler
from tfllmrec.tasks.softmax import HIDDEN, Hide, softmax_loss
from tfllmrec.tasks.task import Task, TaskModel


class NextItemTask(Task):
    """A task in the manner of TFRS: the softmax over a list of candidates, one of which is the next item.

    Unlike `tfrs.tasks.Retrieval` it takes more queries than there are candidates to tell apart, scores a block of
    them at a time, and knows a bias for every candidate. Call arguments:

    - query_embeddings: float32 [n, D];
    - candidate_embeddings: float32 [C, D];
    - targets: which candidate is the next item, int32 [n];
    - candidate_bias: float32 [C], or None;
    - candidate_sampling_probability: chance of each to be in this list, float32 [C], for the logQ correction;
    - candidate_ids: int32 [C]; other candidates with the id of a query's target are hidden from it;
    - hidden: candidates hidden from each query, int32 [n, any], the target not among them; -1 is nothing;
    - score_mask: bool [n, C], False where a candidate is hidden from a query, the target not among them;
    - sample_weight: float32 [n];
    - compute_metrics: there are none.

    Args:
        label_smoothing: see `tfllmrec.tasks.softmax.softmax_loss`.
        precision: see there.

    Example:
        >>> task = NextItemTask()
        >>> loss = task(queries, candidates, targets)  # float32 [n, D], [C, D], int32 [n] -> []
    """

    def __init__(self, *, label_smoothing: float = 0.0, precision: str = "float32") -> None:
        super().__init__(lambda tfrs: _tfrs_task(tfrs, label_smoothing, precision))


def _tfrs_task(tfrs: Any, label_smoothing: float, precision: str) -> Any:
    """The task as TFRS has its own: a Keras 2 layer marked as a `tfrs.tasks.Task`."""

    class NextItemTask(tf.keras.layers.Layer, tfrs.tasks.Task):
        def call(
            self,
            query_embeddings: tf.Tensor,
            candidate_embeddings: tf.Tensor,
            targets: tf.Tensor,
            candidate_bias: tf.Tensor | None = None,
            candidate_sampling_probability: tf.Tensor | None = None,
            candidate_ids: tf.Tensor | None = None,
            hidden: tf.Tensor | None = None,
            score_mask: tf.Tensor | None = None,
            sample_weight: tf.Tensor | None = None,
            compute_metrics: bool = True,
        ) -> tf.Tensor:
            bias = tf.zeros_like(candidate_embeddings[:, 0]) if candidate_bias is None else candidate_bias
            if candidate_sampling_probability is not None:
                bias -= tf.math.log(tf.maximum(candidate_sampling_probability, 1e-12))
            weights = tf.ones_like(query_embeddings[:, 0]) if sample_weight is None else sample_weight
            return softmax_loss(
                query_embeddings,
                candidate_embeddings,
                bias,
                targets,
                hide=_hide(targets, candidate_ids, hidden, score_mask),
                weights=weights,
                label_smoothing=label_smoothing,
                precision=precision,
            )

    return NextItemTask()


def _hide(
    targets: tf.Tensor, candidate_ids: tf.Tensor | None, hidden: tf.Tensor | None, score_mask: tf.Tensor | None
) -> Hide:
    """What takes hidden candidates and accidental hits out of a block of scores."""

    def hide(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        if hidden is not None:
            columns = hidden[rows]
            there = tf.where(columns >= 0)
            places = tf.stack([there[:, 0], tf.cast(tf.gather_nd(columns, there), tf.int64)], axis=1)
            scores = tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], HIDDEN))
        if candidate_ids is not None:
            own = targets[rows][:, None]
            same = candidate_ids[None] == tf.gather(candidate_ids, own)
            scores = tf.where(same & (tf.range(tf.shape(scores)[1])[None] != own), HIDDEN, scores)
        if score_mask is not None:
            scores = tf.where(score_mask[rows], scores, HIDDEN)
        return scores

    return hide


class NextItemSoftmax:
    """The next-item task of queries and their items against a catalogue, or against what is drawn from it.

    Args:
        task: a `NextItemTask`, or any `Task` with its call.
        candidates: a `tfllmrec.models.next_item.network.candidate_model`.
        item_counts: interactions of every item, [items + 1]; only items with any are candidates.
        negatives: which candidates a batch is scored against; None is all of them.
        hide_seen: items of a row's history up to the position do not count as negatives, for they will not be
            recommended (with every item as a candidate only: drawn ones hardly meet them).
    """

    def __init__(
        self,
        task: Task,
        candidates: keras.Model,
        *,
        item_counts: np.ndarray,
        negatives: NegativeSampler | None = None,
        hide_seen: bool = True,
    ) -> None:
        self.task, self.candidates = task, candidates
        self._negatives, self._hide_seen = negatives, hide_seen
        known = np.flatnonzero(item_counts).astype(np.int32)
        places = np.full(len(item_counts), -1, np.int32)
        places[known] = np.arange(len(known))
        self._known, self._places = tf.constant(known), tf.constant(places)

    def __call__(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        behind: tf.Tensor,
        *,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The loss as a mean per query, float32 [].

        Args:
            queries: float32 [n, D].
            items: the next items, int32 [n]; all have an interaction.
            behind: the items that a query has behind it, int32 [n, any]; 0 is nothing.
            sample_weight: float32 [n].
            training: whether there is dropout.
        """
        if self._negatives is None:
            asked = self._known
            options = {"targets": tf.gather(self._places, items), "hidden": self._hidden(behind, items)}
        else:
            drawn = self._negatives(items)
            asked = drawn.items
            options = {
                "targets": tf.range(tf.shape(items)[0]),
                "candidate_ids": drawn.items,
                "candidate_sampling_probability": drawn.sampling_probability,
                "score_mask": drawn.score_mask,
            }
        candidates = self.candidates(asked, training=training)
        return self.task(
            queries,
            candidates["candidate"],
            candidate_bias=candidates["bias"],
            sample_weight=sample_weight,
            compute_metrics=False,
            **options,
        )

    def _hidden(self, behind: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
        """The places of what is behind, the target aside: int32 [n, any]; -1 is nothing."""
        if not self._hide_seen:
            return None
        return tf.where(behind == targets[:, None], -1, tf.gather(self._places, behind))


class NextItemModel(TaskModel):
    """Trains what reads histories and what items are matched by, on the next item at every position.

    Batches are `({"history": int32 [B, L]}, next items int32 [B, L])`, zeros where there is none, perhaps with
    sample weights [B] or [B, L]; see `tfllmrec.data.batches.window_batches`. Only positions that have a next
    item get past the encoder.

    Args:
        queries: a `tfllmrec.models.next_item.network.query_model`.
        candidates: a `tfllmrec.models.next_item.network.candidate_model` over the same items.
        task: a `NextItemTask`, or any `Task` with its call.
        item_counts: see `NextItemSoftmax`.
        negatives: see there.
        hide_seen: see there.

    Example:
        >>> model = NextItemModel(queries, candidates, NextItemTask(), item_counts=data.item_counts)
        >>> model.compile("adam", jit_compile=False)
        >>> model.fit(window_batches(data, 50, 64), shuffle=False)
    """

    def __init__(
        self,
        queries: keras.Model,
        candidates: keras.Model,
        task: Task,
        *,
        item_counts: np.ndarray,
        negatives: NegativeSampler | None = None,
        hide_seen: bool = True,
    ) -> None:
        super().__init__(task)
        self.states = keras.Model(queries.input, queries.get_layer("last_state").input[0])
        self.head = queries.get_layer("query_head")
        self.candidates = candidates
        self._softmax = NextItemSoftmax(
            task, candidates, item_counts=item_counts, negatives=negatives, hide_seen=hide_seen
        )

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        """States after every item, float32 [B, L, F]."""
        return self.states(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """The task's loss of all positions that have a next item."""
        targets = tf.cast(y, tf.int32)
        places = tf.where(targets > 0)
        return self._softmax(
            self.head(tf.gather_nd(y_pred, places), training=training),
            tf.gather_nd(targets, places),
            items_behind(tf.cast(x["history"], tf.int32), places),
            sample_weight=_of_places(sample_weight, places, targets),
            training=training,
        )


def items_behind(history: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The items of rows [B, L] up to and at places (row, position) int64 [n, 2]: int32 [n, L], 0 for later ones."""
    behind = tf.range(tf.shape(history)[1], dtype=tf.int64)[None] <= places[:, 1:]
    return tf.where(behind, tf.gather(history, places[:, 0]), 0)


def _of_places(sample_weight: tf.Tensor | None, places: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
    """Weights of rows [B] or of positions [B, L] as weights of the places, [n]."""
    if sample_weight is None:
        return None
    weights = tf.cast(sample_weight, tf.float32)
    weights = weights[:, None] if weights.shape.rank == 1 else weights
    return tf.gather_nd(tf.broadcast_to(weights, tf.shape(targets)), places)
