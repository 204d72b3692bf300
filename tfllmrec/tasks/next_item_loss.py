"""The loss of the next-item task over all items, or over sampled candidates."""

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.negatives import NegativeSampler
from tfllmrec.tasks.task import Task


class NextItemLoss:
    """Select the candidates of a batch of queries and compute the next-item task's loss.

    Args:
        task: a `tfllmrec.tasks.next_item.NextItemTask`, or any `Task` with the same call.
        candidates: a `tfllmrec.models.next_item.network.candidate_model`.
        item_counts: training interactions of every item, [items + 1]; items without any are never candidates.
        negatives: selects the candidates of a batch; None takes all items, as "full" does in configurations.
        hide_seen: mask the items of the history up to the position, which are never recommended. It applies to the
            full softmax only: sampled candidates rarely include them.
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
        trained_items = np.flatnonzero(item_counts).astype(np.int32)
        columns = np.full(len(item_counts), -1, np.int32)
        columns[trained_items] = np.arange(len(trained_items))
        self._trained_items, self._columns = tf.constant(trained_items), tf.constant(columns)

    def __call__(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        seen: tf.Tensor,
        *,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Return the loss as a mean per query, float32 [].

        Args:
            queries: float32 [n, D].
            items: the next items, int32 [n]; each has a training interaction.
            seen: the items of each query's history, int32 [n, any]; 0 is ignored.
            sample_weight: float32 [n].
            training: whether dropout is active.
        """
        if self._negatives is None:
            candidate_items = self._trained_items
            options = {"targets": tf.gather(self._columns, items), "excluded_candidates": self._excluded(seen, items)}
        else:
            sample = self._negatives(items)
            candidate_items = sample.items
            options = {
                "targets": tf.range(tf.shape(items)[0]),
                "candidate_ids": sample.items,
                "candidate_sampling_probability": sample.sampling_probability,
                "score_mask": sample.score_mask,
            }
        candidates = self.candidates(candidate_items, training=training)
        return self.task(
            queries,
            candidates["candidate"],
            candidate_bias=candidates["bias"],
            sample_weight=sample_weight,
            compute_metrics=False,
            **options,
        )

    def _excluded(self, seen: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
        """Return the columns of seen items other than the target, int32 [n, any]; -1 is ignored."""
        if not self._hide_seen:
            return None
        return tf.where(seen == targets[:, None], -1, tf.gather(self._columns, seen))
