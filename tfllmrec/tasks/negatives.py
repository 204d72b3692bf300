"""Negative sampling: the candidates that a batch of queries is scored against in training.

Items without training interactions are never candidates: a model that learnt to score them low would never recommend
a new item.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.tasks.replicas import from_all_replicas

Negatives = Literal["in_batch", "mixed", "sampled", "full"]
"""Names of the sampling methods, as configurations give them; see the functions of the same names."""


class Candidates(NamedTuple):
    """Candidates for a batch of B targets; the first B are the targets themselves.

    Attributes:
        items: item indices, int32 [C], C >= B.
        sampling_probability: expected share of each item in the candidates, float32 [C], for the logQ correction;
            None applies no correction.
        score_mask: bool [B, C], False where a candidate is hidden from a query; None hides none.
    """

    items: tf.Tensor
    sampling_probability: tf.Tensor | None = None
    score_mask: tf.Tensor | None = None


NegativeSampler = Callable[[tf.Tensor], Candidates]
"""Maps targets int32 [B] to candidates."""

Seed: TypeAlias = int | keras.random.SeedGenerator | None
"""Seed of random draws. An integer draws the same items in every step. A generator draws new ones in every step; a
model that holds it as an attribute saves its state. None uses the global generator of Keras."""


def negative_sampler(
    negatives: Negatives, item_counts: np.ndarray, num_negatives: int, seed: Seed = None
) -> NegativeSampler:
    """Build the sampler of a configuration's `negatives` and `num_negatives`.

    Args:
        negatives: name of the method.
        item_counts: training interactions of every item, [items + 1].
        num_negatives: number of items drawn per batch; "in_batch" and "full" ignore it.
        seed: seed of the draws.
    """
    match negatives:
        case "in_batch":
            return in_batch(item_counts)
        case "mixed":
            return mixed(item_counts, num_negatives, seed)
        case "sampled":
            return sampled(item_counts, num_negatives, seed)
        case "full":
            return full(item_counts)


def in_batch(item_counts: np.ndarray) -> NegativeSampler:
    """Use the other targets of the batch of all replicas, corrected for their frequency (Yi et al., 2019, RecSys).

    Args:
        item_counts: training interactions of every item, [items + 1].
    """
    frequency = _frequency(item_counts)

    def sample(targets: tf.Tensor) -> Candidates:
        items = from_all_replicas(targets)
        return Candidates(items, tf.gather(frequency, items))

    return sample


def mixed(item_counts: np.ndarray, num_negatives: int, seed: Seed = None) -> NegativeSampler:
    """Use the other targets of the batch and uniformly drawn items (Yang et al., 2020, WWW).

    As in TFRS, the correction applies to a query's own target as well, although it is always a candidate. The loss
    therefore orders items as the full softmax does, but is not an estimate of its value.

    Args:
        item_counts: training interactions of every item, [items + 1].
        num_negatives: number of items drawn per batch and shared by its queries.
        seed: seed of the draws.
    """
    frequency, trained_items = _frequency(item_counts), _trained_items(item_counts)

    def sample(targets: tf.Tensor) -> Candidates:
        targets = from_all_replicas(targets)
        items = tf.concat([targets, _uniform(num_negatives, trained_items, seed)], axis=0)
        batch = tf.cast(tf.shape(targets)[0], tf.float32)
        expected = batch * tf.gather(frequency, items) + num_negatives / len(trained_items)
        return Candidates(items, expected / (batch + num_negatives))

    return sample


def sampled(item_counts: np.ndarray, num_negatives: int, seed: Seed = None) -> NegativeSampler:
    """Use uniformly drawn items only; other queries' targets and accidental hits are hidden by the score mask.

    Args:
        item_counts: training interactions of every item, [items + 1].
        num_negatives: number of items drawn per batch and shared by its queries.
        seed: seed of the draws.
    """
    trained_items = _trained_items(item_counts)
    return lambda targets: _own_target_and(targets, _uniform(num_negatives, trained_items, seed))


def full(item_counts: np.ndarray) -> NegativeSampler:
    """Use every item with training interactions: the exact softmax; accidental hits are hidden by the score mask.

    Args:
        item_counts: training interactions of every item, [items + 1].
    """
    trained_items = _trained_items(item_counts)
    return lambda targets: _own_target_and(targets, tf.constant(trained_items))


def _own_target_and(targets: tf.Tensor, others: tf.Tensor) -> Candidates:
    """Return candidates of which a query sees its own target and the others, except further copies of its target."""
    own = tf.eye(tf.shape(targets)[0], dtype=tf.bool)
    mask = tf.concat([own, targets[:, None] != others[None]], axis=1)
    return Candidates(tf.concat([targets, others], axis=0), score_mask=mask)


def _uniform(count: int, trained_items: np.ndarray, seed: Seed) -> tf.Tensor:
    return tf.gather(trained_items, keras.random.randint([count], 0, len(trained_items), seed=seed))


def _trained_items(item_counts: np.ndarray) -> np.ndarray:
    return np.flatnonzero(item_counts).astype(np.int32)


def _frequency(item_counts: np.ndarray) -> tf.Tensor:
    return tf.constant(item_counts / max(item_counts.sum(), 1), tf.float32)
