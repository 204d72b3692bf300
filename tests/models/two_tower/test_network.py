"""The towers: pooled histories, and the item vectors that both towers share."""

import keras
import numpy as np
import pytest
import scipy.sparse

from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.layers.users import StoredFeatures
from tfllmrec.models.two_tower.network import (
    HistoryPooling,
    TwoTowerNetwork,
    query_encoder,
    query_tower,
)

ITEMS, DIM, LENGTH = 6, 4, 5
TOKENS = scipy.sparse.csr_array(np.array([[0, 0], [1, 1], [1, 0], [0, 0], [0, 1], [1, 1], [0, 0]], np.float32))
RANDOM = np.random.default_rng(0)


@pytest.fixture
def network() -> TwoTowerNetwork:
    keras.utils.set_random_seed(0)
    items = ItemEmbedding.with_content(DIM, tokens=TOKENS, name="items")
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=3, recent_items=2, pooling_heads=2, hidden_units=8
    )
    return TwoTowerNetwork.of(encoder, items)


@pytest.fixture
def towers(network: TwoTowerNetwork) -> tuple[keras.Model, keras.Model]:
    return network.query_tower, network.candidate_tower


def inputs_of(users: list[int], histories: list[list[int]]) -> dict[str, np.ndarray]:
    padded = [row + [0] * (LENGTH - len(row)) for row in histories]
    return {"user": np.array(users, np.int32), "history": np.array(padded, np.int32)}


def pooled(pooling: HistoryPooling, items: np.ndarray, lengths: list[int], newest: np.ndarray) -> np.ndarray:
    present = np.arange(LENGTH) < np.array(lengths)[:, None]
    return pooling(items * present[..., None], present, newest).numpy()


@pytest.fixture
def pooling() -> HistoryPooling:
    layer = HistoryPooling(2)
    layer.build((None, LENGTH, DIM), (None, LENGTH), (None, 3))
    return layer


def test_pooling_starts_as_decayed_means(pooling: HistoryPooling) -> None:
    items = RANDOM.normal(size=(2, LENGTH, DIM)).astype(np.float32)
    pooling.query.kernel.assign(np.zeros((3, 2 * DIM)))
    outputs = pooled(pooling, items, [5, 3], np.ones((2, 3), np.float32))
    for row, length in enumerate([5, 3]):
        for head, decay in enumerate([0.6, 0.98]):
            weights = decay ** np.arange(length) / (decay ** np.arange(length)).sum()
            expected = weights @ items[row, :length]
            np.testing.assert_allclose(outputs[row, head * DIM : (head + 1) * DIM], expected, rtol=1e-5, atol=1e-6)


def test_pooling_weights_follow_the_newest_items(pooling: HistoryPooling) -> None:
    items = RANDOM.normal(size=(1, LENGTH, DIM)).astype(np.float32)
    newest = RANDOM.normal(size=(1, 3)).astype(np.float32)
    queries = (newest @ pooling.query.kernel.numpy()).reshape(2, DIM)
    fit = queries @ items[0].T / np.sqrt(DIM) + pooling.age_bias.numpy()
    weights = np.exp(fit) / np.exp(fit).sum(axis=1, keepdims=True)
    outputs = pooled(pooling, items, [LENGTH], newest)
    np.testing.assert_allclose(outputs[0], (weights @ items[0]).ravel(), rtol=1e-4, atol=1e-6)


def test_empty_histories_are_pooled_to_zeros(pooling: HistoryPooling) -> None:
    items = RANDOM.normal(size=(2, LENGTH, DIM)).astype(np.float32)
    outputs = pooled(pooling, items, [0, 1], np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(outputs[0], np.zeros(2 * DIM))
    np.testing.assert_allclose(outputs[1], np.tile(items[1, 0], 2), rtol=1e-5)


def test_queries_are_finite_without_a_history_and_for_unknown_users(towers: tuple[keras.Model, keras.Model]) -> None:
    queries = towers[0](inputs_of([0, 0, 2], [[], [3], []]))
    assert np.isfinite(queries).all()
    assert queries.shape == (3, DIM)


def test_a_query_depends_on_the_user_and_on_the_order_of_the_history(towers: tuple[keras.Model, keras.Model]) -> None:
    inputs = inputs_of([1, 2, 1, 1], [[1, 2, 3], [1, 2, 3], [1, 3, 2], [4, 2, 3]])
    queries = np.array(towers[0](inputs))
    assert len(np.unique(queries.round(5), axis=0)) == 4


def test_rows_are_independent(towers: tuple[keras.Model, keras.Model]) -> None:
    inputs = inputs_of([1, 2, 0], [[1, 2], [], [3]])
    together = towers[0](inputs)
    for row in range(3):
        alone = towers[0]({name: column[row : row + 1] for name, column in inputs.items()})
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-6)


def test_a_restored_network_shares_its_weights(network: TwoTowerNetwork) -> None:
    both, towers = network.model, (network.query_tower, network.candidate_tower)
    inputs, items = inputs_of([1, 0], [[1, 2], [3]]), np.array([5, 1, 0], np.int32)
    restored = TwoTowerNetwork.restore(both)
    queries, candidates = restored.query_tower, restored.candidate_tower
    outputs = both({**inputs, "item": np.array([5, 1], np.int32)})
    np.testing.assert_array_equal(queries(inputs), towers[0](inputs))
    np.testing.assert_array_equal(queries(inputs), outputs["query"])
    np.testing.assert_array_equal(candidates(items), towers[1](items))
    assert {id(weight) for weight in both.weights} == {id(weight) for part in towers for weight in part.weights}
    [items_layer] = [layer for layer in candidates.layers if isinstance(layer, ItemEmbedding)]
    before = np.array(queries(inputs))
    items_layer.id_vectors.assign(items_layer.id_vectors + RANDOM.normal(size=(ITEMS + 1, DIM)))
    assert not np.allclose(towers[0](inputs), before)  # histories and candidates share the vectors
    np.testing.assert_array_equal(queries(inputs), towers[0](inputs))


def test_a_query_depends_on_stored_or_request_features() -> None:
    items, stored = ItemEmbedding(ITEMS, DIM), StoredFeatures.from_table(np.array([[0, 0], [1, 4], [0, 0], [2, 0]]))
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=None, features=(4, 2), pooling_heads=1, hidden_units=4
    )
    tower = query_tower(encoder, items, stored)
    features = np.array([[0, 0], [1, 4], [4, 1], [0, 0], [0, 0], [2, 0], [0, 2], [0, 0], [3, 0]], np.int32)
    inputs = inputs_of([1, 0, 0, 3, 2, 0, 3, 0, 3], [[1, 2]] * 9) | {"user_features": features}
    queries = np.array(tower(inputs))
    same = [[0, 1, 2], [3, 5, 6], [4, 7], [8]]
    for rows in same:
        np.testing.assert_allclose(queries[rows], queries[rows[:1]].repeat(len(rows), axis=0), rtol=1e-4, atol=1e-6)
    assert len(np.unique(queries.round(4), axis=0)) == len(same)
    network = TwoTowerNetwork.of(encoder, items, stored)
    assert set(network.model.input) == {"user", "history", "user_features", "item"}
    np.testing.assert_array_equal(network.query_tower(inputs), queries)


def test_recent_items_may_exceed_the_history_length() -> None:
    items = ItemEmbedding(ITEMS, DIM)
    encoder = query_encoder(dim=DIM, history_length=2, user_count=None, recent_items=3, pooling_heads=1, hidden_units=4)
    history = np.array([[1, 2], [3, 0]], np.int32)
    queries = query_tower(encoder, items)({"user": np.zeros(2, np.int32), "history": history})
    assert queries.shape == (2, DIM)


def test_without_user_vectors_the_user_has_no_effect() -> None:
    items = ItemEmbedding(ITEMS, DIM)
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=None, recent_items=1, pooling_heads=1, hidden_units=4
    )
    queries = query_tower(encoder, items)(inputs_of([0, 99], [[1, 2]] * 2))
    np.testing.assert_array_equal(queries[0], queries[1])
