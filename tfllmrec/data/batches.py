"""`tf.data` batches of histories and targets, cut from flat arrays in the batch, not copied per example."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tfllmrec.data.dataset import Dataset

if TYPE_CHECKING:
    import tensorflow as tf


def next_item_batches(data: Dataset, history_length: int, batch_size: int, *, seed: int = 0) -> "tf.data.Dataset":
    """One example per interaction that has an earlier one: who, what came before, what came.

    Ids are looked up once, for the whole table. A batch gathers its histories from the flat array of all
    interactions, so an epoch costs no more memory than the table. Every epoch has an order of its own.

    Args:
        data: the training part.
        history_length: L, how many of the newest earlier items an example keeps.
        batch_size: examples a batch; the last one may be smaller.
        seed: of the shuffling.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right}, item int32 [B]).
    """
    import tensorflow as tf

    users, items = tf.constant(data.user_indices), tf.constant(data.item_indices)
    starts = tf.constant(data.histories.offsets[data.user_indices])
    places = np.flatnonzero(np.arange(len(data.interactions)) > starts.numpy())

    def gather(place: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        first = tf.maximum(tf.gather(starts, place), place - history_length)
        cells = first[:, None] + tf.range(history_length, dtype=tf.int64)
        history = tf.where(cells < place[:, None], tf.gather(items, tf.minimum(cells, len(items) - 1)), 0)
        return {"user": tf.gather(users, place), "history": history}, tf.gather(items, place)

    def epoch() -> Iterator[np.ndarray]:
        order = generator.permutation(places)
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]

    generator = np.random.default_rng(seed)
    steps = -(-len(places) // batch_size)
    batches = tf.data.Dataset.from_generator(epoch, output_signature=tf.TensorSpec([None], tf.int64))
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
