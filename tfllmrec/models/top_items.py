"""From scores of all items to the best ones, without those that must not come back."""

import tensorflow as tf

LOWEST = float(tf.float32.min)
"""The score of an item that is excluded; "scores are always finite" holds for it as well."""


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


def top_items(scores: tf.Tensor, excluded: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The k best items of every row that are not excluded, best first.

    Args:
        scores: float32 [B, items + 1].
        excluded: int32 [B, any], item indices; 0 is nothing.
        k: how many; at most items + 1.

    Returns:
        items int32 [B, k] and scores float32 [B, k]; where fewer are left, item 0 with float32's lowest score.
    """
    values, items = tf.math.top_k(exclude_items(scores, excluded), k)
    return tf.where(values > LOWEST, items, 0), values
