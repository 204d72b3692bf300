"""Recurrent encoder and query head against NumPy."""

from typing import Any

import keras
import numpy as np
import pytest

from tfllmrec.layers.encoders.recurrent import HistoryMeans, history_encoder, query_head

DIM, LENGTH, UNITS = 4, 5, 6
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(3, LENGTH, DIM)).astype(np.float32)


def encoder_of(**options: Any) -> keras.Model:
    return history_encoder(**{"dim": DIM, "history_length": LENGTH, "units": UNITS, **options})


def randomise(*parts: keras.Model) -> None:
    """Assign weights so large that every input matters."""
    for part in parts:
        for weight in part.trainable_weights:
            weight.assign(RANDOM.normal(size=weight.shape))


def means_by_numpy(vectors: np.ndarray, age_bias: np.ndarray) -> np.ndarray:
    pooling_heads, (rows, length, dim) = len(age_bias), vectors.shape
    means = np.zeros((rows, length, pooling_heads, dim))
    for row in range(rows):
        for position in range(length):
            for head in range(pooling_heads):
                weights = np.exp([age_bias[head, position - earlier] for earlier in range(position + 1)])
                means[row, position, head] = weights @ vectors[row, : position + 1] / weights.sum()
    return means.reshape(rows, length, pooling_heads * dim)


def test_history_means_equal_numpy() -> None:
    layer = HistoryMeans(3)
    start = layer(VECTORS)
    decays = np.log([0.6, 0.79, 0.98])[:, None] * np.arange(LENGTH)
    np.testing.assert_allclose(layer.age_bias, decays, rtol=1e-6)
    np.testing.assert_allclose(start, means_by_numpy(VECTORS, decays), rtol=1e-5, atol=1e-6)
    biases = RANDOM.normal(size=(3, LENGTH))
    layer.age_bias.assign(biases)
    np.testing.assert_allclose(layer(VECTORS), means_by_numpy(VECTORS, biases), rtol=1e-5, atol=1e-6)
    assert [weight.name for weight in layer.trainable_weights] == ["age_bias"]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16_applies_to_recurrent_layers_only(cell: str) -> None:
    exact, rounded = (encoder_of(cell=cell, pooling_heads=2, precision=name) for name in ("float32", "bfloat16"))
    randomise(exact)
    rounded.set_weights(exact.get_weights())
    states = rounded(VECTORS)
    assert states.dtype == "float32"
    recurrent = slice(None, UNITS)
    np.testing.assert_array_equal(states[..., UNITS:], exact(VECTORS)[..., UNITS:])
    np.testing.assert_allclose(states[..., recurrent], exact(VECTORS)[..., recurrent], atol=0.1)
    assert np.abs(states - exact(VECTORS)).max() > 1e-4


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "pooling_heads"), [("lstm", 0), ("gru", 0), ("lstm", 2), ("gru", 2)])
def test_a_state_depends_on_earlier_positions_only(cell: str, pooling_heads: int, layers: int) -> None:
    encoder = encoder_of(cell=cell, pooling_heads=pooling_heads, layers=layers, normalise=layers == 2)
    randomise(encoder)
    states = encoder(VECTORS).numpy()
    assert states.shape == (3, LENGTH, UNITS + pooling_heads * DIM)
    for position in range(LENGTH):
        changed = VECTORS.copy()
        changed[:, position] += RANDOM.normal(size=DIM)
        moved = np.abs(encoder(changed).numpy() - states).max(axis=(0, 2))
        assert (moved[:position] == 0).all()
        assert (moved[position:] > 1e-6).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_encoder_equals_its_layers(cell: str) -> None:
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
    means = means_by_numpy(vectors, encoder.get_layer("means").age_bias.numpy())
    np.testing.assert_allclose(encoder(VECTORS), np.concatenate([state, means], axis=2), rtol=1e-3, atol=1e-4)
    plain = encoder_of(cell=cell)
    np.testing.assert_allclose(plain(VECTORS), plain.get_layer(f"{cell}_1")(VECTORS), rtol=1e-5, atol=1e-6)


def test_encoder_dropout_rates() -> None:
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
def test_query_head_equals_numpy(width: int, hidden_units: int) -> None:
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
