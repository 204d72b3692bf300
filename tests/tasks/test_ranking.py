"""List losses equal TFRS and NumPy, eagerly and inside Keras 3 `fit`."""

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
PRESENT = CANDIDATES > 0
LABELS = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], np.float32)
RATINGS = np.where(PRESENT, RANDOM.integers(1, 6, CANDIDATES.shape), 0).astype(np.float32)
WEIGHT = np.array([0.5, 2, 0, 1, 3], np.float32)
OBJECTIVES: dict[Objective, np.ndarray] = {"listwise": LABELS, "pointwise": LABELS, "rating": RATINGS}
objectives = pytest.mark.parametrize("objective", OBJECTIVES)
weights = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])


def by_numpy(objective: Objective, weight: np.ndarray | None) -> float:
    """The mean over lists, or over all candidates but the padding, in float64."""
    scores, labels = SCORES.astype(np.float64), OBJECTIVES[objective]
    list_weights = np.ones(len(scores)) if weight is None else weight
    if objective == "listwise":
        log_probabilities = log_softmax(np.where(PRESENT, scores, -np.inf), axis=1)
        return float(np.mean(-log_probabilities[labels == 1] * list_weights))
    if objective == "pointwise":
        losses = -(labels * -np.logaddexp(0, -scores) + (1 - labels) * -np.logaddexp(0, scores))
    else:
        losses = (labels - scores) ** 2
    return float(np.mean((losses * list_weights[:, None])[PRESENT]))


def by_tfrs(objective: Objective, weight: np.ndarray | None) -> float:
    """The value of TFRS' own task, built under Keras 2 and called eagerly without the padding."""
    losses: dict[str, Any] = {
        "listwise": lambda: tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        "pointwise": lambda: tf.keras.losses.BinaryCrossentropy(from_logits=True),
        "rating": lambda: tf.keras.losses.MeanSquaredError(),
    }
    tfrs, labels = import_tfrs(), OBJECTIVES[objective]
    with legacy_keras():
        task = tfrs.tasks.Ranking(loss=losses[objective]())
    if objective != "listwise":
        candidate_weights = None if weight is None else np.broadcast_to(weight[:, None], PRESENT.shape)[PRESENT]
        return float(task(labels[PRESENT][:, None], SCORES[PRESENT][:, None], sample_weight=candidate_weights))
    rows = zip(labels, SCORES, PRESENT, strict=True)  # one by one, because their lengths differ
    values = [float(task(label[kept][None], scores[kept][None])) for label, scores, kept in rows]
    return float(np.mean(np.array(values) * (1 if weight is None else weight)))


class ScoreTable(keras.Model):
    """Ranker that returns its weights as scores, one row per row of the batch."""

    def __init__(self, scores: np.ndarray = SCORES) -> None:
        super().__init__()
        self.scores = self.add_weight(shape=scores.shape, name="scores")
        self.scores.assign(scores)

    def call(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.scores * tf.cast(features["row"] >= 0, tf.float32)[:, None]


def in_fit(objective: Objective, weight: np.ndarray | None, scores: np.ndarray = SCORES) -> tuple[float, np.ndarray]:
    """Return the loss that one step of Keras 3 `fit` logs, and the gradient of the scores."""
    ranker = ScoreTable(scores)
    model = RankingModel(ranker, RankingTask(objective))
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    batch = ({"row": np.arange(5), "candidates": CANDIDATES}, OBJECTIVES[objective])
    batches = tf.data.Dataset.from_tensors(batch if weight is None else (*batch, weight))
    [loss] = model.fit(batches, verbose=0).history["loss"]
    return loss, scores - ranker.scores.numpy()


@objectives
@weights
def test_losses_equal_tfrs(objective: Objective, weight: np.ndarray | None) -> None:
    expected = by_tfrs(objective, weight)
    assert by_numpy(objective, weight) == pytest.approx(expected, rel=1e-5)
    assert in_fit(objective, weight)[0] == pytest.approx(expected, rel=1e-5)


def test_cases_have_different_losses() -> None:
    losses = {by_numpy(objective, weight) for objective in OBJECTIVES for weight in (None, WEIGHT)}
    assert len({round(loss, 4) for loss in losses}) == 6


@objectives
def test_padding_does_not_contribute(objective: Objective) -> None:
    """Scores of the padding change neither the loss nor the gradients."""
    loss, step = in_fit(objective, None)
    changed = np.where(PRESENT, SCORES, 1e6).astype(np.float32)
    other_loss, other_step = in_fit(objective, None, changed)
    assert loss == pytest.approx(other_loss, rel=1e-6)
    np.testing.assert_allclose(step[PRESENT], other_step[PRESENT], rtol=1e-3, atol=1e-5)
    assert (step[PRESENT] != 0).all()
    assert not step[~PRESENT].any()
    assert not other_step[~PRESENT].any()


@objectives
def test_zero_weight_has_no_gradient(objective: Objective) -> None:
    step = in_fit(objective, WEIGHT)[1]
    assert not step[2].any()
    assert (step[[0, 1, 3, 4]] != 0).any(axis=1).all()


def test_listwise_gradient() -> None:
    step = in_fit("listwise", None)[1]
    probabilities = np.exp(log_softmax(np.where(PRESENT, SCORES, -np.inf), axis=1))
    np.testing.assert_allclose(step, (probabilities - LABELS) / 5, rtol=1e-3, atol=1e-6)


def test_task_values() -> None:
    listwise = {"labels": tf.constant([[1.0, 0.0]]), "predictions": tf.constant([[3.0, 3.0]])}
    assert float(RankingTask()(**listwise)) == pytest.approx(np.log(2))
    rated = {"labels": tf.constant([[4.0], [1.0]]), "predictions": tf.constant([[3.0], [3.0]])}
    assert float(RankingTask("rating")(**rated)) == pytest.approx(2.5)
    clicked = {"labels": tf.constant([[1.0], [0.0]]), "predictions": tf.constant([[0.0], [0.0]])}
    assert float(RankingTask("pointwise")(**clicked)) == pytest.approx(np.log(2))


def test_training_flag_reaches_the_ranker() -> None:
    candidates = keras.Input((4,), dtype="int32", name="candidates")
    scores = keras.layers.Dropout(0.5, seed=0)(keras.ops.cast(candidates, "float32"))
    model = RankingModel(keras.Model({"candidates": candidates}, scores), RankingTask())
    features = {"candidates": CANDIDATES}
    np.testing.assert_array_equal(model(features, training=False), CANDIDATES)
    dropped = model(features, training=True).numpy()
    assert {*np.unique(dropped[PRESENT] / CANDIDATES[PRESENT])} == {0, 2}


def test_fit_learns_to_rank() -> None:
    """Scores per item, trained on lists, rank the relevant candidate first: the one with the highest index."""
    candidates = keras.Input((4,), dtype="int32", name="candidates")
    scores = keras.layers.Reshape((4,))(keras.layers.Embedding(10, 1)(candidates))
    model = RankingModel(keras.Model({"candidates": candidates}, scores), RankingTask("listwise"))
    model.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    labels = (CANDIDATES.max(axis=1, keepdims=True) == CANDIDATES).astype(np.float32)
    batches = tf.data.Dataset.from_tensors(({"candidates": CANDIDATES}, labels)).repeat(50)
    losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    outputs = np.where(PRESENT, model({"candidates": CANDIDATES}), -np.inf)
    np.testing.assert_array_equal(outputs.argmax(axis=1), CANDIDATES.argmax(axis=1))
