"""A fit of a ranker resumes from a backup, interrupted in the training on lists or in the fine-tuning after it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Checkerboard, leave_one_out
from tfllmrec.tasks.ranking import RankingModel

REQUEST = (
    np.array([1, 0], np.int32),
    np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32),
    np.array([[1, 20, 4], [5, 6, 2]], np.int32),
)
"""Users, histories and candidates."""


class InterruptionError(Exception):
    """Interrupt a fit, as a power failure would."""


class Interrupt(keras.callbacks.Callback):
    """Interrupt after the second epoch on lists, or after the first epoch of the fine-tuning."""

    def __init__(self, after_lists: bool) -> None:
        super().__init__()
        self.after_lists, self.lists_seen = after_lists, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        lists = isinstance(self.model, RankingModel)
        if (self.lists_seen and not lists) if self.after_lists else (lists and epoch == 1):
            raise InterruptionError
        self.lists_seen |= lists


@pytest.fixture(scope="module")
def fit(
    request: pytest.FixtureRequest, make: Callable[..., Recommender], board: Checkerboard
) -> Callable[..., Recommender]:
    train = leave_one_out(board.data).train

    def fit(*callbacks: keras.callbacks.Callback, **options: Any) -> Recommender:
        fitted = make(request.param, epochs=3, learning_rate=1e-2)
        return fitted.fit(train, callbacks=callbacks, verbose=0, **options)

    return fit


@pytest.fixture(scope="module")
def uninterrupted(fit: Callable[..., Recommender]) -> Recommender:
    return fit()


@pytest.mark.parametrize(
    ("fit", "after_lists"),
    [
        ("cross_encoder", False),
        pytest.param("bert_ranker", False, marks=pytest.mark.slow),
        pytest.param("bert_ranker", True, marks=pytest.mark.slow),
    ],
    indirect=["fit"],
)
def test_resumed_and_uninterrupted_fits_agree(
    fit: Callable[..., Recommender], uninterrupted: Recommender, after_lists: bool, tmp_path: Path
) -> None:
    with pytest.raises(InterruptionError):
        fit(Interrupt(after_lists), backup=tmp_path / "fit")
    resumed = fit(backup=tmp_path / "fit")
    assert len(resumed.training_log["loss"]) == len(uninterrupted.training_log["loss"]) == 3
    np.testing.assert_allclose(resumed.training_log["loss"], uninterrupted.training_log["loss"], rtol=1e-4)
    for weight, expected in zip(resumed.model.weights, uninterrupted.model.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5, err_msg=expected.path)
    scores, expected = (fitted.predictor.score_candidates(*REQUEST)["scores"] for fitted in (resumed, uninterrupted))
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
