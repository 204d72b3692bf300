"""A ranker's fit that is broken off: while it learns from lists, and in what it learns after them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Checkerboard, leave_one_out
from tfllmrec.tasks.ranking import RankingModel

RANKERS = ["bert_ranker", "cross_encoder"]
ASKED = (
    np.array([1, 0], np.int32),
    np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32),
    np.array([[1, 20, 4], [5, 6, 2]], np.int32),
)
"""Users, histories and candidates."""


class Broken(Exception):  # noqa: N818  # no error: it stands for a power cut
    """Breaks a fit off."""


class Break(keras.callbacks.Callback):
    """While a family learns from lists, after its second epoch, or in what it learns after that."""

    def __init__(self, after_lists: bool) -> None:
        super().__init__()
        self.after_lists, self.lists_met = after_lists, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        lists = isinstance(self.model, RankingModel)
        if (self.lists_met and not lists) if self.after_lists else (lists and epoch == 1):
            raise Broken
        self.lists_met |= lists


@pytest.fixture(scope="module", params=RANKERS)
def fit(
    request: pytest.FixtureRequest, make: Callable[..., Recommender], board: Checkerboard
) -> Callable[..., Recommender]:
    train = leave_one_out(board.data).train

    def fit(*callbacks: keras.callbacks.Callback, **options: Any) -> Recommender:
        made = make(request.param, epochs=3, learning_rate=1e-2)
        return made.fit(train, callbacks=callbacks, verbose=0, **options)

    return fit


@pytest.fixture(scope="module")
def unbroken(fit: Callable[..., Recommender]) -> Recommender:
    return fit()


@pytest.mark.parametrize(
    ("fit", "after_lists"), [*((name, False) for name in RANKERS), ("bert_ranker", True)], indirect=["fit"]
)
def test_a_fit_that_was_broken_off_ends_as_an_unbroken_one(
    fit: Callable[..., Recommender], unbroken: Recommender, after_lists: bool, tmp_path: Path
) -> None:
    with pytest.raises(Broken):
        fit(Break(after_lists), backup=tmp_path / "fit")
    resumed = fit(backup=tmp_path / "fit")
    assert len(resumed.training_log["loss"]) == len(unbroken.training_log["loss"]) == 3
    np.testing.assert_allclose(resumed.training_log["loss"], unbroken.training_log["loss"], rtol=1e-4)
    for one, other in zip(resumed.model.weights, unbroken.model.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=other.path)
    scores, expected = (made.predictor.score_candidates(*ASKED)["scores"] for made in (resumed, unbroken))
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
