"""Layers that read user features, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.layers.users import FeatureMean, SegmentPopularity, StoredFeatures

STORED = np.array([[0, 0], [1, 4], [0, 0], [2, 0]], np.int32)
"""Features of the unknown user, and of users with two, no and one feature."""
FEATURES, DIM, ITEMS = 5, 3, 4
FEATURE_ROWS = np.array([[1, 3], [0, 0], [0, 5], [2, 2]], np.int32)


def test_passed_features_replace_stored_ones() -> None:
    users = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3], np.int32)
    passed = np.array([[0, 0]] * 4 + [[3, 5], [3, 0], [0, 3], [5, 3], [0, 1]], np.int32)
    outputs = StoredFeatures.from_table(STORED)(users, passed).numpy()
    expected = np.where(passed.any(axis=1, keepdims=True), passed, STORED[users])
    np.testing.assert_array_equal(outputs, expected)
    assert outputs[5].tolist() == [3, 0]  # passed features replace all stored ones
    assert outputs.dtype == np.int32
    assert StoredFeatures.from_table(STORED)(users[:0], passed[:0]).shape == (0, 2)


def test_stored_features_are_not_trainable() -> None:
    layer = StoredFeatures.from_table(STORED)
    assert layer.trainable_weights == []
    assert (layer.user_count, layer.columns) == (3, 2)


@pytest.mark.parametrize("layer", [StoredFeatures.from_table(STORED), SegmentPopularity(2, FEATURES, ITEMS)])
def test_weights_have_dtypes_with_gpu_variables(layer: keras.layers.Layer) -> None:
    """TensorFlow has no int32 variables on a GPU, and a compiled core needs all of its variables on one device."""
    assert {weight.dtype for weight in layer.weights} <= {"int64", "float32"}


def test_feature_mean() -> None:
    layer = FeatureMean(FEATURES, DIM)
    vectors = layer.vectors.numpy()
    expected = [vectors[[1, 3]].mean(axis=0), np.zeros(DIM), vectors[5], vectors[2]]
    np.testing.assert_allclose(layer(FEATURE_ROWS), expected, rtol=1e-6)
    assert np.abs(vectors[0]).min() > 0  # a contribution of the padding would be visible


def test_feature_mean_has_a_dense_gradient() -> None:
    """Adam squares the slices of a sparse gradient one by one, which would make a step sqrt(users) times as large."""
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
"""Interactions of all users and of the users of two segments; the last item has none."""


def test_segment_popularity() -> None:
    layer = SegmentPopularity.from_counts(COUNTS, np.array([2, 4], np.int32), FEATURES)
    overall = np.log1p(COUNTS[0])
    first, second = (np.log1p(COUNTS[row] + 1000 * COUNTS[0] / 100) for row in (1, 2))
    expected = {
        (0, 0): overall,
        (2, 0): first,
        (0, 2): first,
        (1, 2): first,
        (4, 5): second,
        (4, 0): second,
        (4, 2): second,
        (1, 3): overall,
        (5, 0): overall,
    }
    outputs = layer(np.array(list(expected), np.int32)).numpy()
    np.testing.assert_allclose(outputs, list(expected.values()), rtol=1e-6)
    assert outputs.dtype == np.float32
    assert np.argsort(-outputs[1], kind="stable")[:2].tolist() == [1, 2]
    np.testing.assert_allclose(layer(np.array([[0], [4]], np.int32)), [overall, second], rtol=1e-6)


def test_small_segments_are_smoothed() -> None:
    def order(times: int) -> list[int]:
        counts = np.stack([COUNTS[0] * 100, times * np.array([0, 0, 0, 1, 2])])
        scores = SegmentPopularity.from_counts(counts, np.array([1], np.int32), 1)(np.array([[1]], np.int32))
        return (np.argsort(-scores.numpy()[0, 1:], kind="stable") + 1).tolist()

    assert [order(times) for times in (0, 10, 150, 1000)] == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 1, 2]]


def test_segments_without_interactions() -> None:
    layer = SegmentPopularity.from_counts(np.zeros((2, ITEMS + 1)), np.array([3]), FEATURES)
    np.testing.assert_array_equal(layer(np.array([[3], [0]])), np.zeros((2, ITEMS + 1)))
