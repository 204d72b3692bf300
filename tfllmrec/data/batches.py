"""`tf.data` batches of histories and targets, cut from flat arrays in the batch, not copied per example."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfllmrec.data.dataset import Dataset

if TYPE_CHECKING:
    import tensorflow as tf


def next_item_batches(
    data: Dataset, history_length: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """One example per interaction that has an earlier one: who, what came before, what came.

    Ids are looked up once, for the whole table. A batch gathers its histories from the flat array of all
    interactions, so an epoch costs no more memory than the table. Every epoch has an order of its own.

    Args:
        data: the training part.
        history_length: L, how many of the newest earlier items an example keeps.
        batch_size: examples a batch; the last one may be smaller.
        seed: of the shuffling.
        first_epoch: which epoch's order comes first, from 0.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right}, item int32 [B]).
    """
    return _interaction_batches(
        data, history_length, batch_size, seed, first_epoch, example=lambda features, item, _: (features, item)
    )


def rating_batches(
    data: Dataset, history_length: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """The same of interactions with a rating, and the rating, for a ranker of one candidate.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, 1]}, rating float32 [B, 1]).

    Raises:
        InputError: the interactions have no ratings.
    """
    import tensorflow as tf

    ratings, rated = tf.constant(data.ratings), np.isfinite(data.ratings)

    def with_rating(
        features: dict[str, tf.Tensor], item: tf.Tensor, place: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return features | {"candidates": item[:, None]}, tf.gather(ratings, place)[:, None]

    return _interaction_batches(data, history_length, batch_size, seed, first_epoch, example=with_rating, rows=rated)


def _interaction_batches(
    data: Dataset,
    history_length: int,
    batch_size: int,
    seed: int,
    first_epoch: int,
    *,
    example: Callable[..., Any],
    rows: np.ndarray | bool = True,
) -> "tf.data.Dataset":
    """Batches of interactions that have an earlier one; `example` has users and histories, items, and places.

    Those where `rows` is false, bool [n], are left out.
    """
    import tensorflow as tf

    users, items = tf.constant(data.user_indices), tf.constant(data.item_indices)
    starts = tf.constant(data.histories.offsets[data.user_indices])
    places = np.flatnonzero((np.arange(len(data.interactions)) > starts.numpy()) & rows)

    def gather(place: tf.Tensor) -> Any:
        first = tf.maximum(tf.gather(starts, place), place - history_length)
        features = {"user": tf.gather(users, place), "history": _cells(items, first, place, history_length)}
        return example(features, tf.gather(items, place), place)

    def epochs() -> Iterator[np.ndarray]:
        generator = np.random.default_rng(seed)
        for _ in range(first_epoch):
            generator.permutation(places)
        while True:
            yield generator.permutation(places)

    return epoch_batches(epochs(), (len(places),), batch_size, gather)


def window_batches(
    data: Dataset, window: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
) -> "tf.data.Dataset":
    """Rows of consecutive items and, beside every item, the one that came next.

    A history of n items gives ceil(n / (window + 1)) rows an epoch. One that fits gives itself; a longer one gives
    rows cut out at random places, new ones in every epoch, each from the whole history.

    Args:
        data: the training part; a user with a single item has no next one and gives no row.
        window: L, items a row.
        batch_size: rows a batch; the last one may be smaller.
        seed: of places and shuffling.
        first_epoch: which epoch's rows come first, from 0.

    Returns:
        Batches of ({"history": int32 [B, L] oldest first, zeros on the right}, next items int32 [B, L], zeros where
        there is none).
    """
    batches = labelled_window_batches(data, {}, window, batch_size, seed=seed, first_epoch=first_epoch)
    return batches.map(lambda features, following: ({"history": features["history"]}, following["item"]))


def labelled_window_batches(
    data: Dataset,
    labels: Mapping[str, np.ndarray],
    window: int,
    batch_size: int,
    *,
    seed: int = 0,
    first_epoch: int = 0,
) -> "tf.data.Dataset":
    """The same rows, whose they are, and what is told of every next item.

    Args:
        data: as in `window_batches`, and so are the window, the batches and their order.
        labels: by name, one value for every interaction of the data set, [n].
        window: L.
        batch_size: rows a batch.
        seed: of places and shuffling.
        first_epoch: which epoch's rows come first, from 0.

    Returns:
        Batches of ({"user": int32 [B], "history": int32 [B, L]}, {"item": next items int32 [B, L], and every label
        [B, L] of theirs}), zeros where there is none.
    """
    import tensorflow as tf

    histories, columns = data.histories, {"item": tf.constant(data.item_indices)}
    columns |= {name: tf.constant(values) for name, values in labels.items()}
    rows = np.repeat(np.arange(len(histories)), -(-histories.lengths // (window + 1)))
    rows = rows[histories.lengths[rows] > 1]
    starts, ends = histories.offsets[rows], histories.offsets[rows + 1]
    room = np.maximum(ends - starts - (window + 1), 0)

    def gather(bounds: tf.Tensor) -> Any:
        cells = {name: _cells(column, bounds[:, 0], bounds[:, 1], window + 1) for name, column in columns.items()}
        following = {name: here[:, 1:] for name, here in cells.items()}
        history = tf.where(following["item"] > 0, cells["item"][:, :-1], 0)
        return {"user": tf.cast(bounds[:, 2], tf.int32), "history": history}, following

    def epochs() -> Iterator[np.ndarray]:
        epoch = first_epoch
        while True:
            generator = np.random.default_rng([seed, epoch])
            first = starts + generator.integers(0, room + 1)
            bounds = [first, np.minimum(first + window + 1, ends), rows]
            yield generator.permutation(np.stack(bounds, axis=1))
            epoch += 1

    return epoch_batches(epochs(), (len(rows), 3), batch_size, gather)


def _cells(values: "tf.Tensor", first: "tf.Tensor", end: "tf.Tensor", width: int) -> "tf.Tensor":
    """Row r is values[first[r]:end[r]] with zeros on the right: [B, width]."""
    import tensorflow as tf

    places = first[:, None] + tf.range(width, dtype=tf.int64)
    return tf.where(places < end[:, None], tf.gather(values, tf.minimum(places, len(values) - 1)), 0)


def epoch_batches(
    epochs: Iterator[np.ndarray], shape: tuple[int, ...], batch_size: int, gather: Callable[..., Any]
) -> "tf.data.Dataset":
    """What `gather` makes of an epoch's examples, a batch at a time; then of the next epoch's.

    Args:
        epochs: the examples of one epoch after the other, int64.
        shape: theirs.
        batch_size: examples a batch; the last one may be smaller.
        gather: a batch of examples -> what the model is given.
    """
    import tensorflow as tf

    def epoch() -> Iterator[np.ndarray]:
        examples = next(epochs)
        for start in range(0, shape[0], batch_size):
            yield examples[start : start + batch_size]

    batches = tf.data.Dataset.from_generator(epoch, output_signature=tf.TensorSpec([None, *shape[1:]], tf.int64))
    batches = batches.apply(tf.data.experimental.assert_cardinality(-(-shape[0] // batch_size)))
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread holds up the end of an epoch until it wakes, for up to a minute
    return batches.map(gather).prefetch(2).with_options(options)
