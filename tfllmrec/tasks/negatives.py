"""Which candidates a batch of queries is scored against: its own targets, drawn items, or the catalogue.

Items without an interaction are never among them.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf


class Candidates(NamedTuple):
    """Candidates for a batch of B targets; the first B are the targets themselves.

    Attributes:
        items: item indices, int32 [C], C >= B.
        sampling_probability: chance of each to be in this list, float32 [C], for the logQ correction, or None.
        score_mask: bool [B, C], False where a query must not see a candidate, or None.
    """

    items: tf.Tensor
    sampling_probability: tf.Tensor | None = None
    score_mask: tf.Tensor | None = None


Negatives = Callable[[tf.Tensor], Candidates]
"""Targets int32 [B] -> candidates."""

Seed: TypeAlias = int | keras.random.SeedGenerator | None
"""Of what is drawn: a number draws the same in every step, a generator goes on; a model that has the generator as an
attribute saves it with its weights. None is Keras's global generator."""


def in_batch(item_counts: np.ndarray) -> Negatives:
    """The other targets of the batch, corrected for their frequency (Yi et al., 2019, RecSys).

    Args:
        item_counts: interactions of every item, [items + 1].
    """
    frequency = _frequency(item_counts)
    return lambda targets: Candidates(targets, tf.gather(frequency, targets))


def mixed(item_counts: np.ndarray, count: int, seed: Seed = None) -> Negatives:
    """The other targets of the batch and `count` items drawn uniformly (Yang et al., 2020, WWW).

    As TFRS does, a query's own target is corrected like all others, although it is certain to be there: the loss
    ranks items as the full softmax does and is not its estimate.

    Args:
        item_counts: interactions of every item, [items + 1].
        count: items drawn for a batch, shared by its queries.
        seed: see `Seed`.
    """
    frequency, known = _frequency(item_counts), _known(item_counts)

    def draw(targets: tf.Tensor) -> Candidates:
        items = tf.concat([targets, _uniform(count, known, seed)], axis=0)
        batch = tf.cast(tf.shape(targets)[0], tf.float32)
        expected = batch * tf.gather(frequency, items) + count / len(known)
        return Candidates(items, expected / (batch + count))

    return draw


def sampled(item_counts: np.ndarray, count: int, seed: Seed = None) -> Negatives:
    """`count` items drawn uniformly, and no other query's target; accidental hits are hidden already.

    Args:
        item_counts: interactions of every item, [items + 1].
        count: items drawn for a batch, shared by its queries.
        seed: see `Seed`.
    """
    known = _known(item_counts)
    return lambda targets: _own_target_and(targets, _uniform(count, known, seed))


def full(item_counts: np.ndarray) -> Negatives:
    """Every item with an interaction: the exact softmax; accidental hits are hidden already.

    Args:
        item_counts: interactions of every item, [items + 1].
    """
    known = _known(item_counts)
    return lambda targets: _own_target_and(targets, tf.constant(known))


def _own_target_and(targets: tf.Tensor, others: tf.Tensor) -> Candidates:
    """A query's own target, hidden from the other queries, and all others but that target once more."""
    own = tf.eye(tf.shape(targets)[0], dtype=tf.bool)
    mask = tf.concat([own, targets[:, None] != others[None]], axis=1)
    return Candidates(tf.concat([targets, others], axis=0), score_mask=mask)


def _uniform(count: int, known: np.ndarray, seed: Seed) -> tf.Tensor:
    return tf.gather(known, keras.random.randint([count], 0, len(known), seed=seed))


def _known(item_counts: np.ndarray) -> np.ndarray:
    """The items with an interaction: a model that learnt to score others low would never recommend a new item."""
    return np.flatnonzero(item_counts).astype(np.int32)


def _frequency(item_counts: np.ndarray) -> tf.Tensor:
    return tf.constant(item_counts / max(item_counts.sum(), 1), tf.float32)
