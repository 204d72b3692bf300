"""The recurrent model of histories: what a position sees, and what both sides share."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.encoders.recurrent import HistoryMeans, history_encoder, query_head
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.models.next_item.network import NextItemNetwork, query_model

ITEMS, DIM, LENGTH, UNITS = 9, 4, 5, 6
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(3, LENGTH, DIM)).astype(np.float32)
HISTORIES = np.array([[1, 2, 3, 4, 5], [7, 7, 6, 0, 0], [8, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)
SHAPES = pytest.mark.parametrize("layers", [1, 2])
KINDS = pytest.mark.parametrize(("cell", "pooling_heads"), [("lstm", 0), ("gru", 0), ("lstm", 2), ("gru", 2)])


def encoder_of(**options: Any) -> keras.Model:
    return history_encoder(**{"dim": DIM, "history_length": LENGTH, "units": UNITS, **options})


def randomise(*parts: keras.Model) -> None:
    """Weights so large that all inputs count."""
    for part in parts:
        for weight in part.trainable_weights:
            weight.assign(RANDOM.normal(size=weight.shape))


def means_in_python(vectors: np.ndarray, age_bias: np.ndarray) -> np.ndarray:
    pooling_heads, (rows, length, dim) = len(age_bias), vectors.shape
    means = np.zeros((rows, length, pooling_heads, dim))
    for row in range(rows):
        for place in range(length):
            for head in range(pooling_heads):
                weights = np.exp([age_bias[head, place - earlier] for earlier in range(place + 1)])
                means[row, place, head] = weights @ vectors[row, : place + 1] / weights.sum()
    return means.reshape(rows, length, pooling_heads * dim)


def test_history_means_start_as_decays_and_follow_their_biases() -> None:
    layer = HistoryMeans(3)
    found = layer(VECTORS)
    decays = np.log([0.6, 0.79, 0.98])[:, None] * np.arange(LENGTH)
    np.testing.assert_allclose(layer.age_bias, decays, rtol=1e-6)
    np.testing.assert_allclose(found, means_in_python(VECTORS, decays), rtol=1e-5, atol=1e-6)
    biases = RANDOM.normal(size=(3, LENGTH))
    layer.age_bias.assign(biases)
    np.testing.assert_allclose(layer(VECTORS), means_in_python(VECTORS, biases), rtol=1e-5, atol=1e-6)
    assert [weight.name for weight in layer.trainable_weights] == ["age_bias"]


def test_item_bias() -> None:
    layer = ItemBias(ITEMS)
    np.testing.assert_array_equal(layer(HISTORIES), np.zeros(HISTORIES.shape))
    layer.bias.assign(np.arange(10) / 4)
    np.testing.assert_array_equal(layer(HISTORIES), HISTORIES / 4)
    assert layer.trainable_weights == [layer.bias]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(HISTORIES))
    gradient = tape.gradient(loss, layer.bias)
    assert isinstance(gradient, tf.Tensor)  # summed up, not listed
    np.testing.assert_array_equal(gradient, np.bincount(HISTORIES.ravel(), minlength=ITEMS + 1))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16_in_recurrent_layers_alone(cell: str) -> None:
    exact, rounded = (encoder_of(cell=cell, pooling_heads=2, precision=name) for name in ("float32", "bfloat16"))
    randomise(exact)
    rounded.set_weights(exact.get_weights())
    states = rounded(VECTORS)
    assert states.dtype == "float32"
    recurrent = slice(None, UNITS)
    np.testing.assert_array_equal(states[..., UNITS:], exact(VECTORS)[..., UNITS:])
    np.testing.assert_allclose(states[..., recurrent], exact(VECTORS)[..., recurrent], atol=0.1)
    assert np.abs(states - exact(VECTORS)).max() > 1e-4


@SHAPES
@KINDS
def test_a_state_knows_all_that_came_and_nothing_that_comes(cell: str, pooling_heads: int, layers: int) -> None:
    encoder = encoder_of(cell=cell, pooling_heads=pooling_heads, layers=layers, normalise=layers == 2)
    randomise(encoder)
    states = encoder(VECTORS).numpy()
    assert states.shape == (3, LENGTH, UNITS + pooling_heads * DIM)
    for place in range(LENGTH):
        changed = VECTORS.copy()
        changed[:, place] += RANDOM.normal(size=DIM)
        moved = np.abs(encoder(changed).numpy() - states).max(axis=(0, 2))
        assert (moved[:place] == 0).all()
        assert (moved[place:] > 1e-6).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_the_encoder_is_made_of(cell: str) -> None:
    encoder = encoder_of(cell=cell, layers=3, pooling_heads=2, normalise=True)
    randomise(encoder)
    norm, first, second, third = (
        encoder.get_layer(name) for name in ("normalised", f"{cell}_1", f"{cell}_2", f"{cell}_3")
    )
    assert isinstance(first, {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell])
    normal = (VECTORS - VECTORS.mean(axis=2, keepdims=True)) / np.sqrt(VECTORS.var(axis=2, keepdims=True) + 1e-3)
    vectors = (normal * norm.gamma.numpy() + norm.beta.numpy()).astype(np.float32)
    state = first(vectors)
    state = state + second(state)
    state = state + third(state)
    means = means_in_python(vectors, encoder.get_layer("means").age_bias.numpy())
    np.testing.assert_allclose(encoder(VECTORS), np.concatenate([state, means], axis=2), rtol=1e-3, atol=1e-4)
    plain = encoder_of(cell=cell)
    np.testing.assert_allclose(plain(VECTORS), plain.get_layer(f"{cell}_1")(VECTORS), rtol=1e-5, atol=1e-6)


def test_where_the_encoder_drops() -> None:
    """Items on their way into the network and in the means, and what each recurrent layer says."""
    encoder = encoder_of(layers=2, pooling_heads=2, input_dropout=0.1, dropout=0.3)
    rates = {}
    for part in encoder.layers:
        if isinstance(part, keras.layers.Dropout):
            rates[part._inbound_nodes[0].parent_nodes[0].operation.name] = part.rate
    assert rates == {"items": 0.1, "means": 0.1, "lstm_1": 0.3, "lstm_2": 0.3}


def normalised(query: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    spread = np.sqrt(query.var(axis=1, keepdims=True) + 1e-3)
    return (query - query.mean(axis=1, keepdims=True)) / spread * layer.gamma.numpy() + layer.beta.numpy()


@pytest.mark.parametrize(("width", "hidden_units"), [(DIM, 0), (UNITS, 0), (DIM, 7), (UNITS, 7)])
def test_the_head(width: int, hidden_units: int) -> None:
    head = query_head(width, DIM, hidden_units=hidden_units, dropout=0.3, query_dropout=0.1)
    randomise(head)
    dense = {part.name: part for part in head.layers if isinstance(part, keras.layers.Dense)}
    states = query = RANDOM.normal(size=(8, width)).astype(np.float32)
    if hidden_units or width != DIM:
        query = states @ dense["linear"].kernel.numpy() + dense["linear"].bias.numpy()
    if hidden_units:
        inner = np.maximum(states @ dense["hidden_units"].kernel.numpy() + dense["hidden_units"].bias.numpy(), 0)
        query = query + inner @ dense["perceptron"].kernel.numpy()
        assert dense["perceptron"].bias is None
    np.testing.assert_allclose(head(states), normalised(query, head.get_layer("query")), rtol=1e-4, atol=1e-5)
    assert set(dense) == ({"linear"} if hidden_units or width != DIM else set()) | (
        {"hidden_units", "perceptron"} if hidden_units else set()
    )
    rates = [part.rate for part in head.layers if isinstance(part, keras.layers.Dropout)]
    assert rates == ([0.3, 0.1] if hidden_units else [0.1])


@pytest.fixture
def network() -> NextItemNetwork:
    keras.utils.set_random_seed(0)
    tokens = scipy.sparse.csr_array(RANDOM.random((ITEMS + 1, 6)) < 0.5)
    images = RANDOM.normal(size=(ITEMS + 1, 2))
    items = ItemEmbedding.with_content(DIM, tokens=tokens, vectors={"image": images}, name="items")
    encoder = encoder_of(layers=2, pooling_heads=2, normalise=True)
    head = query_head(encoder.output.shape[2], DIM, hidden_units=3)
    network = NextItemNetwork.of(items, encoder, head, ItemBias(ITEMS, name="item_bias"), 0.4)
    randomise(network.queries, network.candidates)
    return network


@pytest.fixture
def sides(network: NextItemNetwork) -> tuple[keras.Model, keras.Model]:
    return network.queries, network.candidates


def test_a_query_is_the_head_of_the_state_after_the_newest_item(sides: tuple[keras.Model, keras.Model]) -> None:
    queries, _ = sides
    vectors = queries.get_layer("items")(HISTORIES)
    states = queries.get_layer("history_encoder")(vectors).numpy()
    last = states[np.arange(4), [4, 2, 0, 0]]
    np.testing.assert_allclose(queries({"history": HISTORIES}), queries.get_layer("query_head")(last), rtol=1e-5)


def test_an_empty_history_has_a_finite_query(sides: tuple[keras.Model, keras.Model]) -> None:
    query = sides[0]({"history": HISTORIES[3:]})
    assert query.shape == (1, DIM)
    assert np.isfinite(query).all()


def test_padding_changes_nothing_whatever_its_vector(sides: tuple[keras.Model, keras.Model]) -> None:
    encoder, head = (sides[0].get_layer(name) for name in ("history_encoder", "query_head"))
    table = keras.layers.Embedding(ITEMS + 1, DIM)
    queries = query_model(table, encoder, head)
    table.embeddings.assign(RANDOM.normal(size=(ITEMS + 1, DIM)))
    before = queries({"history": HISTORIES}).numpy()
    table.embeddings.assign(np.concatenate([np.full((1, DIM), 9.0), table.embeddings[1:]]))
    after = queries({"history": HISTORIES}).numpy()
    np.testing.assert_array_equal(after[:3], before[:3])
    assert not np.allclose(after[3], before[3])  # which is read from the padding alone


def test_more_room_on_the_right_changes_nothing(sides: tuple[keras.Model, keras.Model]) -> None:
    items, encoder, head = (sides[0].get_layer(name) for name in ("items", "history_encoder", "query_head"))
    longer = encoder_of(history_length=8, layers=2, pooling_heads=2, normalise=True)
    for weight, short in zip(longer.weights, encoder.weights, strict=True):
        weight.assign(np.pad(short, [(0, 0), (0, 3)]) if weight.name == "age_bias" else short)
    roomy = query_model(items, longer, head)({"history": np.pad(HISTORIES, [(0, 0), (0, 3)])})
    np.testing.assert_allclose(roomy, sides[0]({"history": HISTORIES}), rtol=1e-4, atol=1e-5)


def test_candidates_drop_out_in_training_alone(sides: tuple[keras.Model, keras.Model]) -> None:
    _, candidates = sides
    asked = np.tile(np.arange(1, 10, dtype=np.int32), 100)
    served, trained = candidates(asked), candidates(asked, training=True)
    vectors = candidates.get_layer("items")(asked).numpy()
    np.testing.assert_array_equal(served["candidate"], vectors)
    np.testing.assert_array_equal(served["bias"], candidates.get_layer("item_bias").bias.numpy()[asked])
    np.testing.assert_array_equal(trained["bias"], served["bias"])
    dropped = trained["candidate"].numpy() == 0
    assert dropped.mean() == pytest.approx(0.4, abs=0.05)
    np.testing.assert_allclose(trained["candidate"][~dropped], vectors[~dropped] / 0.6, rtol=1e-5)


def test_a_loaded_network_has_the_same_sides(network: NextItemNetwork, tmp_path: Path) -> None:
    items, sides = np.array([0, 3, 9, 3], np.int32), (network.queries, network.candidates)
    network.model.save(tmp_path / "model.keras")
    loaded = NextItemNetwork.restore(keras.saving.load_model(tmp_path / "model.keras", safe_mode=True))
    expected = sides[0]({"history": HISTORIES}), sides[1](items)
    for part in (network, loaded):
        model, queries, candidates = part.model, part.queries, part.candidates
        np.testing.assert_array_equal(queries({"history": HISTORIES}), expected[0])
        found = model({"history": HISTORIES, "item": items})
        np.testing.assert_array_equal(found["query"], expected[0])
        for name in ("candidate", "bias"):
            np.testing.assert_array_equal(candidates(items)[name], expected[1][name])
            np.testing.assert_array_equal(found[name], expected[1][name])
    assert {id(weight) for weight in network.model.weights} == {id(weight) for side in sides for weight in side.weights}
    before = queries({"history": HISTORIES}).numpy()
    own = candidates.get_layer("items").own  # of the loaded one: a history is read in the space it is matched in
    own.assign(own + RANDOM.normal(size=own.shape))
    assert not np.allclose(queries({"history": HISTORIES}), before)
