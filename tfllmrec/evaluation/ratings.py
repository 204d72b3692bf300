"""The error of predicted ratings."""

from collections.abc import Callable

import keras
import numpy as np

from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError

RatingScorer = Callable[[Targets], np.ndarray]
"""Maps targets to predicted ratings, float32 [n]."""


def rmse(expected: np.ndarray, ratings: np.ndarray) -> float:
    """Return the root of the mean squared error.

    Example:
        >>> rmse(np.array([3.0, 4.0]), np.array([4.0, 4.0]))
        0.7071067811865476
    """
    return float(np.sqrt(np.mean((expected.astype(np.float64) - ratings) ** 2)))


class RatingCallback(keras.callbacks.Callback):
    """Add `val_rmse` to the logs of every epoch.

    Args:
        score: called at the end of each epoch.
        targets: the validation targets.

    Raises:
        InputError: If no target has a rating.
    """

    def __init__(self, score: RatingScorer, targets: Targets) -> None:
        super().__init__()
        rated = targets.rated()
        if rated.ratings is None or not len(rated):
            raise InputError("ratings: the validation targets have no ratings; the interactions need a column rating")
        self.score, self.targets, self.ratings = score, rated, rated.ratings

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compute the error with the weights of this epoch."""
        if logs is not None:
            logs["val_rmse"] = rmse(self.score(self.targets), self.ratings)
