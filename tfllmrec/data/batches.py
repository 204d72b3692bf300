"""`tf.data` batches of histories and targets, gathered from flat arrays per batch instead of copied per example."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfllmrec.data.dataset import Dataset

if TYPE_CHECKING:
    import tensorflow as tf


def next_item_batches(
    data: Dataset, history_length: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """Return batches with one example per interaction that has an earlier one: user, history, next item.

    A batch gathers its histories from the flat array of all interactions, so an epoch needs no more memory than the
    table. Every epoch is shuffled differently.

    Args:
        data: the training part.
        history_length: L, the number of most recent earlier items in an example.
        batch_size: examples per batch; the last batch may be smaller.
        seed: of the shuffling.
        first_epoch: the epoch whose order comes first, from 0.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right}, item int32 [B]).
    """
    return _interaction_batches(
        data, history_length, batch_size, seed, first_epoch, make_example=lambda features, item, _: (features, item)
    )


def rating_batches(
    data: Dataset, history_length: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """Return batches with one example per rated interaction that has an earlier one, for a ranker of one candidate.

    Args:
        data: see `next_item_batches`, also for the other arguments.
        history_length: L.
        batch_size: examples per batch.
        seed: of the shuffling.
        first_epoch: the epoch whose order comes first.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, 1]}, rating float32 [B, 1]).

    Raises:
        InputError: If the interactions have no ratings.
    """
    import tensorflow as tf

    ratings, is_rated = tf.constant(data.ratings), np.isfinite(data.ratings)

    def with_rating(
        features: dict[str, tf.Tensor], item: tf.Tensor, row: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return features | {"candidates": item[:, None]}, tf.gather(ratings, row)[:, None]

    return _interaction_batches(
        data, history_length, batch_size, seed, first_epoch, make_example=with_rating, mask=is_rated
    )


def _interaction_batches(
    data: Dataset,
    history_length: int,
    batch_size: int,
    seed: int,
    first_epoch: int,
    *,
    make_example: Callable[..., Any],
    mask: np.ndarray | bool = True,
) -> "tf.data.Dataset":
    """Return batches of the interactions that have an earlier one and a true `mask`, bool [n].

    `make_example` maps user and history features, items and row numbers of a batch to an example.
    """
    import tensorflow as tf

    users, items = tf.constant(data.user_indices), tf.constant(data.item_indices)
    starts = tf.constant(data.histories.offsets[data.user_indices])
    rows = np.flatnonzero((np.arange(len(data.interactions)) > starts.numpy()) & mask)

    def gather(row: tf.Tensor) -> Any:
        first = tf.maximum(tf.gather(starts, row), row - history_length)
        features = {"user": tf.gather(users, row), "history": _padded_spans(items, first, row, history_length)}
        return make_example(features, tf.gather(items, row), row)

    def epochs() -> Iterator[np.ndarray]:
        generator = np.random.default_rng(seed)
        for _ in range(first_epoch):
            generator.permutation(rows)
        while True:
            yield generator.permutation(rows)

    return epoch_batches(epochs(), (len(rows),), batch_size, gather)


def window_batches(
    data: Dataset, window: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """Return batches of windows of consecutive items and, for every item, the item that followed.

    A history of n items gives ceil(n / (window + 1)) windows per epoch. A history that fits into a window gives
    itself; a longer one gives windows at random positions of the whole history, redrawn in every epoch.

    Args:
        data: the training part; a user with a single item gives no window.
        window: L, items per window.
        batch_size: windows per batch; the last batch may be smaller.
        seed: of positions and shuffling.
        first_epoch: the epoch whose windows come first, from 0.

    Returns:
        Batches of ({"history": int32 [B, L] oldest first, zeros on the right}, next items int32 [B, L], 0 for padding).
    """
    batches = labelled_window_batches(data, {}, window, batch_size, seed=seed, first_epoch=first_epoch)
    return batches.map(lambda features, targets: ({"history": features["history"]}, targets["item"]))


def labelled_window_batches(
    data: Dataset,
    labels: Mapping[str, np.ndarray],
    window: int,
    batch_size: int,
    *,
    seed: int = 0,
    first_epoch: int = 0,
) -> "tf.data.Dataset":
    """Return the windows of `window_batches` with users and with labels of every next item.

    Args:
        data: see `window_batches`.
        labels: arrays [n] by name, one value per interaction.
        window: L.
        batch_size: windows per batch.
        seed: of positions and shuffling.
        first_epoch: the epoch whose windows come first, from 0.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L]}, {"item": next items int32 [B, L], and every label of
        the next items [B, L]}), 0 for padding.
    """
    import tensorflow as tf

    histories, columns = data.histories, {"item": tf.constant(data.item_indices)}
    columns |= {name: tf.constant(values) for name, values in labels.items()}
    users = np.repeat(np.arange(len(histories)), -(-histories.lengths // (window + 1)))
    users = users[histories.lengths[users] > 1]
    starts, ends = histories.offsets[users], histories.offsets[users + 1]
    max_shift = np.maximum(ends - starts - (window + 1), 0)

    def gather(spans: tf.Tensor) -> Any:
        cells = {name: _padded_spans(column, spans[:, 0], spans[:, 1], window + 1) for name, column in columns.items()}
        targets = {name: values[:, 1:] for name, values in cells.items()}
        history = tf.where(targets["item"] > 0, cells["item"][:, :-1], 0)
        return {"user": tf.cast(spans[:, 2], tf.int32), "history": history}, targets

    def epochs() -> Iterator[np.ndarray]:
        epoch = first_epoch
        while True:
            generator = np.random.default_rng([seed, epoch])
            first = starts + generator.integers(0, max_shift + 1)
            spans = [first, np.minimum(first + window + 1, ends), users]
            yield generator.permutation(np.stack(spans, axis=1))
            epoch += 1

    return epoch_batches(epochs(), (len(users), 3), batch_size, gather)


def _padded_spans(values: "tf.Tensor", first: "tf.Tensor", end: "tf.Tensor", width: int) -> "tf.Tensor":
    """Return rows [B, width]; row r is `values[first[r]:end[r]]` with zeros on the right."""
    import tensorflow as tf

    positions = first[:, None] + tf.range(width, dtype=tf.int64)
    return tf.where(positions < end[:, None], tf.gather(values, tf.minimum(positions, len(values) - 1)), 0)


def epoch_batches(
    epochs: Iterator[np.ndarray], shape: tuple[int, ...], batch_size: int, gather: Callable[..., Any]
) -> "tf.data.Dataset":
    """Return a `tf.data.Dataset` whose every pass takes the next epoch and maps `gather` over its batches.

    Args:
        epochs: one int64 array of examples per epoch.
        shape: of these arrays.
        batch_size: examples per batch; the last batch may be smaller.
        gather: maps a batch of examples to the model's inputs and targets.
    """
    import tensorflow as tf

    def epoch() -> Iterator[np.ndarray]:
        examples = next(epochs)
        for start in range(0, shape[0], batch_size):
            yield examples[start : start + batch_size]

    batches = tf.data.Dataset.from_generator(epoch, output_signature=tf.TensorSpec([None, *shape[1:]], tf.int64))
    batches = batches.apply(tf.data.experimental.assert_cardinality(-(-shape[0] // batch_size)))
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread delays the end of an epoch by up to a minute
    return batches.map(gather).prefetch(2).with_options(options)
