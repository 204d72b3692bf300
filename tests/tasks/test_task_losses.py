"""Losses of single tasks at the positions of a batch, against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.tasks import negatives
from tfllmrec.tasks.next_item import NextItemTask, items_up_to
from tfllmrec.tasks.next_item_loss import NextItemLoss
from tfllmrec.tasks.ranking import RankingTask
from tfllmrec.tasks.retrieval import Retrieval
from tfllmrec.tasks.task_losses import (
    Examples,
    InterestsTaskLoss,
    NextItemTaskLoss,
    PairTaskLoss,
    RetrievalTaskLoss,
    interest_labels,
)

RANDOM = np.random.default_rng(0)
DIM, ITEMS = 4, 6
TABLE = RANDOM.normal(size=(ITEMS + 1, DIM)).astype(np.float32)
BIAS = RANDOM.normal(size=ITEMS + 1).astype(np.float32)
VECTORS = RANDOM.normal(size=(5, DIM)).astype(np.float32)
MEMBERS = np.array([[0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]])
"""Items 1 to 3 are in the first scenario, 3 to 6 in the second."""
SCENARIOS = np.array([1, 1, 2, 2, 2], np.int32)
NEXT = np.array([1, 3, 3, 4, 6], np.int32)
SEEN = np.array([[0, 0], [1, 0], [5, 4], [3, 0], [4, 6]], np.int32)


@pytest.fixture
def candidates():
    """Candidate model with the vectors and biases above."""
    item = keras.Input((), dtype="int32")
    rows = keras.layers.Embedding(ITEMS + 1, DIM)
    biases = keras.layers.Embedding(ITEMS + 1, 1)
    model = keras.Model(item, {"candidate": rows(item), "bias": keras.ops.squeeze(biases(item), axis=-1)})
    rows.embeddings.assign(TABLE)
    biases.embeddings.assign(BIAS[:, None])
    return model


def head():
    vector = keras.Input((DIM,))
    return keras.Model(vector, vector * 2.0)


def examples(**labels):
    users = tf.range(1, 6)
    tensors = {name: tf.constant(values, tf.float32) for name, values in labels.items()}
    return Examples(tf.constant(NEXT), users, tf.constant(SCENARIOS), tf.constant(SEEN), tensors)


def cross_entropy(scores, own):
    return np.log(np.exp(scores).sum()) - scores[own]


def test_next_item_loss_by_scenario(candidates):
    """Negatives are the other items of the scenario without seen ones; the mean is over all positions."""
    softmaxes = [NextItemLoss(NextItemTask(), candidates, item_counts=own) for own in MEMBERS]
    expected = []
    for vector, item, scenario, seen in zip(VECTORS, NEXT, SCENARIOS, SEEN, strict=True):
        visible = [other for other in np.flatnonzero(MEMBERS[scenario - 1]) if other == item or other not in seen]
        expected.append(cross_entropy(TABLE[visible] @ (2 * vector) + BIAS[visible], visible.index(item)))
    result = NextItemTaskLoss(softmaxes, head())(tf.constant(VECTORS), examples(), training=True)
    assert float(result) == pytest.approx(np.mean(expected), rel=1e-5)


def test_scenario_without_positions_does_not_contribute(candidates):
    softmaxes = [NextItemLoss(NextItemTask(), candidates, item_counts=own) for own in MEMBERS]
    softmaxes.append(None)  # a third scenario, without items
    rows = SCENARIOS == 2
    part = NextItemTaskLoss(softmaxes, head())
    in_second = Examples(*(tf.constant(column[rows]) for column in (NEXT, SCENARIOS, SCENARIOS, SEEN)), {})
    with tf.GradientTape() as tape:
        vectors = tf.Variable(VECTORS[rows])
        loss = part(vectors, in_second, training=True)
    expected_loss = softmaxes[1](2 * vectors, tf.constant(NEXT[rows]), tf.constant(SEEN[rows]))
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-6)
    assert np.isfinite(tape.gradient(loss, vectors)).all()


def test_retrieval_loss_by_scenario(candidates):
    """Negatives are the batch's targets of the same scenario, corrected for their frequency."""
    counts = np.array([0, 4, 2, 1, 1, 1, 1])
    part = RetrievalTaskLoss(Retrieval(), head(), candidates, negatives.in_batch(counts), max_positions=99, seed=1)
    shift = np.log(counts / counts.sum(), where=counts > 0, out=np.zeros(7))
    expected = []
    for number, (vector, item, scenario) in enumerate(zip(VECTORS, NEXT, SCENARIOS, strict=True)):
        others = [NEXT[row] for row in range(5) if row != number and SCENARIOS[row] == scenario and NEXT[row] != item]
        visible = np.array([item, *others])
        expected.append(cross_entropy(TABLE[visible] @ (2 * vector) - shift[visible], 0))
    for training in (True, False):
        result = part(tf.constant(VECTORS), examples(), training)
        assert float(result) == pytest.approx(np.mean(expected), rel=1e-5)


def test_retrieval_samples_positions(candidates):
    part = RetrievalTaskLoss(Retrieval(), head(), candidates, negatives.in_batch(np.ones(7)), max_positions=2, seed=1)
    one_item = Examples(tf.constant([1] * 5), *(tf.ones(5, tf.int32) for _ in range(2)), tf.constant(SEEN), {})
    assert float(part(tf.constant(VECTORS), one_item, training=True)) == 0, "there are no negatives"
    losses = {float(part(tf.constant(VECTORS), examples(), training=True)) for _ in range(6)}
    assert len(losses) == 1, "an integer seed gives the same draw in every step"


def pair_head():
    inputs = {side: keras.Input((DIM,), name=side) for side in ("query", "candidate")}
    inputs |= {side: keras.Input((), dtype="int32", name=side) for side in ("user", "item")}
    product = keras.ops.sum(inputs["query"] * inputs["candidate"], axis=-1)
    return keras.Model(inputs, product + keras.ops.cast(inputs["user"] * 10 + inputs["item"], "float32"))


def test_rating_loss_ignores_missing_ratings(candidates):
    ratings = np.array([3.0, np.nan, 1.0, np.nan, 5.0], np.float32)
    part = PairTaskLoss("rating", RankingTask("rating"), pair_head(), candidates)
    predicted = (VECTORS * TABLE[NEXT]).sum(axis=1) + np.arange(1, 6) * 10 + NEXT
    result = part(tf.constant(VECTORS), examples(rating=ratings), training=True)
    assert float(result) == pytest.approx(np.nanmean((predicted - ratings) ** 2), rel=1e-5)


def test_batch_without_ratings_has_zero_loss(candidates):
    part = PairTaskLoss("rating", RankingTask("rating"), pair_head(), candidates)
    with tf.GradientTape() as tape:
        vectors = tf.Variable(VECTORS)
        loss = part(vectors, examples(rating=[np.nan] * 5), training=True)
    assert float(loss) == 0
    assert not tf.convert_to_tensor(tape.gradient(loss, vectors)).numpy().any()


def test_interests_loss():
    labels, vectors = RANDOM.integers(0, 2, size=(5, DIM)).astype(np.float32), tf.constant(VECTORS)
    query = keras.Input((DIM,), name="query")
    label_model = keras.Model({"query": query}, query * 2.0)
    result = InterestsTaskLoss(RankingTask("pointwise"), label_model)(
        vectors, examples(interests=labels), training=True
    )
    probabilities = 1 / (1 + np.exp(-2 * VECTORS))
    expected = -np.mean(labels * np.log(probabilities) + (1 - labels) * np.log(1 - probabilities))
    assert float(result) == pytest.approx(expected, rel=1e-5)


def test_interest_labels():
    labels = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    following = tf.constant([[1, 2, 3, 0], [3, 3, 0, 0]])
    positions = tf.where(following > 0)
    result = interest_labels(following, positions, labels, 2).numpy()
    assert result.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_items_up_to():
    history = tf.constant([[4, 5, 6], [7, 0, 0]])
    result = items_up_to(history, tf.constant([[0, 1], [1, 0], [0, 2]], tf.int64))
    assert result.numpy().tolist() == [[4, 5, 0], [7, 0, 0], [4, 5, 6]]
