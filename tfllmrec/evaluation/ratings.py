"""How well ratings are told in advance."""

from collections.abc import Callable

import keras
import numpy as np

from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError

RatingScorer = Callable[[Targets], np.ndarray]
"""Targets to the ratings that a model expects, float32 [n]."""


def rmse(expected: np.ndarray, ratings: np.ndarray) -> float:
    """Root of the mean squared error.

    Example:
        >>> rmse(np.array([3.0, 4.0]), np.array([4.0, 4.0]))
        0.7071067811865476
    """
    return float(np.sqrt(np.mean((expected.astype(np.float64) - ratings) ** 2)))


class RatingCallback(keras.callbacks.Callback):
    """Adds `val_rmse` to the logs of every epoch.

    Args:
        score: asked at the end of each epoch.
        targets: the validation targets.

    Raises:
        InputError: none of them has a rating.
    """

    def __init__(self, score: RatingScorer, targets: Targets) -> None:
        super().__init__()
        rated = targets.rated()
        if rated.ratings is None or not len(rated):
            raise InputError("ratings: the validation targets have none; the interactions want a column rating")
        self.score, self.targets, self.ratings = score, rated, rated.ratings

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare with the weights of this epoch."""
        if logs is not None:
            logs["val_rmse"] = rmse(self.score(self.targets), self.ratings)
