"""RMSE against NumPy and in the logs of `fit`."""

import numpy as np
import pytest

from tfllmrec.data import Histories, Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ratings import RatingCallback, rmse


def targets(ratings: np.ndarray | None) -> Targets:
    items = np.arange(1, 4, dtype=np.int32)
    return Targets(items, Histories.from_rows([[1]] * 3), items, ratings)


def test_rmse() -> None:
    assert rmse(np.array([1.0, 2.0, 5.0]), np.array([1.0, 4.0, 4.0])) == pytest.approx(np.sqrt(5 / 3))


def test_rmse_is_computed_in_float64() -> None:
    far, near = np.full(2, 1e8, np.float32), np.full(2, 1e8 + 8, np.float32)
    assert rmse(far, near) == 8


def test_callback_logs_rmse() -> None:
    callback, logs = RatingCallback(lambda targets: targets.items + 1.0, targets(np.array([2.0, 3.0, 7.0]))), {}
    callback.on_epoch_end(0, logs)
    assert logs == {"val_rmse": pytest.approx(np.sqrt(3))}


def test_targets_without_ratings_raise() -> None:
    with pytest.raises(InputError, match="need a column rating"):
        RatingCallback(lambda targets: targets.items, targets(None))
