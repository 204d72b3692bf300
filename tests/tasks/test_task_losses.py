"""Tasks at the positions of a batch, each against its definition."""

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
"""Items 1 to 3 in the first scenario, 3 to 6 in the second."""
WHERE = np.array([1, 1, 2, 2, 2], np.int32)
NEXT = np.array([1, 3, 3, 4, 6], np.int32)
BEHIND = np.array([[0, 0], [1, 0], [5, 4], [3, 0], [4, 6]], np.int32)


@pytest.fixture
def candidates():
    """Items are rows of a table, and so are their biases."""
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


def at(**labels):
    users = tf.range(1, 6)
    told = {name: tf.constant(values, tf.float32) for name, values in labels.items()}
    return Examples(tf.constant(NEXT), users, tf.constant(WHERE), tf.constant(BEHIND), told)


def cross_entropy(scores, own):
    return np.log(np.exp(scores).sum()) - scores[own]


def test_next_items_of_the_scenario(candidates):
    """Others of the scenario are negatives, but for what is behind; the mean is over all positions."""
    softmaxes = [NextItemLoss(NextItemTask(), candidates, item_counts=own) for own in MEMBERS]
    expected = []
    for vector, item, where, behind in zip(VECTORS, NEXT, WHERE, BEHIND, strict=True):
        asked = [one for one in np.flatnonzero(MEMBERS[where - 1]) if one == item or one not in behind]
        expected.append(cross_entropy(TABLE[asked] @ (2 * vector) + BIAS[asked], asked.index(item)))
    found = NextItemTaskLoss(softmaxes, head())(tf.constant(VECTORS), at(), training=True)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_scenario_without_a_position_loses_nothing(candidates):
    softmaxes = [NextItemLoss(NextItemTask(), candidates, item_counts=own) for own in MEMBERS]
    softmaxes.append(None)  # a third one, without an item
    rows = WHERE == 2
    part = NextItemTaskLoss(softmaxes, head())
    there = Examples(*(tf.constant(one[rows]) for one in (NEXT, WHERE, WHERE, BEHIND)), {})
    with tf.GradientTape() as tape:
        vectors = tf.Variable(VECTORS[rows])
        loss = part(vectors, there, training=True)
    alone = softmaxes[1](2 * vectors, tf.constant(NEXT[rows]), tf.constant(BEHIND[rows]))
    assert float(loss) == pytest.approx(float(alone), rel=1e-6)
    assert np.isfinite(tape.gradient(loss, vectors)).all()


def test_retrieval_in_the_scenario(candidates):
    """Targets of the batch that came in the same scenario, corrected for their frequency."""
    counts = np.array([0, 4, 2, 1, 1, 1, 1])
    part = RetrievalTaskLoss(Retrieval(), head(), candidates, negatives.in_batch(counts), max_positions=99, seed=1)
    shift = np.log(counts / counts.sum(), where=counts > 0, out=np.zeros(7))
    expected = []
    for number, (vector, item, where) in enumerate(zip(VECTORS, NEXT, WHERE, strict=True)):
        others = [NEXT[one] for one in range(5) if one != number and WHERE[one] == where and NEXT[one] != item]
        asked = np.array([item, *others])
        expected.append(cross_entropy(TABLE[asked] @ (2 * vector) - shift[asked], 0))
    for training in (True, False):
        found = part(tf.constant(VECTORS), at(), training)
        assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_retrieval_asks_some_positions(candidates):
    part = RetrievalTaskLoss(Retrieval(), head(), candidates, negatives.in_batch(np.ones(7)), max_positions=2, seed=1)
    one_item = Examples(tf.constant([1] * 5), *(tf.ones(5, tf.int32) for _ in range(2)), tf.constant(BEHIND), {})
    assert float(part(tf.constant(VECTORS), one_item, training=True)) == 0, "its own target is all there is"
    losses = {float(part(tf.constant(VECTORS), at(), training=True)) for _ in range(6)}
    assert len(losses) == 1, "a number as the seed draws the same in every step"


def pair_head():
    inputs = {side: keras.Input((DIM,), name=side) for side in ("query", "candidate")}
    inputs |= {side: keras.Input((), dtype="int32", name=side) for side in ("user", "item")}
    said = keras.ops.sum(inputs["query"] * inputs["candidate"], axis=-1)
    return keras.Model(inputs, said + keras.ops.cast(inputs["user"] * 10 + inputs["item"], "float32"))


def test_ratings_where_they_are_told(candidates):
    told = np.array([3.0, np.nan, 1.0, np.nan, 5.0], np.float32)
    part = PairTaskLoss("rating", RankingTask("rating"), pair_head(), candidates)
    said = (VECTORS * TABLE[NEXT]).sum(axis=1) + np.arange(1, 6) * 10 + NEXT
    found = part(tf.constant(VECTORS), at(rating=told), training=True)
    assert float(found) == pytest.approx(np.nanmean((said - told) ** 2), rel=1e-5)


def test_no_rating_at_all_is_no_loss(candidates):
    part = PairTaskLoss("rating", RankingTask("rating"), pair_head(), candidates)
    with tf.GradientTape() as tape:
        vectors = tf.Variable(VECTORS)
        loss = part(vectors, at(rating=[np.nan] * 5), training=True)
    assert float(loss) == 0
    assert not tf.convert_to_tensor(tape.gradient(loss, vectors)).numpy().any()


def test_labels_one_by_one():
    labels, vectors = RANDOM.integers(0, 2, size=(5, DIM)).astype(np.float32), tf.constant(VECTORS)
    query = keras.Input((DIM,), name="query")
    of_labels = keras.Model({"query": query}, query * 2.0)
    found = InterestsTaskLoss(RankingTask("pointwise"), of_labels)(vectors, at(interests=labels), training=True)
    chances = 1 / (1 + np.exp(-2 * VECTORS))
    expected = -np.mean(labels * np.log(chances) + (1 - labels) * np.log(1 - chances))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_labels_of_what_comes_next():
    labels = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    following = tf.constant([[1, 2, 3, 0], [3, 3, 0, 0]])
    places = tf.where(following > 0)
    found = interest_labels(following, places, labels, 2).numpy()
    assert found.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_what_is_behind_a_position():
    history = tf.constant([[4, 5, 6], [7, 0, 0]])
    found = items_up_to(history, tf.constant([[0, 1], [1, 0], [0, 2]], tf.int64))
    assert found.numpy().tolist() == [[4, 5, 0], [7, 0, 0], [4, 5, 6]]
