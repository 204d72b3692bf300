"""The layers that read users' features, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.layers.users import FeatureMean, SegmentPopularity, StoredFeatures

STORED = np.array([[0, 0], [1, 4], [0, 0], [2, 0]], np.int32)
"""Of the unknown user, one who is known well, one of whom nothing is known, one with a single feature."""
FEATURES, DIM, ITEMS = 5, 3, 4
GIVEN = np.array([[1, 3], [0, 0], [0, 5], [2, 2]], np.int32)


def test_given_features_go_before_stored_ones() -> None:
    users = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3], np.int32)
    given = np.array([[0, 0]] * 4 + [[3, 5], [3, 0], [0, 3], [5, 3], [0, 1]], np.int32)
    found = StoredFeatures.from_table(STORED)(users, given).numpy()
    expected = np.where(given.any(axis=1, keepdims=True), given, STORED[users])
    np.testing.assert_array_equal(found, expected)
    assert found[5].tolist() == [3, 0]  # all of what is stored: two halves need not be of one person
    assert found.dtype == np.int32
    assert StoredFeatures.from_table(STORED)(users[:0], given[:0]).shape == (0, 2)


def test_stored_features_are_not_learnt() -> None:
    layer = StoredFeatures.from_table(STORED)
    assert layer.trainable_weights == []
    assert (layer.user_count, layer.columns) == (3, 2)


@pytest.mark.parametrize("layer", [StoredFeatures.from_table(STORED), SegmentPopularity(2, FEATURES, ITEMS)])
def test_indices_can_be_kept_on_a_gpu(layer: keras.layers.Layer) -> None:
    """TensorFlow has no int32 variables there, and a compiled core wants all of its variables in one place."""
    assert {weight.dtype for weight in layer.weights} <= {"int64", "float32"}


def test_the_mean_of_the_vectors_of_known_features() -> None:
    layer = FeatureMean(FEATURES, DIM)
    vectors = layer.vectors.numpy()
    expected = [vectors[[1, 3]].mean(axis=0), np.zeros(DIM), vectors[5], vectors[2]]
    np.testing.assert_allclose(layer(GIVEN), expected, rtol=1e-6)
    assert np.abs(vectors[0]).min() > 0  # so that it would be seen


def test_users_who_share_a_feature_teach_it_one_step() -> None:
    """The gradient is a sum. Adam would square a list of shares one by one, and go sqrt(users) times as far."""
    layer, rate = FeatureMean(FEATURES, DIM), 0.01
    before = layer.vectors.numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[1, 0]] * 100 + [[2, 3]], np.int32)))
    gradients = tape.gradient(loss, layer.trainable_weights)
    expected = np.zeros_like(before)
    expected[[1, 2, 3]] = np.array([100, 0.5, 0.5])[:, None]
    np.testing.assert_allclose(tf.convert_to_tensor(gradients[0]), expected)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(layer.trainable_weights)
    optimizer.apply(gradients)
    np.testing.assert_allclose(before - layer.vectors.numpy(), rate * (expected > 0), atol=1e-6)


COUNTS = np.array([[0, 50, 30, 20, 0], [0, 9, 0, 3, 0], [0, 1, 30, 0, 0]])
"""What everybody had, and what the users of two segments had; the last item nobody."""


def test_popularity_in_a_segment() -> None:
    layer = SegmentPopularity.from_counts(COUNTS, np.array([2, 4], np.int32), FEATURES)
    everybody = np.log1p(COUNTS[0])
    first, second = (np.log1p(COUNTS[row] + 1000 * COUNTS[0] / 100) for row in (1, 2))
    asked = {
        (0, 0): everybody,
        (2, 0): first,
        (0, 2): first,
        (1, 2): first,
        (4, 5): second,
        (4, 0): second,
        (4, 2): second,
        (1, 3): everybody,
        (5, 0): everybody,
    }
    found = layer(np.array(list(asked), np.int32)).numpy()
    np.testing.assert_allclose(found, list(asked.values()), rtol=1e-6)
    assert found.dtype == np.float32
    assert np.argsort(-found[1], kind="stable")[:2].tolist() == [1, 2]
    np.testing.assert_allclose(layer(np.array([[0], [4]], np.int32)), [everybody, second], rtol=1e-6)


def test_a_small_segment_differs_little_and_a_large_one_follows_its_own() -> None:
    def order(times: int) -> list[int]:
        counts = np.stack([COUNTS[0] * 100, times * np.array([0, 0, 0, 1, 2])])
        scores = SegmentPopularity.from_counts(counts, np.array([1], np.int32), 1)(np.array([[1]], np.int32))
        return (np.argsort(-scores.numpy()[0, 1:], kind="stable") + 1).tolist()

    assert [order(times) for times in (0, 10, 150, 1000)] == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 1, 2]]


def test_segments_where_nobody_had_anything() -> None:
    layer = SegmentPopularity.from_counts(np.zeros((2, ITEMS + 1)), np.array([3]), FEATURES)
    np.testing.assert_array_equal(layer(np.array([[3], [0]])), np.zeros((2, ITEMS + 1)))
