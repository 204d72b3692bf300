"""Full ranking: the rank of every target among all items that its user has not seen."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.blocks import block_size
from tfllmrec.layers.top_items import top_k

Scorer = Callable[..., tf.Tensor]
"""Maps users int32 [B], histories int32 [B, L] and, with `by_scenario`, scenarios int32 [B] to scores.

Scores are float32 [B, I + 1]; column 0 is ignored."""


@dataclass(frozen=True)
class RankedTargets:
    """The ranks of targets and the best items.

    Attributes:
        ranks: the rank of each target, from 1, int64 [n].
        top: the best unseen items, best first, int32 [n, k]; 0 where fewer than k are left.
    """

    ranks: np.ndarray
    top: np.ndarray


def rank_targets(
    score: Scorer,
    targets: Targets,
    history_length: int | None,
    *,
    k: int = 10,
    item_subset: np.ndarray | None = None,
    by_scenario: bool = False,
    block: int = 512,
) -> RankedTargets:
    """Rank every target among all items that its user has not seen.

    rank = 1 + the number of *other* unseen items with a score >= the target's: ties count against the model.
    The model reads the newest `history_length` items; all items of the history are filtered as seen.

    Args:
        score: scores of all items for a block of users. Every call has the same shapes if `history_length` is given, so
            a `tf.function` is traced once; wrap a model that is slow eagerly in one.
        targets: users with their histories and target items.
        history_length: items of a history that the model reads; None for whole histories.
        k: length of the top lists.
        item_subset: rank these items only, such as cold items; they include all targets. None ranks all items.
        by_scenario: pass the targets' scenarios to `score`; items outside the scenario get float32's lowest score.
        block: users scored at a time on every core; fewer if their scores need more than 256 MB.

    Raises:
        InputError: If there are no targets, a target is the unknown item or not in `item_subset`, the scores have too
            few columns, or a score is not finite.

    Example:
        >>> from tfllmrec.data import Histories, Targets
        >>> targets = Targets(np.array([1], np.int32), Histories.from_rows([[4]]), np.array([2], np.int32))
        >>> ranking = rank_targets(lambda users, histories: [[9.0, 0.5, 0.7, 0.8, 0.9]], targets, 50, k=2)
        >>> ranking.ranks, ranking.top
        (array([2]), array([[3, 2]], dtype=int32))
    """
    _check_targets(targets, item_subset)
    scenarios = _scenarios(targets) if by_scenario else None
    count = len(targets)
    highest = int(max(targets.items.max(), targets.histories.values.max(initial=0)))
    block = min(count, block_size(highest + 1, most=block))
    ranks, top = np.zeros(count, np.int64), np.zeros((count, k), np.int32)

    def rank_block(start: int) -> None:
        # The last block is padded with the last target, whose result is written several times.
        rows = np.minimum(np.arange(start, start + block), count - 1)
        histories = targets.histories.take(rows)
        read = histories.padded() if history_length is None else histories.most_recent(history_length)
        inputs = [targets.users[rows], read]
        if scenarios is not None:
            inputs.append(scenarios[rows])
        scores = tf.cast(score(*inputs), tf.float32)
        _check_shape(scores, block, highest)
        filtered = histories.mask(scores.shape[1])
        if item_subset is not None:
            filtered |= ~np.isin(np.arange(scores.shape[1]), item_subset)
        ranks_here, top_here, total = _rank_block(scores, targets.items[rows], filtered, k)
        if not np.isfinite(total):
            _check_finite(scores, f"targets {start:,} to {rows[-1]:,}")
        ranks[rows] = ranks_here
        top[rows, : top_here.shape[1]] = top_here

    # TensorFlow runs most of these operations on one core each, so blocks run in parallel.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(rank_block, range(0, count, block)))
    return RankedTargets(ranks, top)


# Relaxed shapes: one trace serves every block, catalog, history and k of the process.
@tf.function(
    input_signature=[
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, None], tf.bool),
        tf.TensorSpec([], tf.int32),
    ]
)
def _rank_block(
    scores: tf.Tensor, items: tf.Tensor, filtered: tf.Tensor, k: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return ranks [B], top items [B, min(k, columns)] and the sum of all scores, which is finite only if they are."""
    unseen = tf.where(filtered, -np.inf, scores)
    own_score = tf.gather(scores, items, batch_dims=1)[:, None]
    not_below = tf.reduce_sum(tf.cast(unseen >= own_score, tf.int32), axis=1)
    # A target is itself among those not below it, unless a split lets seen items be targets.
    ranks = not_below + tf.cast(tf.gather(filtered, items, batch_dims=1), tf.int32)
    values, columns = top_k(unseen, tf.minimum(k, tf.shape(scores)[1]))
    return ranks, tf.where(values > -np.inf, columns, 0), tf.reduce_sum(scores)


def _scenarios(targets: Targets) -> np.ndarray:
    if targets.scenarios is None:
        raise InputError("targets: scenarios are missing, which by_scenario requires; split data with scenarios")
    return targets.scenarios


def _check_targets(targets: Targets, item_subset: np.ndarray | None) -> None:
    if not len(targets):
        raise InputError("targets: there are no targets to rank")
    unknown = int(np.sum(targets.items == 0))
    if unknown:
        raise InputError(f"targets: {unknown:,} of {len(targets):,} have the unknown item 0; leave them out")
    outside = 0 if item_subset is None else int(np.sum(~np.isin(targets.items, item_subset)))
    if outside:
        raise InputError(f"targets: {outside:,} of {len(targets):,} are not among the items to rank; leave them out")


def _check_shape(scores: tf.Tensor, rows: int, highest_item: int) -> None:
    if scores.shape.rank != 2 or scores.shape[0] != rows or scores.shape[1] <= highest_item:
        raise InputError(
            f"scores: the shape is {tuple(scores.shape)}; expected {rows} rows and one column for the padding and for "
            f"each item, that is more than {highest_item} columns"
        )


def _check_finite(scores: tf.Tensor, where: str) -> None:
    # A sum of finite scores may overflow, and the padding may have any score: count.
    items = scores[:, 1:].numpy()
    wrong = np.count_nonzero(~np.isfinite(items))
    if wrong:
        raise InputError(
            f"scores: {wrong:,} of the {len(items):,} x {items.shape[1]:,} scores for {where} are NaN or infinite"
        )
