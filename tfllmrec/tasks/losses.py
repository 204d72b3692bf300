"""Losses of the retrieval task: TFRS' softmax, BPR, and Keras losses by name or as objects."""

from typing import Any, Literal, get_args

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.errors import InputError

RetrievalLoss = Literal[
    "softmax",
    "bpr",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "squared_hinge",
]
"""Losses that can be given by name."""

_HIDDEN = float(np.finfo(np.float32).min) / 100
"""The score that TFRS assigns to accidental hits and to candidates outside the score mask."""


@keras.saving.register_keras_serializable("tfllmrec")
class BPR(keras.losses.Loss):
    """Bayesian personalised ranking (Rendle et al., 2009, UAI, arXiv:1205.2618).

    The loss of a query is the mean of softplus(negative - positive) over the scores of its negatives. Candidates that
    TFRS hides are not negatives; a query without negatives has loss 0. `y_true` is one-hot float32 [B, C], `y_pred`
    are scores float32 [B, C].

    Args:
        reduction: reduction over the batch, as in other Keras losses.
        name: name of the loss.

    Example:
        >>> float(BPR()(tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[2.0, 2.0, 2.0]])))
        0.6931471824645996
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "bpr", **kwargs: Any) -> None:
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        negative = (y_true == 0) & (y_pred > _HIDDEN / 2)
        positive_score = tf.reduce_sum(y_true * y_pred, axis=1, keepdims=True)
        margins = tf.where(negative, y_pred - positive_score, 0.0)
        losses = tf.where(negative, tf.nn.softplus(margins), 0.0)
        count = tf.math.count_nonzero(negative, axis=1, dtype=losses.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(losses, axis=1), count)


def retrieval_loss(loss: RetrievalLoss | Any) -> Any:
    """Return the loss object of `tfrs.tasks.Retrieval`; None is its default, the softmax cross-entropy.

    Args:
        loss: a name, or a loss object of Keras 3 or of Keras 2 (`tf_keras`), which is returned as it is. Named Keras
            losses take the scores as logits.

    Raises:
        InputError: If the name is unknown, or the object is not a loss that reduces over the batch.
    """
    if isinstance(loss, str):
        if loss not in get_args(RetrievalLoss):
            raise InputError(
                f"loss: {loss!r} is unknown; choose {', '.join(get_args(RetrievalLoss))}, or pass a Keras loss"
            )
        return _named_loss(loss)
    if not callable(loss) or getattr(loss, "reduction", "none") in (None, "none"):
        raise InputError(f"loss: {loss!r} is not a Keras loss with a reduction; pass one, or a name")
    return loss


def _named_loss(name: str) -> Any:
    if name == "softmax":
        return None
    if name == "bpr":
        return BPR(reduction="sum")
    config = {"reduction": "sum"} | ({"from_logits": True} if name.endswith("crossentropy") else {})
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return keras.losses.get({"class_name": class_name, "config": config})
