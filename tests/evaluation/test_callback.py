from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.evaluation.callback import RankingCallback
from tfllmrec.evaluation.ranking import Scorer

TARGETS = Targets(np.array([1, 2], np.int32), Histories.from_rows([[1], [2]]), np.array([3, 3], np.int32))


class ScorerPerEpoch:
    """Makes scorers that rank the target first in the second epoch and last in all others."""

    def __init__(self) -> None:
        self.epoch = 0

    def __call__(self) -> Scorer:
        self.epoch += 1
        score = 1.0 if self.epoch == 2 else -1.0
        return lambda users, _: tf.constant([[0, 0, 0, score, 0]] * len(users))


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model: keras.Model, *callbacks: keras.callbacks.Callback) -> dict[str, list[float]]:
    return model.fit(np.ones([2, 1]), np.ones([2]), epochs=8, verbose=0, callbacks=list(callbacks)).history


def test_metrics_are_in_the_history(model: keras.Model) -> None:
    history = fit(model, RankingCallback(ScorerPerEpoch(), TARGETS, 5, k=2))
    assert history["val_recall@2"] == history["val_ndcg@2"] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert len(history["loss"]) == 8


def test_early_stopping_restores_the_best_weights(model: keras.Model) -> None:
    weights = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: weights.append(model.get_weights()[0]))
    stop = keras.callbacks.EarlyStopping(monitor="val_recall@1", mode="max", patience=3, restore_best_weights=True)
    history = fit(model, keep, RankingCallback(ScorerPerEpoch(), TARGETS, 5, k=1), stop)
    assert len(history["loss"]) == 5
    np.testing.assert_array_equal(model.get_weights()[0], weights[1])


def test_tensorboard_writes_the_metrics(model: keras.Model, tmp_path: Path) -> None:
    fit(model, RankingCallback(ScorerPerEpoch(), TARGETS, 5), keras.callbacks.TensorBoard(tmp_path))
    [events] = tmp_path.glob("validation/events*")
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value}
    assert {"epoch_ndcg@10", "epoch_recall@10"} <= tags
