"""Item vectors in a byte a number, and what any rounding costs."""

import numpy as np
import pytest
import tensorflow as tf
from rounded import QUESTION, assert_untouched, map_constants, state_of, stored
from small_data import ITEMS

from tfllmrec.data import leave_one_out
from tfllmrec.export import Servable, export
from tfllmrec.export.layer_modes import serving_modes
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.rounding import cost_of_rounding
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.layers.tables import Quantized


@pytest.fixture(scope="module", params=["two_tower", "next_item"])
def in_bytes(request, exports, small_is_large, tmp_path_factory):
    recommender = exports[request.param].recommender
    before, folder = state_of(recommender), tmp_path_factory.mktemp(request.param) / "in_bytes"
    return recommender, before, export(recommender, folder, precision="int8")


def test_item_vectors_in_a_byte(runtime, in_bytes):
    """A number is off by half the row's scale at most, every signature runs, and the recommender is as it was."""
    recommender, before, path = in_bytes
    assert set(runtime.check(path).values()) == {"ok"}
    found = runtime.run(path, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors = recommender.index.vectors.numpy()[recommender.fitted_data.items.lookup(ITEMS)]
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    assert (np.abs(found - vectors) <= 0.5001 * scales).all()
    assert (found != vectors).any()
    kept = stored(path)
    items, dim = recommender.index.vectors.shape
    assert (tf.int8, (items, dim)) in kept.values()
    assert (tf.float32, (items, 1)) in kept.values()
    assert not {(tf.float32, (items, dim)), (tf.bfloat16, (items, dim))} & {*kept.values()}
    assert_untouched(recommender, before)
    assert recommender.index.quantized is None


def test_answers_of_vectors_in_a_byte(runtime, in_bytes):
    recommender, _, path = in_bytes
    python = Servable(recommender).signatures()["retrieve"](**map_constants(QUESTION))
    answer = runtime.run(path, "retrieve", **QUESTION)
    for row, items in enumerate(answer["item_ids"]):
        found = dict(zip(items, answer["scores"][row], strict=True))
        ids, scores = (python[name][row].numpy() for name in ("item_ids", "scores"))
        known = dict(zip(map(bytes.decode, ids), scores, strict=True))
        assert found.keys() == known.keys()
        both = [[side[item] for item in found if item] for side in (found, known)]
        np.testing.assert_allclose(*both, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_what_rounding_costs(two_tower, data, small_is_large, precision):
    """The ndcg of what is stored, which is that of a model whose weights are rounded."""
    recommender, targets = two_tower.recommender, leave_one_out(data).validation
    (told,) = cost_of_rounding(recommender, targets, precision).items()
    before = recommender.evaluate(targets)["ndcg@10"]
    name, said = told
    assert name == f"validation ndcg@10 in {precision}"
    stored, apart = map(float, said.removesuffix(" beside float32").split(", "))
    assert stored - apart == pytest.approx(before, abs=1.1e-4)
    assert recommender.evaluate(targets)["ndcg@10"] == before


def test_rounding_can_be_told_from_none(data, two_tower, small_is_large, monkeypatch):
    """Where next to nothing is left of the vectors it costs something."""
    of = Quantized.from_matrix
    monkeypatch.setattr(
        Quantized, "from_matrix", lambda matrix: of(np.where(np.abs(matrix) < np.abs(matrix).max(), 0, matrix))
    )
    said = cost_of_rounding(two_tower.recommender, leave_one_out(data).validation, "int8")
    assert not next(iter(said.values())).endswith("+0.0000 beside float32")


def test_rows_of_an_item_to_item_matrix_in_a_byte():
    matrix = np.random.default_rng(0).normal(size=(80, 80)).astype(np.float32)
    product = DenseItemToItem(79)
    product.matrix.assign(matrix)
    weights = StoredWeights([item_to_item_model(product, np.arange(80.0), 3)], "int8")
    chosen = np.zeros((2, 80), np.float32)
    chosen[0, [3, 7]] = 1
    with weights.in_use():
        sparse = product(chosen)
        with serving_modes([product], compiled=True):
            dense = product(chosen)
    scales = np.abs(matrix).max(axis=1, keepdims=True) / 127
    rounded = np.rint(matrix / scales) * scales
    for found in (sparse, dense):
        np.testing.assert_allclose(found, np.stack([rounded[3] + rounded[7], np.zeros(80)]), rtol=1e-5, atol=1e-5)
