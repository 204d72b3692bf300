"""Keras callbacks in `fit`: each works, or raises one sentence."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_data import small_data

from tfllmrec import InputError, TwoTower, leave_one_out
from tfllmrec.tasks import negatives
from tfllmrec.tasks.ranking import RankingModel, RankingTask
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel

OPTIONS: dict[str, Any] = {"dim": 8, "hidden_units": 8, "history_length": 4, "epochs": 2}


def fit(callback: keras.callbacks.Callback, **options: Any) -> TwoTower:
    split = leave_one_out(small_data())
    return TwoTower(**OPTIONS | options).fit(split.train, split.validation, callbacks=[callback], verbose=0)


@pytest.mark.parametrize(
    ("make", "files"),
    [
        (lambda folder: keras.callbacks.EarlyStopping("loss", patience=1), []),
        (lambda folder: keras.callbacks.ReduceLROnPlateau("loss", patience=1), []),
        (lambda folder: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2), []),
        (lambda folder: keras.callbacks.TerminateOnNaN(), []),
        (lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"), ["log.csv"]),
        (lambda folder: keras.callbacks.TensorBoard(folder / "logs"), ["logs"]),
        (
            lambda folder: keras.callbacks.ModelCheckpoint(folder / "a.weights.h5", save_weights_only=True),
            ["a.weights.h5"],
        ),
        (lambda folder: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs["val_ndcg@10"]), []),
    ],
)
def test_callbacks_work(make: Any, files: list[str], tmp_path: Path) -> None:
    assert fit(make(tmp_path)).is_fitted
    assert [path.name for path in tmp_path.iterdir()] == files


def test_checkpoints_of_whole_models_are_refused(tmp_path: Path) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"^RetrievalModel: a training model is not saved as a whole; give "):
        fit(checkpoint)
    assert not list(tmp_path.iterdir())


def test_backups_of_keras_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^fit: BackupAndRestore does not restore .*; give backup=FILE instead$"):
        fit(keras.callbacks.BackupAndRestore(tmp_path / "backup"))


@pytest.mark.parametrize("options", [{"warmup": 1}, {"schedule": "cosine"}])
@pytest.mark.parametrize(
    "callback",
    [keras.callbacks.ReduceLROnPlateau("loss"), keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)],
)
def test_two_schedules_are_refused(callback: keras.callbacks.Callback, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^fit: {type(callback).__name__} sets the learning rate, as the options"):
        fit(callback, **options)


@pytest.mark.parametrize(
    "options", [{"loss": "mse"}, {"metrics": ["mae"]}, {"loss_weights": [1.0]}, {"weighted_metrics": ["mae"]}]
)
def test_losses_and_metrics_of_compile_are_refused(options: dict[str, Any]) -> None:
    index = keras.Input((), dtype="int32")
    tower = keras.Model(index, keras.layers.Embedding(4, 2)(index))
    candidates = keras.Input((2,), dtype="int32", name="candidates")
    ranker = keras.Model({"candidates": candidates}, keras.layers.Embedding(4, 1)(candidates)[..., 0])
    models = [
        RetrievalModel(tower, tower, Retrieval(), negatives.in_batch(np.array([0, 1, 1, 1]))),
        RankingModel(ranker, RankingTask()),
    ]
    for model in models:
        name = f"^{type(model).__name__}: the tasks have the losses and metrics; leave out {next(iter(options))}$"
        with pytest.raises(InputError, match=name):
            model.compile("adam", **options)
        with pytest.raises(InputError, match=r"leave out loss$"):
            model.compile("adam", "mse")
        model.compile("adam", jit_compile=False)
