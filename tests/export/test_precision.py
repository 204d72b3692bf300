"""Exports in bfloat16: size, outputs close to float32 in the C++ runtime, and an unchanged recommender."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from precision_checks import REQUEST, as_tensors, assert_unchanged, snapshot, stored_specs
from small_data import ITEMS

from tfllmrec.errors import InputError
from tfllmrec.export import Servable, export, refresh
from tfllmrec.export.card import signatures_of
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.saved_model import meta_graph, nodes_of
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.models.baselines.popularity import Popularity
from tfllmrec.models.registry import model_class

REQUESTS: dict[str, dict[str, Any]] = {
    "retrieve": REQUEST,
    "next_items": {name: REQUEST[name] for name in ("history", "exclude_item_ids")},
    "recommend": REQUEST,
    "rank": {"user_id": ["用户3"], "history": [[""]], "candidate_item_ids": [ITEMS]},
    "rank_texts": {"history_texts": [["a film", "item 1"]], "candidate_texts": [["Title of item2", "", "film 3", "x"]]},
    "embed_query": {name: REQUEST[name] for name in ("user_id", "history")},
    "embed_items": {"item_ids": [*ITEMS, "未知"]},
    "similar_items": {"item_id": ["item1", "未知"], "exclude_item_ids": [["item2"], [""]]},
}
"""Inputs by signature, for every family that has the signature."""
WITH_BERT = {"bert_ranker", "cross_encoder"}


@dataclass
class Exported:
    """A recommender, its snapshot from before the bfloat16 export, and its exports by precision."""

    recommender: Any
    before: dict[str, Any]
    float32: Path
    bfloat16: Path


@pytest.fixture(
    scope="module",
    params=[
        "two_tower",
        "bert_ranker",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("next_item", "cross_encoder")),
    ],
)
def exported(request, exports, small_is_large, tmp_path_factory):
    fitted = exports[request.param]
    before, folder = snapshot(fitted.recommender), tmp_path_factory.mktemp("bfloat16") / fitted.path.parent.name
    in_bfloat16 = export(fitted.recommender, folder, precision="bfloat16")
    return Exported(fitted.recommender, before, fitted.path, in_bfloat16)


def typed_operations(path):
    """Return the (operation, dtype) pairs of all nodes of a SavedModel that have a dtype."""
    nodes = [*nodes_of(meta_graph(path).graph_def)]
    types = {(node.op, node.attr[name].type) for node in nodes for name in ("T", "Tparams") if name in node.attr}
    return {(operation, tf.as_dtype(number)) for operation, number in types if number}


# ---- outputs


def test_every_signature_runs_in_the_cpp_runtime(runtime, exported):
    assert set(runtime.check(exported.bfloat16).values()) == {"ok"}


def test_outputs_are_close_to_python(runtime, exported):
    python = Servable(exported.recommender).signatures()
    for name in REQUESTS.keys() & python.keys():
        outputs = runtime.run(exported.bfloat16, name, **REQUESTS[name])
        expected = {key: tensor.numpy() for key, tensor in python[name](**as_tensors(REQUESTS[name])).items()}
        assert outputs.keys() == expected.keys()
        for key, values in outputs.items():
            assert (values.shape, values.dtype) == (expected[key].shape, expected[key].dtype), (name, key)
        if "item_ids" not in outputs:
            for key, values in outputs.items():
                np.testing.assert_allclose(values, expected[key], rtol=0.02, atol=0.02, err_msg=f"{name} {key}")
            assert any((values != expected[key]).any() for key, values in outputs.items()), name
            continue
        for row, items in enumerate(outputs["item_ids"]):
            actual = dict(zip(items, outputs["scores"][row], strict=True))
            exact = dict(zip(map(bytes.decode, expected["item_ids"][row]), expected["scores"][row], strict=True))
            common = [item for item in actual if item and item in exact]
            assert len(common) >= sum(map(bool, exact)) - 1  # the last item may differ
            scores = [[scores[item] for item in common] for scores in (actual, exact)]
            np.testing.assert_allclose(*scores, rtol=0.02, atol=0.02, err_msg=name)


@pytest.mark.parametrize("exported", ["two_tower", "next_item", "bert_ranker"], indirect=True)
def test_item_vectors_are_rounded_to_bfloat16(runtime, exported):
    embeddings = runtime.run(exported.bfloat16, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors = tf.gather(exported.recommender.index.vectors, exported.recommender.fitted_data.items.lookup(ITEMS))
    np.testing.assert_array_equal(embeddings, tf.cast(tf.cast(vectors, tf.bfloat16), tf.float32))


def test_only_bert_computes_in_bfloat16(exported):
    float32, bfloat16 = typed_operations(exported.float32), typed_operations(exported.bfloat16)
    products = {op for op, dtype in bfloat16 if dtype == tf.bfloat16} & {"Einsum", "MatMul", "BatchMatMulV2"}
    assert bool(products) == (exported.recommender.family in WITH_BERT)
    assert ("GatherV2", tf.bfloat16) in bfloat16  # gathered rows are cast, not whole tables
    assert not [op for op, dtype in float32 if dtype == tf.bfloat16]


def test_item_to_item_scores_use_the_rounded_matrix():
    """Check scores of a batch with an empty history, and of a batch with empty histories only."""
    matrix, counts = np.random.default_rng(0).normal(size=(80, 80)).astype(np.float32), np.arange(80.0)
    product = DenseItemToItem(79)
    product.matrix.assign(matrix)
    model = item_to_item_model(product, counts, 3, decay=0.5)
    weights = StoredWeights([model], "bfloat16")
    rounded = tf.cast(tf.cast(matrix, tf.bfloat16), tf.float32).numpy()
    histories = np.array([[3, 7, 0], [7, 0, 0], [0, 0, 0]], np.int32)
    for batch in (histories, histories[2:]):
        with weights.in_use():
            scores = model({"user": np.zeros(len(batch), np.int32), "history": batch})
        expected = np.stack([0.5 * rounded[3] + rounded[7], rounded[7], np.log1p(counts)])[-len(batch) :]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


# ---- stored weights


def test_large_matrices_are_stored_in_half_the_size(exported, small_is_large):
    float32, bfloat16 = stored_specs(exported.float32), stored_specs(exported.bfloat16)
    shapes = [sorted(shape for _, shape in specs.values()) for specs in (float32, bfloat16)]
    assert shapes[0] == shapes[1]  # no weight is stored in both precisions
    assert tf.bfloat16 not in {dtype for dtype, _ in float32.values()}
    rounded = [shape for dtype, shape in bfloat16.values() if dtype == tf.bfloat16]
    assert rounded
    assert min(len(shape) for shape in rounded) == 2
    assert min(map(np.prod, rounded)) >= small_is_large
    matrices = [shape for dtype, shape in bfloat16.values() if dtype == tf.float32 and len(shape) > 1]
    unrounded = sorted(shape for shape in matrices if np.prod(shape) >= small_is_large)
    assert unrounded == ([(6, 24), (8, 24)] if exported.recommender.family == "next_item" else [])  # the LSTM's
    sizes = [
        sum(file.stat().st_size for file in path.glob("variables/*")) for path in (exported.float32, exported.bfloat16)
    ]
    assert sizes[0] - sizes[1] == pytest.approx(2 * sum(map(np.prod, rounded)), abs=1000)


def test_card_states_the_precision(exported):
    for path, precision in ((exported.float32, "float32"), (exported.bfloat16, "bfloat16")):
        card = (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
        assert f"| precision | {precision} |" in card
        dtypes = {output.dtype for signature in signatures_of(path).values() for output in signature.outputs.values()}
        assert dtypes <= {dtype.as_datatype_enum for dtype in (tf.float32, tf.string, tf.int32)}


# ---- the exported recommender


def test_recommender_is_unchanged(exported):
    assert_unchanged(exported.recommender, exported.before)


def test_failed_export_leaves_no_files_and_no_changes(exported, tmp_path, monkeypatch):
    def fail(servable, *_, **__):
        servable.signatures()["serving_default"].get_concrete_function()
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export(exported.recommender, tmp_path / "models", precision="bfloat16")
    assert list(tmp_path.iterdir()) == []
    assert_unchanged(exported.recommender, exported.before)


@pytest.mark.parametrize("precision", ["float16", "", "BFLOAT16"])
def test_unknown_precision_is_refused(data, tmp_path, precision):
    recommender = Popularity().fit(data)
    message = f"^export: precision is '{precision}', and must be float32, bfloat16, int8$"
    with pytest.raises(InputError, match=message):
        export(recommender, tmp_path / "new", precision=precision)
    assert list(tmp_path.iterdir()) == []


# ---- combinations with other options


@pytest.mark.slow
@pytest.mark.parametrize("exported", ["bert_ranker"], indirect=True)
def test_refresh_keeps_the_precision(runtime, exported, tmp_path):
    shutil.copytree(exported.bfloat16, tmp_path / "1")
    new = pd.DataFrame({"item_id": ["new"], "title": ["Title of item9"]})
    versions = [tmp_path / "1", refresh(exported.recommender, tmp_path, new)]
    assert tf.bfloat16 in {dtype for dtype, _ in stored_specs(versions[1]).values()}
    for name in ("rank", "rank_texts"):
        before, after = (runtime.run(version, name, **REQUESTS[name])["scores"] for version in versions)
        np.testing.assert_array_equal(after, before)


@pytest.mark.slow
def test_cross_encoder_trained_in_bfloat16(runtime, data, quick_ranking, small_is_large, tmp_path):
    """Export a BERT with low-rank adapters in both precisions; it computes in bfloat16 in either."""
    options = {**quick_ranking["cross_encoder"], "precision": "bfloat16", "tuning": "lora"}
    trained = model_class("cross_encoder")(history_length=4, **options).fit(data, verbose=0)
    inputs = REQUESTS["rank_texts"]
    expected = trained.score_texts(inputs["history_texts"], inputs["candidate_texts"])[0]
    for precision in ("float32", "bfloat16"):
        path = export(trained, tmp_path, precision=precision)
        assert (tf.bfloat16 in {dtype for dtype, _ in stored_specs(path).values()}) == (precision == "bfloat16")
        scores = runtime.run(path, "rank_texts", **inputs)["scores"][0]
        np.testing.assert_allclose(scores, expected, rtol=0.02, atol=0.02)
    np.testing.assert_array_equal(trained.score_texts(inputs["history_texts"], inputs["candidate_texts"])[0], expected)
