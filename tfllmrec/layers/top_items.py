"""From scores of all items to the best ones, without those that must not come back."""

import numpy as np
import tensorflow as tf

LOWEST = float(tf.float32.min)
"""The score of an item that is excluded; "scores are always finite" holds for it as well."""
_WIDTH = 32  # of a group of columns


def exclude_items(scores: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
    """Scores with the excluded items and the padding column at float32's lowest.

    Args:
        scores: float32 [B, items + 1].
        excluded: int32 [B, any], item indices; 0 is nothing.

    Returns:
        float32 [B, items + 1].
    """
    batch = tf.shape(scores)[0]
    excluded = tf.pad(excluded, [[0, 0], [0, 1]])  # column 0, the padding's, goes in every row
    rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(excluded))
    places = tf.reshape(tf.stack([rows, excluded], axis=-1), [-1, 2])
    return tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], LOWEST))


def top_items(scores: tf.Tensor, excluded: tf.Tensor, k: int, *, in_order: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """The k best items of every row that are not excluded, best first.

    Args:
        scores: float32 [B, items + 1].
        excluded: int32 [B, any], item indices; 0 is nothing.
        k: how many; at most items + 1.
        in_order: whether they have to come in order, which also says who is the last of equal ones.

    Returns:
        items int32 [B, k] and scores float32 [B, k]; where fewer are left, item 0 with float32's lowest score.
    """
    if not _few(scores, k):
        scores = _whole_groups(scores)  # a copy, in which items can be excluded without another one
    values, items = top_k(exclude_items(scores, excluded), k, in_order=in_order)
    return tf.where(values > LOWEST, items, 0), values


def top_k(scores: tf.Tensor, k: int | tf.Tensor, *, in_order: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """The values and columns of `tf.math.top_k`, faster where k is small beside the columns.

    The k best are in the k groups of columns with the highest maxima. Equal values come in the order of their columns,
    as there, so the chosen groups are put back in order.

    Args:
        scores: float32 [B, n].
        k: how many; at most n.
        in_order: whether they have to come in order, which also says who is the last of equal ones.

    Returns:
        values float32 [B, k] and columns int32 [B, k], best first.
    """
    if _few(scores, k):
        return tf.math.top_k(scores, k, sorted=in_order)
    rows = tf.shape(scores)[0]
    groups = tf.reshape(_whole_groups(scores), [rows, -1, _WIDTH])
    highest = tf.reduce_max(groups, axis=2)
    chosen = tf.math.top_k(highest, tf.minimum(k, tf.shape(highest)[1]), sorted=False).indices
    chosen = tf.sort(chosen) if in_order else chosen
    best = tf.math.top_k(tf.reshape(tf.gather(groups, chosen, batch_dims=1), [rows, -1]), k, sorted=in_order)
    group, place = best.indices // _WIDTH, best.indices % _WIDTH
    return best.values, tf.gather(chosen, group, batch_dims=1) * _WIDTH + place


def _few(scores: tf.Tensor, k: int | tf.Tensor) -> bool:
    """Whether columns are known to be too few for looking at groups first."""
    count = scores.shape[1]
    return count is not None and isinstance(k, int) and count < 4 * k * _WIDTH


def _whole_groups(scores: tf.Tensor) -> tf.Tensor:
    """Scores, and columns below all scores up to a whole group."""
    if scores.shape[1] is not None and scores.shape[1] % _WIDTH == 0:
        return scores
    return tf.pad(scores, [[0, 0], [0, -tf.shape(scores)[1] % _WIDTH]], constant_values=-np.inf)
