"""The next-item network: states of histories, and the item vectors that both sides share."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse

from tfllmrec.layers.encoders.recurrent import history_encoder, query_head
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.models.next_item.network import NextItemNetwork, query_model

ITEMS, DIM, LENGTH, UNITS = 9, 4, 5, 6
RANDOM = np.random.default_rng(0)
HISTORIES = np.array([[1, 2, 3, 4, 5], [7, 7, 6, 0, 0], [8, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)


def encoder_of(**options: Any) -> keras.Model:
    return history_encoder(**{"dim": DIM, "history_length": LENGTH, "units": UNITS, **options})


def randomise(*parts: keras.Model) -> None:
    """Assign weights so large that every input has an effect."""
    for part in parts:
        for weight in part.trainable_weights:
            weight.assign(RANDOM.normal(size=weight.shape))


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


def test_a_query_is_computed_from_the_state_after_the_newest_item(sides: tuple[keras.Model, keras.Model]) -> None:
    queries, _ = sides
    vectors = queries.get_layer("items")(HISTORIES)
    states = queries.get_layer("history_encoder")(vectors).numpy()
    last = states[np.arange(4), [4, 2, 0, 0]]
    np.testing.assert_allclose(queries({"history": HISTORIES}), queries.get_layer("query_head")(last), rtol=1e-5)


def test_an_empty_history_has_a_finite_query(sides: tuple[keras.Model, keras.Model]) -> None:
    query = sides[0]({"history": HISTORIES[3:]})
    assert query.shape == (1, DIM)
    assert np.isfinite(query).all()


def test_the_vector_of_padding_has_no_effect(sides: tuple[keras.Model, keras.Model]) -> None:
    encoder, head = (sides[0].get_layer(name) for name in ("history_encoder", "query_head"))
    table = keras.layers.Embedding(ITEMS + 1, DIM)
    queries = query_model(table, encoder, head)
    table.embeddings.assign(RANDOM.normal(size=(ITEMS + 1, DIM)))
    before = queries({"history": HISTORIES}).numpy()
    table.embeddings.assign(np.concatenate([np.full((1, DIM), 9.0), table.embeddings[1:]]))
    after = queries({"history": HISTORIES}).numpy()
    np.testing.assert_array_equal(after[:3], before[:3])
    assert not np.allclose(after[3], before[3])  # an empty history is read from the padding


def test_more_padding_has_no_effect(sides: tuple[keras.Model, keras.Model]) -> None:
    items, encoder, head = (sides[0].get_layer(name) for name in ("items", "history_encoder", "query_head"))
    longer = encoder_of(history_length=8, layers=2, pooling_heads=2, normalise=True)
    for weight, short in zip(longer.weights, encoder.weights, strict=True):
        weight.assign(np.pad(short, [(0, 0), (0, 3)]) if weight.name == "age_bias" else short)
    queries = query_model(items, longer, head)({"history": np.pad(HISTORIES, [(0, 0), (0, 3)])})
    np.testing.assert_allclose(queries, sides[0]({"history": HISTORIES}), rtol=1e-4, atol=1e-5)


def test_candidates_have_dropout_only_in_training(sides: tuple[keras.Model, keras.Model]) -> None:
    _, candidates = sides
    indices = np.tile(np.arange(1, 10, dtype=np.int32), 100)
    served, trained = candidates(indices), candidates(indices, training=True)
    vectors = candidates.get_layer("items")(indices).numpy()
    np.testing.assert_array_equal(served["candidate"], vectors)
    np.testing.assert_array_equal(served["bias"], candidates.get_layer("item_bias").bias.numpy()[indices])
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
        outputs = model({"history": HISTORIES, "item": items})
        np.testing.assert_array_equal(outputs["query"], expected[0])
        for name in ("candidate", "bias"):
            np.testing.assert_array_equal(candidates(items)[name], expected[1][name])
            np.testing.assert_array_equal(outputs[name], expected[1][name])
    assert {id(weight) for weight in network.model.weights} == {id(weight) for side in sides for weight in side.weights}
    before = queries({"history": HISTORIES}).numpy()
    own = candidates.get_layer("items").id_vectors  # histories and candidates share the vectors
    own.assign(own + RANDOM.normal(size=own.shape))
    assert not np.allclose(queries({"history": HISTORIES}), before)
