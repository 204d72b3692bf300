"""The next-item task: a recurrent model trained to predict the next item at every position of a history."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.negatives import NegativeSampler
from tfllmrec.tasks.next_item_loss import NextItemLoss
from tfllmrec.tasks.softmax import MASKED_SCORE, MaskScores, softmax_loss
from tfllmrec.tasks.task import Task, TaskModel


class NextItemTask(Task):
    """A task with the interface of TFRS tasks: softmax cross-entropy over candidates, one of which is the next item.

    Unlike `tfrs.tasks.Retrieval` it accepts several queries per candidate, computes the scores in blocks of queries,
    and adds a bias per candidate. Arguments of the call:

    - query_embeddings: float32 [n, D].
    - candidate_embeddings: float32 [C, D].
    - targets: the position of each query's next item among the candidates, int32 [n].
    - candidate_bias: float32 [C], or None.
    - candidate_sampling_probability: expected share of each item in the candidates, float32 [C], for the logQ
      correction.
    - candidate_ids: int32 [C]; masks other candidates with the id of a query's target.
    - excluded_candidates: positions of candidates to mask for each query, int32 [n, any], without its target; -1 is
      ignored.
    - score_mask: bool [n, C], False for candidates to mask for a query, True for its target.
    - sample_weight: float32 [n].
    - compute_metrics: ignored; the task has no metrics.

    Args:
        label_smoothing: see `tfllmrec.tasks.softmax.softmax_loss`.
        precision: see `tfllmrec.tasks.softmax.softmax_loss`.

    Example:
        >>> task = NextItemTask()
        >>> queries, candidates = tf.constant([[2.0, 0.0]]), tf.constant([[1.0, 0.0], [1.0, 5.0]])
        >>> float(task(queries, candidates, tf.constant([0])))
        0.6931471824645996
    """

    def __init__(self, *, label_smoothing: float = 0.0, precision: str = "float32") -> None:
        super().__init__(lambda tfrs: _tfrs_task(tfrs, label_smoothing, precision))

    def _weight(self, arguments: Mapping[str, Any]) -> tf.Tensor:
        weights = arguments.get("sample_weight")
        return super()._weight(arguments) if weights is None else tf.reduce_sum(weights)


def _tfrs_task(tfrs: Any, label_smoothing: float, precision: str) -> Any:
    """Build the task as TFRS builds its own: a Keras 2 layer that is a `tfrs.tasks.Task`."""

    class NextItemTask(tf.keras.layers.Layer, tfrs.tasks.Task):
        def call(
            self,
            query_embeddings: tf.Tensor,
            candidate_embeddings: tf.Tensor,
            targets: tf.Tensor,
            candidate_bias: tf.Tensor | None = None,
            candidate_sampling_probability: tf.Tensor | None = None,
            candidate_ids: tf.Tensor | None = None,
            excluded_candidates: tf.Tensor | None = None,
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
                mask_scores=_mask_scores(targets, candidate_ids, excluded_candidates, score_mask),
                weights=weights,
                label_smoothing=label_smoothing,
                precision=precision,
            )

    return NextItemTask()


def _mask_scores(
    targets: tf.Tensor, candidate_ids: tf.Tensor | None, excluded: tf.Tensor | None, score_mask: tf.Tensor | None
) -> MaskScores:
    """Return the function that masks excluded candidates and accidental hits in a block of scores."""

    def mask_scores(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        if excluded is not None:
            columns = excluded[rows]
            present = tf.where(columns >= 0)
            cells = tf.stack([present[:, 0], tf.cast(tf.gather_nd(columns, present), tf.int64)], axis=1)
            scores = tf.tensor_scatter_nd_update(scores, cells, tf.fill([tf.shape(cells)[0]], MASKED_SCORE))
        if candidate_ids is not None:
            own = targets[rows][:, None]
            same = candidate_ids[None] == tf.gather(candidate_ids, own)
            scores = tf.where(same & (tf.range(tf.shape(scores)[1])[None] != own), MASKED_SCORE, scores)
        if score_mask is not None:
            scores = tf.where(score_mask[rows], scores, MASKED_SCORE)
        return scores

    return mask_scores


class NextItemModel(TaskModel):
    """Trains a query model and a candidate model on the next item at every position of a history.

    Batches are `({"history": int32 [B, L]}, next items int32 [B, L])`, padded with zeros, optionally with sample
    weights [B] or [B, L]; see `tfllmrec.data.batches.window_batches`. Only positions with a next item are passed on
    from the encoder.

    Args:
        queries: a `tfllmrec.models.next_item.network.query_model`.
        candidates: a `tfllmrec.models.next_item.network.candidate_model` over the same items.
        task: a `NextItemTask`, or any `Task` with the same call.
        item_counts: see `NextItemLoss`.
        negatives: see `NextItemLoss`.
        hide_seen: see `NextItemLoss`.

    Example:
        >>> from tfllmrec.data import checkerboard
        >>> from tfllmrec.data.batches import window_batches
        >>> from tfllmrec.layers.encoders.recurrent import history_encoder, query_head
        >>> from tfllmrec.layers.items import ItemBias, ItemEmbedding
        >>> from tfllmrec.models.next_item.network import candidate_model, query_model
        >>> data = checkerboard(users=8, items=8).data
        >>> items, bias = ItemEmbedding(8, 4), ItemBias(8)
        >>> queries = query_model(items, history_encoder(dim=4, units=4, history_length=5), query_head(4, 4))
        >>> model = NextItemModel(queries, candidate_model(items, bias), NextItemTask(), item_counts=data.item_counts)
        >>> model.compile("adam", jit_compile=False)
        >>> training_log = model.fit(window_batches(data, 5, 8), shuffle=False, verbose=0)
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
        self._next_item_loss = NextItemLoss(
            task, candidates, item_counts=item_counts, negatives=negatives, hide_seen=hide_seen
        )

    def call(self, features: Any, training: bool = False) -> tf.Tensor:
        return self.states(features, training=training)

    def task_loss(
        self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        targets = tf.cast(y, tf.int32)
        positions = tf.where(targets > 0)
        return self._next_item_loss(
            self.head(tf.gather_nd(y_pred, positions), training=training),
            tf.gather_nd(targets, positions),
            items_up_to(tf.cast(x["history"], tf.int32), positions),
            sample_weight=_position_weights(sample_weight, positions, targets),
            training=training,
        )


def items_up_to(history: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Return the items of a history up to and including given positions, with zeros in place of later items.

    Args:
        history: int32 [B, L].
        positions: (row, position) int64 [n, 2].

    Returns:
        int32 [n, L].
    """
    included = tf.range(tf.shape(history)[1], dtype=tf.int64)[None] <= positions[:, 1:]
    return tf.where(included, tf.gather(history, positions[:, 0]), 0)


def _position_weights(sample_weight: tf.Tensor | None, positions: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
    """Map weights of rows [B] or of positions [B, L] to weights of the given positions, [n]."""
    if sample_weight is None:
        return None
    weights = tf.cast(sample_weight, tf.float32)
    weights = weights[:, None] if weights.shape.rank == 1 else weights
    return tf.gather_nd(tf.broadcast_to(weights, tf.shape(targets)), positions)
