"""Exports with int8 item vectors, and the measured cost of rounding."""

import numpy as np
import pytest
import tensorflow as tf
from precision_checks import REQUEST, as_tensors, assert_unchanged, snapshot, stored_specs
from small_data import ITEMS

from tfllmrec.data import leave_one_out
from tfllmrec.export import Servable, export
from tfllmrec.export.layer_modes import serving_modes
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.rounding import cost_of_rounding
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.layers.tables import Quantized


@pytest.fixture(scope="module", params=["two_tower", "next_item"])
def int8_export(request, exports, small_is_large, tmp_path_factory):
    """A recommender, its snapshot from before the export, and the path of the export."""
    recommender = exports[request.param].recommender
    before, folder = snapshot(recommender), tmp_path_factory.mktemp(request.param) / "int8"
    return recommender, before, export(recommender, folder, precision="int8")


def test_item_vectors_are_stored_as_int8(runtime, int8_export):
    """Check that every signature runs, errors are at most half a scale, and the recommender is unchanged."""
    recommender, before, path = int8_export
    assert set(runtime.check(path).values()) == {"ok"}
    embeddings = runtime.run(path, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors = recommender.index.vectors.numpy()[recommender.fitted_data.items.lookup(ITEMS)]
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    assert (np.abs(embeddings - vectors) <= 0.5001 * scales).all()
    assert (embeddings != vectors).any()
    specs = {*stored_specs(path).values()}
    items, dim = recommender.index.vectors.shape
    assert (tf.int8, (items, dim)) in specs
    assert (tf.float32, (items, 1)) in specs
    assert not {(tf.float32, (items, dim)), (tf.bfloat16, (items, dim))} & specs
    assert_unchanged(recommender, before)
    assert recommender.index.quantized is None


def test_results_are_close_to_python(runtime, int8_export):
    recommender, _, path = int8_export
    python = Servable(recommender).signatures()["retrieve"](**as_tensors(REQUEST))
    outputs = runtime.run(path, "retrieve", **REQUEST)
    for row, items in enumerate(outputs["item_ids"]):
        actual = dict(zip(items, outputs["scores"][row], strict=True))
        ids, scores = (python[name][row].numpy() for name in ("item_ids", "scores"))
        expected = dict(zip(map(bytes.decode, ids), scores, strict=True))
        assert actual.keys() == expected.keys()
        pairs = [[scores[item] for item in actual if item] for scores in (actual, expected)]
        np.testing.assert_allclose(*pairs, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_cost_of_rounding_is_the_change_in_ndcg(two_tower, data, small_is_large, precision):
    """Check that the rounded ndcg minus its change is the ndcg of the unrounded recommender."""
    recommender, targets = two_tower.recommender, leave_one_out(data).validation
    ((name, value),) = cost_of_rounding(recommender, targets, precision).items()
    before = recommender.evaluate(targets)["ndcg@10"]
    assert name == f"validation ndcg@10 in {precision}"
    rounded, change = map(float, value.removesuffix(" vs. float32").split(", "))
    assert rounded - change == pytest.approx(before, abs=1.1e-4)
    assert recommender.evaluate(targets)["ndcg@10"] == before


def test_coarse_rounding_has_a_measurable_cost(data, two_tower, small_is_large, monkeypatch):
    """Quantize vectors after setting all elements but the largest to zero."""
    from_matrix = Quantized.from_matrix
    monkeypatch.setattr(
        Quantized,
        "from_matrix",
        lambda matrix: from_matrix(np.where(np.abs(matrix) < np.abs(matrix).max(), 0, matrix)),
    )
    costs = cost_of_rounding(two_tower.recommender, leave_one_out(data).validation, "int8")
    assert not next(iter(costs.values())).endswith("+0.0000 vs. float32")


def test_item_to_item_scores_use_the_int8_matrix():
    matrix = np.random.default_rng(0).normal(size=(80, 80)).astype(np.float32)
    product = DenseItemToItem(79)
    product.matrix.assign(matrix)
    weights = StoredWeights([item_to_item_model(product, np.arange(80.0), 3)], "int8")
    item_weights = np.zeros((2, 80), np.float32)
    item_weights[0, [3, 7]] = 1
    with weights.in_use():
        sparse = product(item_weights)
        with serving_modes([product], compiled=True):
            dense = product(item_weights)
    scales = np.abs(matrix).max(axis=1, keepdims=True) / 127
    rounded = np.rint(matrix / scales) * scales
    for scores in (sparse, dense):
        np.testing.assert_allclose(scores, np.stack([rounded[3] + rounded[7], np.zeros(80)]), rtol=1e-5, atol=1e-5)
