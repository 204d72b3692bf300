"""Layers that score every item, against NumPy."""

import keras
import numpy as np
import pytest
import scipy.sparse

from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.item_to_item import DenseItemToItem, SparseItemToItem, item_to_item_model
from tfllmrec.layers.scoring import FallbackIfEmpty, PopularityScores

ITEMS = 5
RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(ITEMS + 1, ITEMS + 1)) * (RANDOM.random((ITEMS + 1, ITEMS + 1)) < 0.4)
MATRIX[3] = 0
"""An item without successors."""
COUNTS = np.array([0, 3, 0, 9, 1, 1])


def dense(matrix: np.ndarray) -> DenseItemToItem:
    layer = DenseItemToItem(len(matrix) - 1)
    layer.matrix.assign(matrix)
    return layer


def sparse(matrix: np.ndarray) -> SparseItemToItem:
    return SparseItemToItem.from_matrix(scipy.sparse.csr_array(matrix))


PRODUCTS = pytest.mark.parametrize("product", [dense, sparse])


@PRODUCTS
@pytest.mark.parametrize("weights", [[[0, 1, 0, 0.5, 0, 2], [0, 0, 0, 1, 0, 0]], [[0] * 6], [[0.1] * 6] * 3])
def test_item_to_item_is_a_matrix_product(product: object, weights: list[list[float]]) -> None:
    weights = np.array(weights, np.float32)
    np.testing.assert_allclose(product(MATRIX)(weights), weights @ MATRIX, atol=1e-6)


@PRODUCTS
def test_item_to_item_with_zeros(product: object) -> None:
    layer = product(np.zeros((ITEMS + 1, ITEMS + 1)))
    np.testing.assert_array_equal(layer(np.ones((2, ITEMS + 1), np.float32)), np.zeros((2, ITEMS + 1)))


def test_popularity_is_the_same_for_all_users() -> None:
    layer = PopularityScores(ITEMS).set_counts(COUNTS)
    scores = layer(np.array([[1, 2], [0, 0]], np.int32))
    np.testing.assert_allclose(scores, [np.log1p(COUNTS)] * 2, rtol=1e-6)


def test_fallback_if_empty() -> None:
    scores, fallback = np.full((3, 3), 1.0, np.float32), np.full((3, 3), 2.0, np.float32)
    outputs = FallbackIfEmpty()(scores, fallback, np.array([[0, 0], [4, 0], [4, 5]], np.int32))
    np.testing.assert_array_equal(outputs, [[2] * 3, [1] * 3, [1] * 3])


def test_item_index() -> None:
    index = ItemIndex(ITEMS, 3)
    assert index.biases is None
    assert len(index.weights) == 1
    vectors = RANDOM.normal(size=(ITEMS + 1, 3)).astype(np.float32)
    index.vectors.assign(vectors)
    np.testing.assert_array_equal(index(np.array([[1, 0], [5, 1]])), vectors[[[1, 0], [5, 1]]])
    query = keras.Input([3])
    scorer = keras.Model(query, index.scores(query))
    queries = RANDOM.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(scorer(queries), queries @ vectors.T, rtol=1e-5, atol=1e-6)
    index.vectors.assign(-vectors)  # the scorer reads the current vectors
    np.testing.assert_allclose(scorer(queries), -queries @ vectors.T, rtol=1e-5, atol=1e-6)


def test_item_index_with_biases() -> None:
    index = ItemIndex(ITEMS, 3, biased=True)
    assert index.trainable_weights == []
    vectors, biases = RANDOM.normal(size=(ITEMS + 1, 3)).astype(np.float32), np.arange(6, dtype=np.float32)
    index.vectors.assign(vectors)
    np.testing.assert_array_equal(index(np.array([2, 0])), vectors[[2, 0]])
    query = keras.Input([3])
    scorer = keras.Model(query, index.scores(query))
    queries = RANDOM.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(scorer(queries), queries @ vectors.T, rtol=1e-5, atol=1e-6)
    index.biases.assign(biases)  # and the current biases
    np.testing.assert_allclose(scorer(queries), queries @ vectors.T + biases, rtol=1e-5, atol=1e-6)


@PRODUCTS
def test_item_to_item_model(product: object) -> None:
    model = item_to_item_model(product(MATRIX), COUNTS, 4, decay=0.5, recent_items=2, popularity_weight=0.01)
    histories = np.array([[1, 2, 5, 0], [4, 4, 0, 0], [0, 0, 0, 0]], np.int32)
    popularity = np.log1p(COUNTS)
    expected = [
        MATRIX[5] + 0.5 * MATRIX[2] + 0.01 * popularity,
        MATRIX[4] + 0.01 * popularity,
        popularity,
    ]
    scores = model({"user": np.array([1, 0, 7], np.int32), "history": histories})
    np.testing.assert_allclose(scores, expected, atol=1e-6)
