"""Metrics of TFRS tasks in the logs of Keras 3 `fit` and `evaluate`; tasks other than `Retrieval`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.tasks.negatives import Candidates
from tfllmrec.tasks.retrieval import RetrievalModel
from tfllmrec.tasks.task import Task

COUNT, BATCH = 8, 4
ITEMS = np.arange(1, COUNT + 1, dtype=np.int32)
NEIGHBOURS = ITEMS.reshape(-1, BATCH)[:, ::-1].ravel()
"""Every query matches the target of another query of its batch."""


def identity_tower(width: int) -> keras.Model:
    """Tower of one-hot vectors, so that matches are known."""
    index = keras.Input((), dtype="int32")
    return keras.Model(index, keras.layers.CategoryEncoding(width, "one_hot")(index[:, None]))


@pytest.fixture
def retrieval() -> RetrievalModel:
    task = Task(
        lambda tfrs: tfrs.tasks.Retrieval(
            batch_metrics=[tf.keras.metrics.TopKCategoricalAccuracy(1, name="top_1")],
            loss_metrics=[tf.keras.metrics.Sum(name="loss_sum")],
        ),
        per_example=True,
    )
    towers = identity_tower(COUNT + 1), identity_tower(COUNT + 1)
    model = RetrievalModel(*towers, task, Candidates)
    model.compile("sgd", jit_compile=False)
    return model


def batches(users: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((users, ITEMS)).batch(BATCH)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_metrics_are_logged_and_reset_every_epoch(retrieval: RetrievalModel) -> None:
    right, wrong = batches(ITEMS), batches(NEIGHBOURS)
    logs = retrieval.fit(right, epochs=3, validation_data=wrong, verbose=0).history
    loss = np.log(1 + (BATCH - 1) / np.e)
    assert logs["loss"] == pytest.approx([loss] * 3, rel=1e-5)
    assert logs["loss_sum"] == pytest.approx([loss * COUNT] * 3, rel=1e-5)
    assert logs["top_1"] == [1, 1, 1]
    assert logs["val_top_1"] == [0, 0, 0]
    assert logs["val_loss_sum"][0] == pytest.approx(logs["val_loss_sum"][2])


def test_evaluate_returns_the_metrics(retrieval: RetrievalModel) -> None:
    half = np.where(ITEMS > BATCH, ITEMS, NEIGHBOURS)
    for _ in range(2):
        logs = retrieval.evaluate(batches(half), return_dict=True, verbose=0)
        assert logs["top_1"] == 0.5
        assert set(logs) == {"loss", "top_1", "loss_sum"}


def test_sample_weights_reach_the_loss(retrieval: RetrievalModel) -> None:
    weights = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.float32)
    weighted = tf.data.Dataset.from_tensor_slices((ITEMS, ITEMS, weights)).batch(BATCH)
    loss = np.log(1 + (BATCH - 1) / np.e)
    assert retrieval.evaluate(weighted, return_dict=True, verbose=0)["loss"] == pytest.approx(loss / 2, rel=1e-5)


def test_tower_losses_are_added(retrieval: RetrievalModel) -> None:
    index = keras.Input((), dtype="int32")
    vectors = keras.layers.Embedding(
        COUNT + 1, 2, embeddings_initializer="ones", embeddings_regularizer=keras.regularizers.L2(0.5)
    )
    tower = keras.Model(index, vectors(index))
    model = RetrievalModel(tower, tower, Task(lambda tfrs: tfrs.tasks.Retrieval(), per_example=True), Candidates)
    model.compile("sgd", jit_compile=False)
    logs = model.evaluate(batches(ITEMS), return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(np.log(BATCH) + 0.5 * 2 * (COUNT + 1), rel=1e-5)


def test_ranking_task_is_not_divided_by_the_batch_size() -> None:
    class Ranker(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1, kernel_initializer="ones")
            self.task = Task(
                lambda tfrs: tfrs.tasks.Ranking(
                    loss=tf.keras.losses.MeanSquaredError(),
                    metrics=[tf.keras.metrics.RootMeanSquaredError("rmse")],
                )
            )

        @property
        def metrics(self) -> list[keras.metrics.Metric]:
            return super().metrics + self.task.metrics

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return self.dense(x)

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> tf.Tensor:
            return self.task(labels=y, predictions=y_pred)

    model = Ranker()
    model.compile(keras.optimizers.SGD(0.0))
    x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [2.0], [3.0], [0.0]])
    logs = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    assert logs["loss"] == [4, 4]
    assert logs["rmse"] == [2, 2]
