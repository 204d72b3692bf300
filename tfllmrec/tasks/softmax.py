"""Softmax cross-entropy over many candidates, computed in blocks of queries."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

MASKED_SCORE = -1e9
"""The score of a candidate that is masked for a query."""

MaskScores = Callable[[tf.Tensor, slice], tf.Tensor]
"""Maps the scores [rows, C] of a block, and the slice of its queries, to scores with some at `MASKED_SCORE`."""

_SCORES_PER_BLOCK = 2**22  # 16 MB; smaller blocks were never faster
_MIN_ROWS = 64


@tf.autograph.experimental.do_not_convert  # called from TFRS tasks, in which AutoGraph is on
def softmax_loss(
    queries: tf.Tensor,
    candidates: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
    *,
    mask_scores: MaskScores,
    weights: tf.Tensor,
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> tf.Tensor:
    """Compute the weighted mean cross-entropy of queries and their target candidates, with its gradient.

    The gradient of a block is computed together with its loss, so that memory never holds more than one block of the
    [n, C] scores, not even in the backward pass. This is also faster than keeping all scores.

    Args:
        queries: float32 [n, D].
        candidates: float32 [C, D].
        bias: bias of each candidate's scores, float32 [C].
        targets: the position of each query's target among the candidates, int32 [n].
        mask_scores: masks scores of a block, but never those of targets.
        weights: weights of the queries, float32 [n].
        label_smoothing: share of the target distribution that is spread evenly over the candidates that are not masked
            (Szegedy et al., 2016, CVPR).
        precision: type of the matrix products, which dominate the cost: "float32" or "bfloat16".

    Returns:
        float32 [].
    """
    block = tf.maximum(_SCORES_PER_BLOCK // tf.shape(candidates)[0], _MIN_ROWS)
    count = tf.shape(queries)[0]
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))[:, None]
    target_weights = weights * (1 - label_smoothing)

    def product(left: tf.Tensor, right: tf.Tensor, **sides: bool) -> tf.Tensor:
        return tf.cast(tf.matmul(tf.cast(left, precision), tf.cast(right, precision), **sides), tf.float32)

    @tf.custom_gradient
    def loss(queries: tf.Tensor, candidates: tf.Tensor) -> Any:
        def one_block(start: tf.Tensor, total: tf.Tensor, query_gradients: Any, candidate_gradients: tf.Tensor) -> Any:
            rows = slice(start, tf.minimum(start + block, count))
            block_queries = queries[rows]
            scores = mask_scores(product(block_queries, candidates, transpose_b=True), rows)
            slopes, scale, losses = _softmax(scores, label_smoothing)
            scale *= weights[rows]
            return (
                rows.stop,
                total + tf.reduce_sum(losses * weights[rows]),
                query_gradients.write(start // block, scale * product(slopes, candidates)),
                candidate_gradients + product(slopes, scale * block_queries, transpose_a=True),
            )

        shape = [None, queries.shape[1]]
        blocks = tf.TensorArray(tf.float32, (count + block - 1) // block, infer_shape=False, element_shape=shape)
        initial = (0, 0.0, blocks, tf.zeros_like(candidates))
        _, total, query_gradients, candidate_gradients = tf.while_loop(
            lambda start, *_: start < count, one_block, initial, parallel_iterations=1
        )
        target_vectors = tf.gather(candidates, targets)
        total -= tf.reduce_sum(target_weights * queries * target_vectors)
        query_gradients = query_gradients.concat() - target_weights * target_vectors
        candidate_gradients = tf.tensor_scatter_nd_sub(candidate_gradients, targets[:, None], target_weights * queries)
        return total, lambda upstream: (upstream * query_gradients, upstream * candidate_gradients)

    # The bias is one more dimension of the vectors, which saves a pass over the scores.
    return loss(
        tf.concat([queries, tf.ones_like(queries[:, :1])], axis=1), tf.concat([candidates, bias[:, None]], axis=1)
    )


def _softmax(scores: tf.Tensor, label_smoothing: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the derivatives of a block of scores [rows, C], up to a scale [rows, 1], and the losses [rows, 1].

    Both lack the term of the target, so that its position in the block is not needed.
    """
    highest = tf.reduce_max(scores, axis=1, keepdims=True)
    slopes = tf.exp(scores - highest)
    total = tf.reduce_sum(slopes, axis=1, keepdims=True)
    losses = highest + tf.math.log(total)
    if label_smoothing:
        visible = scores > MASKED_SCORE / 2
        share = label_smoothing / tf.math.count_nonzero(visible, axis=1, keepdims=True, dtype=tf.float32)
        losses -= share * tf.reduce_sum(tf.where(visible, scores, 0.0), axis=1, keepdims=True)
        slopes = tf.where(visible, slopes - share * total, 0.0)
    return slopes, 1 / total, losses
