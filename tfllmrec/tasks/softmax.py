"""Softmax cross-entropy against many candidates, a block of queries at a time."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

HIDDEN = -1e9
"""The score of a candidate that a query must not see."""

Hide = Callable[[tf.Tensor, slice], tf.Tensor]
"""Scores [rows, C] and which rows of the queries they are -> the scores with some at `HIDDEN`."""

_SCORES_AT_ONCE = 2**22  # 16 MB: smaller blocks were as fast at best
_FEWEST_ROWS = 64


@tf.autograph.experimental.do_not_convert  # AutoGraph is on inside TFRS tasks, and this is graph code already
def softmax_loss(
    queries: tf.Tensor,
    candidates: tf.Tensor,
    bias: tf.Tensor,
    own: tf.Tensor,
    *,
    hide: Hide,
    weights: tf.Tensor,
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> tf.Tensor:
    """The weighted mean cross-entropy of queries and their own candidates, with its gradient.

    Each block's share of the gradient is computed beside its loss, so that no more than a block of the [n, C]
    scores is ever in memory, in the backward pass neither. That is also faster than holding them.

    Args:
        queries: float32 [n, D].
        candidates: float32 [C, D].
        bias: added to the scores of each candidate, float32 [C].
        own: which candidate is right, int32 [n].
        hide: see `Hide`; the right candidate must stay visible.
        weights: of the queries, float32 [n].
        label_smoothing: share of the target distribution that is spread over all visible candidates (Szegedy et
            al., 2016, CVPR).
        precision: of the matrix products, which are nearly all the work: "float32", or "bfloat16".

    Returns:
        float32 [].
    """
    block = tf.maximum(_SCORES_AT_ONCE // tf.shape(candidates)[0], _FEWEST_ROWS)
    count = tf.shape(queries)[0]
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))[:, None]
    onto_own = weights * (1 - label_smoothing)

    def product(left: tf.Tensor, right: tf.Tensor, **sides: bool) -> tf.Tensor:
        return tf.cast(tf.matmul(tf.cast(left, precision), tf.cast(right, precision), **sides), tf.float32)

    @tf.custom_gradient
    def loss(queries: tf.Tensor, candidates: tf.Tensor) -> Any:
        def one_block(start: tf.Tensor, total: tf.Tensor, of_queries: Any, of_candidates: tf.Tensor) -> Any:
            rows = slice(start, tf.minimum(start + block, count))
            here = queries[rows]
            scores = hide(product(here, candidates, transpose_b=True), rows)
            slopes, scale, losses = _softmax(scores, label_smoothing)
            scale *= weights[rows]
            return (
                rows.stop,
                total + tf.reduce_sum(losses * weights[rows]),
                of_queries.write(start // block, scale * product(slopes, candidates)),
                of_candidates + product(slopes, scale * here, transpose_a=True),
            )

        widths = [None, queries.shape[1]]
        blocks = tf.TensorArray(tf.float32, (count + block - 1) // block, infer_shape=False, element_shape=widths)
        nothing = (0, 0.0, blocks, tf.zeros_like(candidates))
        _, total, of_queries, of_candidates = tf.while_loop(
            lambda start, *_: start < count, one_block, nothing, parallel_iterations=1
        )
        right = tf.gather(candidates, own)
        total -= tf.reduce_sum(onto_own * queries * right)
        of_queries = of_queries.concat() - onto_own * right
        of_candidates = tf.tensor_scatter_nd_sub(of_candidates, own[:, None], onto_own * queries)
        return total, lambda upstream: (upstream * of_queries, upstream * of_candidates)

    # The bias goes along as one more dimension, which spares a pass over the scores.
    return loss(
        tf.concat([queries, tf.ones_like(queries[:, :1])], axis=1), tf.concat([candidates, bias[:, None]], axis=1)
    )


def _softmax(scores: tf.Tensor, label_smoothing: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of a block of scores [rows, C]: derivatives [rows, C] up to a scale [rows, 1], and losses [rows, 1].

    Both without the part of the right candidate, whose place in the block need not be known here.
    """
    highest = tf.reduce_max(scores, axis=1, keepdims=True)
    slopes = tf.exp(scores - highest)
    total = tf.reduce_sum(slopes, axis=1, keepdims=True)
    losses = highest + tf.math.log(total)
    if label_smoothing:
        visible = scores > HIDDEN / 2
        share = label_smoothing / tf.math.count_nonzero(visible, axis=1, keepdims=True, dtype=tf.float32)
        losses -= share * tf.reduce_sum(tf.where(visible, scores, 0.0), axis=1, keepdims=True)
        slopes = tf.where(visible, slopes - share * total, 0.0)
    return slopes, 1 / total, losses
