"""Fusion of several modalities into one content vector: missing modalities, dropout and the gate."""

import keras
import numpy as np
import pytest

from tfllmrec.layers.fusion import ModalityGate, fusion

DIM = 4
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.normal(size=(5, 3)).astype(np.float32)
TEXT = RANDOM.normal(size=(5, 6)).astype(np.float32)
IMAGE[[1, 3]] = 0
TEXT[[2, 3]] = 0
INPUTS = {"image": IMAGE, "text": TEXT}


def built(**options: float) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = fusion({"image": 3, "text": 6}, DIM, **options)
    for weight in model.trainable_weights:
        weight.assign(RANDOM.normal(size=weight.shape))
    return model


def normalised(model: keras.Model, name: str) -> np.ndarray:
    """Return a projected and normalised modality, in NumPy."""
    vectors = INPUTS[name] / np.maximum(np.linalg.norm(INPUTS[name], axis=1, keepdims=True), 1e-12)
    kernel, bias = (weight.numpy() for weight in model.get_layer(f"{name}_projection").weights)
    gamma, beta = (weight.numpy() for weight in model.get_layer(f"{name}_normalised").weights)
    out = vectors @ kernel + bias
    return (out - out.mean(axis=1, keepdims=True)) / np.sqrt(out.var(axis=1, keepdims=True) + 1e-6) * gamma + beta


def test_fusion_is_a_gated_mean_of_available_modalities() -> None:
    model = built()
    kernel, bias = (weight.numpy() for weight in model.get_layer("gate").weights)
    present = np.stack([IMAGE.any(axis=1), TEXT.any(axis=1)], axis=1)
    parts = np.stack([normalised(model, "image"), normalised(model, "text")], axis=1) * present[:, :, None]
    odds = np.exp(parts.reshape(5, -1) @ kernel + bias) * present
    weights = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-12)
    assert 0.02 < weights[0, 0] < 0.98  # the gate is not trivial
    np.testing.assert_allclose(model(INPUTS), (weights[:, :, None] * parts).sum(axis=1), rtol=1e-3, atol=1e-4)


def test_no_modality_gives_zeros_and_one_modality_is_not_weighted() -> None:
    model = built()
    outputs = model(INPUTS).numpy()
    np.testing.assert_array_equal(outputs[3], np.zeros(DIM))
    np.testing.assert_allclose(outputs[1], normalised(model, "text")[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs[2], normalised(model, "image")[2], rtol=1e-3, atol=1e-4)


def test_length_of_the_inputs_is_ignored() -> None:
    model = built()
    longer = {"image": 100 * IMAGE, "text": 0.01 * TEXT}
    np.testing.assert_allclose(model(longer), model(INPUTS), rtol=1e-4, atol=1e-5)


def test_modality_dropout_drops_modalities_independently() -> None:
    model = built(modality_dropout=0.4)
    both, image, text = (
        model({**INPUTS, **without}).numpy()[0] for without in ({}, {"text": 0 * TEXT}, {"image": 0 * IMAGE})
    )
    cases = {"both": both, "image": image, "text": text, "none": np.zeros(DIM)}
    seen = dict.fromkeys(cases, 0)
    for _ in range(300):
        drawn = model(INPUTS, training=True).numpy()[0]
        seen[min(cases, key=lambda name: np.abs(cases[name] - drawn).max())] += 1
    expected = {"both": 0.36, "image": 0.24, "text": 0.24, "none": 0.16}
    assert {name: count / 300 for name, count in seen.items()} == pytest.approx(expected, abs=0.08)
    np.testing.assert_array_equal(model(INPUTS, training=False), model(INPUTS))


def test_initial_weights_average_the_modalities() -> None:
    model = fusion({"image": 300, "text": 600}, 64, std=0.05)
    inputs = {"image": RANDOM.normal(size=(50, 300)), "text": RANDOM.normal(size=(50, 600))}
    parts = [model.get_layer(f"{name}_normalised").output for name in inputs]
    image, text = keras.Model(model.input, parts)(inputs)
    assert np.std(image) == pytest.approx(0.05, rel=0.05)
    np.testing.assert_allclose(model(inputs), (image + text) / 2, rtol=1e-4, atol=1e-6)


def test_gate_config() -> None:
    gate = ModalityGate.from_config(ModalityGate(0.3, seed=5).get_config())
    assert (gate.dropout, gate.seed) == (0.3, 5)
