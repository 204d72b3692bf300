"""Losses of lists equal those of TFRS on its own and of NumPy, eagerly and inside Keras 3 `fit`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.ranking import Objective, RankingModel, RankingTask

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(5, 4)).astype(np.float32) * 3
CANDIDATES = np.array([[3, 1, 2, 4], [5, 6, 0, 0], [7, 0, 1, 2], [0, 0, 8, 9], [2, 3, 4, 5]], np.int32)
THERE = CANDIDATES > 0
ANSWERS = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], np.float32)
RATINGS = np.where(THERE, RANDOM.integers(1, 6, CANDIDATES.shape), 0).astype(np.float32)
WEIGHT = np.array([0.5, 2, 0, 1, 3], np.float32)
OBJECTIVES: dict[Objective, np.ndarray] = {"listwise": ANSWERS, "pointwise": ANSWERS, "rating": RATINGS}
objectives = pytest.mark.parametrize("objective", OBJECTIVES)
weights = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["all alike", "weighted"])


def by_numpy(objective: Objective, weight: np.ndarray | None) -> float:
    """The mean over lists, or over the candidates that are there, in float64."""
    scores, labels = SCORES.astype(np.float64), OBJECTIVES[objective]
    of_lists = np.ones(len(scores)) if weight is None else weight
    if objective == "listwise":
        chances = log_softmax(np.where(THERE, scores, -np.inf), axis=1)
        return float(np.mean(-chances[labels == 1] * of_lists))
    if objective == "pointwise":
        losses = -(labels * -np.logaddexp(0, -scores) + (1 - labels) * -np.logaddexp(0, scores))
    else:
        losses = (labels - scores) ** 2
    return float(np.mean((losses * of_lists[:, None])[THERE]))


def by_tfrs(objective: Objective, weight: np.ndarray | None) -> float:
    """TFRS as one uses it without us: built under Keras 2, called eagerly, with what is there and nothing else."""
    losses: dict[str, Any] = {
        "listwise": lambda: tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        "pointwise": lambda: tf.keras.losses.BinaryCrossentropy(from_logits=True),
        "rating": lambda: tf.keras.losses.MeanSquaredError(),
    }
    tfrs, labels = import_tfrs(), OBJECTIVES[objective]
    with legacy_keras():
        task = tfrs.tasks.Ranking(loss=losses[objective]())
    if objective != "listwise":
        of_rows = None if weight is None else np.broadcast_to(weight[:, None], THERE.shape)[THERE]
        return float(task(labels[THERE][:, None], SCORES[THERE][:, None], sample_weight=of_rows))
    rows = zip(labels, SCORES, THERE, strict=True)  # of lists of several lengths, one at a time
    found = [float(task(label[there][None], scores[there][None])) for label, scores, there in rows]
    return float(np.mean(np.array(found) * (1 if weight is None else weight)))


class Told(keras.Model):
    """A ranker whose scores are told by its weights: row by row of the batch."""

    def __init__(self, scores: np.ndarray = SCORES) -> None:
        super().__init__()
        self.scores = self.add_weight(shape=scores.shape, name="scores")
        self.scores.assign(scores)

    def call(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.scores * tf.cast(features["row"] >= 0, tf.float32)[:, None]


def in_fit(objective: Objective, weight: np.ndarray | None, scores: np.ndarray = SCORES) -> tuple[float, np.ndarray]:
    """The loss that one step of Keras 3 `fit` logs, and what the step of size 1 did to the scores."""
    ranker = Told(scores)
    model = RankingModel(ranker, RankingTask(objective))
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    batch = ({"row": np.arange(5), "candidates": CANDIDATES}, OBJECTIVES[objective])
    batches = tf.data.Dataset.from_tensors(batch if weight is None else (*batch, weight))
    [loss] = model.fit(batches, verbose=0).history["loss"]
    return loss, scores - ranker.scores.numpy()


@objectives
@weights
def test_losses_agree(objective: Objective, weight: np.ndarray | None) -> None:
    expected = by_tfrs(objective, weight)
    assert by_numpy(objective, weight) == pytest.approx(expected, rel=1e-5)
    assert in_fit(objective, weight)[0] == pytest.approx(expected, rel=1e-5)


def test_every_objective_is_a_loss_of_its_own() -> None:
    losses = {by_numpy(objective, weight) for objective in OBJECTIVES for weight in (None, WEIGHT)}
    assert len({round(loss, 4) for loss in losses}) == 6


@objectives
def test_empty_places_do_not_count(objective: Objective) -> None:
    """Whatever is scored there, neither the loss nor a gradient knows."""
    loss, step = in_fit(objective, None)
    wild = np.where(THERE, SCORES, 1e6).astype(np.float32)
    other_loss, other_step = in_fit(objective, None, wild)
    assert loss == pytest.approx(other_loss, rel=1e-6)
    np.testing.assert_allclose(step[THERE], other_step[THERE], rtol=1e-3, atol=1e-5)
    assert (step[THERE] != 0).all()
    assert not step[~THERE].any()
    assert not other_step[~THERE].any()


@objectives
def test_a_list_without_weight_teaches_nothing(objective: Objective) -> None:
    step = in_fit(objective, WEIGHT)[1]
    assert not step[2].any()
    assert (step[[0, 1, 3, 4]] != 0).any(axis=1).all()


def test_a_gradient_is_that_of_the_softmax() -> None:
    step = in_fit("listwise", None)[1]
    chances = np.exp(log_softmax(np.where(THERE, SCORES, -np.inf), axis=1))
    np.testing.assert_allclose(step, (chances - ANSWERS) / 5, rtol=1e-3, atol=1e-6)


def test_the_task_alone() -> None:
    one = {"labels": tf.constant([[1.0, 0.0]]), "predictions": tf.constant([[3.0, 3.0]])}
    assert float(RankingTask()(**one)) == pytest.approx(np.log(2))
    rated = {"labels": tf.constant([[4.0], [1.0]]), "predictions": tf.constant([[3.0], [3.0]])}
    assert float(RankingTask("rating")(**rated)) == pytest.approx(2.5)
    clicked = {"labels": tf.constant([[1.0], [0.0]]), "predictions": tf.constant([[0.0], [0.0]])}
    assert float(RankingTask("pointwise")(**clicked)) == pytest.approx(np.log(2))


def test_a_ranker_is_told_whether_it_is_trained() -> None:
    candidates = keras.Input((4,), dtype="int32", name="candidates")
    scores = keras.layers.Dropout(0.5, seed=0)(keras.ops.cast(candidates, "float32"))
    model = RankingModel(keras.Model({"candidates": candidates}, scores), RankingTask())
    asked = {"candidates": CANDIDATES}
    np.testing.assert_array_equal(model(asked, training=False), CANDIDATES)
    dropped = model(asked, training=True).numpy()
    assert {*np.unique(dropped[THERE] / CANDIDATES[THERE])} == {0, 2}


def test_lists_are_learnt() -> None:
    """A score of every item's own that is trained on lists puts the answers first: those with the higher number."""
    candidates = keras.Input((4,), dtype="int32", name="candidates")
    scores = keras.layers.Reshape((4,))(keras.layers.Embedding(10, 1)(candidates))
    model = RankingModel(keras.Model({"candidates": candidates}, scores), RankingTask("listwise"))
    model.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    labels = (CANDIDATES.max(axis=1, keepdims=True) == CANDIDATES).astype(np.float32)
    batches = tf.data.Dataset.from_tensors(({"candidates": CANDIDATES}, labels)).repeat(50)
    losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    found = np.where(THERE, model({"candidates": CANDIDATES}), -np.inf)
    np.testing.assert_array_equal(found.argmax(axis=1), CANDIDATES.argmax(axis=1))
