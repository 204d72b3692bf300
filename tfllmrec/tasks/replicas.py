"""Losses under `tf.distribute.MirroredStrategy`: equal to those of one replica with the same global batch.

A task's loss is a sum over examples divided by their number. Optimizers add the gradients of the replicas, so every
replica divides its sum by the number of examples of all replicas. A single replica computes as without a strategy.
"""

import tensorflow as tf


def replica_count() -> int:
    """Return the number of replicas, 1 outside of a replica's step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """Return the sum of a value over all replicas."""
    if replica_count() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def share_of_mean(mean: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return this replica's share of the mean over the examples of all replicas; the shares sum to that mean.

    Args:
        mean: mean over the examples of this replica, float32 [].
        weight: number or total weight of these examples, [].
    """
    if replica_count() == 1:
        return mean
    weight = tf.cast(weight, mean.dtype)
    return tf.math.multiply_no_nan(mean, tf.math.divide_no_nan(weight, sum_over_replicas(weight)))


def share_of_term(term: tf.Tensor) -> tf.Tensor:
    """Return this replica's share of a term that every replica adds to the loss, such as a regularisation loss."""
    return term if replica_count() == 1 else term / replica_count()


def from_all_replicas(values: tf.Tensor) -> tf.Tensor:
    """Return the rows of all replicas, those of this one first.

    Args:
        values: rows of this replica, [n, ...]; the number of rows may differ between replicas.
    """
    if replica_count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    replica = context.replica_id_in_sync_group
    owners = context.all_gather(tf.fill([tf.shape(values)[0]], replica), axis=0)
    return tf.concat([values, tf.boolean_mask(context.all_gather(values, axis=0), owners != replica)], axis=0)
