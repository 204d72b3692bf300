"""Top-k of the scores of all items, with exclusions."""

import numpy as np
import tensorflow as tf

LOWEST = float(tf.float32.min)
"""The score of excluded items: finite, as all scores are."""
_WIDTH = 32  # columns per group


def exclude_items(scores: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
    """Set the scores of excluded items and of the padding column to `LOWEST`.

    Args:
        scores: float32 [B, items + 1].
        excluded: item indices int32 [B, any]; 0 is ignored.

    Returns:
        float32 [B, items + 1].
    """
    batch = tf.shape(scores)[0]
    excluded = tf.pad(excluded, [[0, 0], [0, 1]])  # excludes column 0 in every row
    rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(excluded))
    cells = tf.reshape(tf.stack([rows, excluded], axis=-1), [-1, 2])
    return tf.tensor_scatter_nd_update(scores, cells, tf.fill([tf.shape(cells)[0]], LOWEST))


def top_items(scores: tf.Tensor, excluded: tf.Tensor, k: int, *, in_order: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the k highest-scored items of every row that are not excluded, best first.

    Args:
        scores: float32 [B, items + 1].
        excluded: item indices int32 [B, any]; 0 is ignored.
        k: number of items; at most items + 1.
        in_order: False allows any order of the results, and any choice among items with equal scores.

    Returns:
        items int32 [B, k] and scores float32 [B, k]; missing results are item 0 with score `LOWEST`.
    """
    if not _few_columns(scores, k):
        scores = _whole_groups(scores)  # pads before the exclusion, which then needs no copy of its own
    return top_kept(exclude_items(scores, excluded), k, in_order=in_order)


def top_kept(scores: tf.Tensor, k: int, *, in_order: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the k highest-scored items of every row, where excluded items have the score `LOWEST`; see `top_items`."""
    values, items = top_k(scores, k, in_order=in_order)
    return tf.where(values > LOWEST, items, 0), values


def top_k(scores: tf.Tensor, k: int | tf.Tensor, *, in_order: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute `tf.math.top_k`, faster if k is small compared with the number of columns.

    The k highest values are in the k groups of columns with the highest maxima. The selected groups are sorted, so that
    equal values keep the order of their columns, as in `tf.math.top_k`.

    Args:
        scores: float32 [B, n].
        k: number of columns; at most n.
        in_order: False allows any order of the results, and any choice among equal values.

    Returns:
        values float32 [B, k] and columns int32 [B, k], best first.
    """
    if _few_columns(scores, k):
        return tf.math.top_k(scores, k, sorted=in_order)
    rows = tf.shape(scores)[0]
    groups = tf.reshape(_whole_groups(scores), [rows, -1, _WIDTH])
    highest = tf.reduce_max(groups, axis=2)
    selected = tf.math.top_k(highest, tf.minimum(k, tf.shape(highest)[1]), sorted=False).indices
    selected = tf.sort(selected) if in_order else selected
    best = tf.math.top_k(tf.reshape(tf.gather(groups, selected, batch_dims=1), [rows, -1]), k, sorted=in_order)
    group, offset = best.indices // _WIDTH, best.indices % _WIDTH
    return best.values, tf.gather(selected, group, batch_dims=1) * _WIDTH + offset


def _few_columns(scores: tf.Tensor, k: int | tf.Tensor) -> bool:
    """Return whether there are statically known to be too few columns for the group maxima to pay off."""
    count = scores.shape[1]
    return count is not None and isinstance(k, int) and count < 4 * k * _WIDTH


def _whole_groups(scores: tf.Tensor) -> tf.Tensor:
    """Pad scores with -inf columns to a multiple of the group width."""
    if scores.shape[1] is not None and scores.shape[1] % _WIDTH == 0:
        return scores
    return tf.pad(scores, [[0, 0], [0, -tf.shape(scores)[1] % _WIDTH]], constant_values=-np.inf)
