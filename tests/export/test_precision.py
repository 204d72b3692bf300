"""Exports in bfloat16: smaller, near float32's answers in the C++ runtime, the recommender as it was."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from rounded import QUESTION, assert_untouched, map_constants, state_of, stored
from small_data import ITEMS

from tfllmrec.errors import InputError
from tfllmrec.export import Servable, export, refresh
from tfllmrec.export.card import signatures_of
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.saved_model import meta_graph, nodes_of
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.models.baselines.popularity import Popularity
from tfllmrec.models.registry import model_class

ASKED: dict[str, dict[str, Any]] = {
    "retrieve": QUESTION,
    "next_items": {name: QUESTION[name] for name in ("history", "exclude_item_ids")},
    "recommend": QUESTION,
    "rank": {"user_id": ["用户3"], "history": [[""]], "candidate_item_ids": [ITEMS]},
    "rank_texts": {"history_texts": [["a film", "item 1"]], "candidate_texts": [["Title of item2", "", "film 3", "x"]]},
    "embed_query": {name: QUESTION[name] for name in ("user_id", "history")},
    "embed_items": {"item_ids": [*ITEMS, "未知"]},
    "similar_items": {"item_id": ["item1", "未知"], "exclude_item_ids": [["item2"], [""]]},
}
"""What is asked of every family that has the signature."""
WITH_BERT = {"bert_ranker", "cross_encoder"}


@dataclass
class Exported:
    """A recommender, what there was to see of it before it was exported, and both exports."""

    recommender: Any
    before: dict[str, Any]
    whole: Path
    half: Path


@pytest.fixture(scope="module", params=["two_tower", "next_item", "bert_ranker", "cross_encoder"])
def exported(request, exports, small_is_large, tmp_path_factory):
    whole = exports[request.param]
    before, folder = state_of(whole.recommender), tmp_path_factory.mktemp("half") / whole.path.parent.name
    half = export(whole.recommender, folder, precision="bfloat16")
    return Exported(whole.recommender, before, whole.path, half)


def operations(path):
    """(operation, type) of all nodes of a SavedModel that have a type."""
    nodes = [*nodes_of(meta_graph(path).graph_def)]
    found = {(node.op, node.attr[name].type) for node in nodes for name in ("T", "Tparams") if name in node.attr}
    return {(operation, tf.as_dtype(number)) for operation, number in found if number}


# ---- what is answered


def test_every_signature_runs_in_the_cpp_runtime(runtime, exported):
    assert set(runtime.check(exported.half).values()) == {"ok"}


def test_answers_are_near_those_of_python(runtime, exported):
    python = Servable(exported.recommender).signatures()
    for name in ASKED.keys() & python.keys():
        answer = runtime.run(exported.half, name, **ASKED[name])
        expected = {key: one.numpy() for key, one in python[name](**map_constants(ASKED[name])).items()}
        assert answer.keys() == expected.keys()
        for key, values in answer.items():
            assert (values.shape, values.dtype) == (expected[key].shape, expected[key].dtype), (name, key)
        if "item_ids" not in answer:
            for key, values in answer.items():
                np.testing.assert_allclose(values, expected[key], rtol=0.02, atol=0.02, err_msg=f"{name} {key}")
            assert any((values != expected[key]).any() for key, values in answer.items()), name
            continue
        for row, items in enumerate(answer["item_ids"]):
            found = dict(zip(items, answer["scores"][row], strict=True))
            known = dict(zip(map(bytes.decode, expected["item_ids"][row]), expected["scores"][row], strict=True))
            both = [item for item in found if item and item in known]
            assert len(both) >= sum(map(bool, known)) - 1  # the last one may be another
            scores = [[scores[item] for item in both] for scores in (found, known)]
            np.testing.assert_allclose(*scores, rtol=0.02, atol=0.02, err_msg=name)


@pytest.mark.parametrize("exported", ["two_tower", "next_item", "bert_ranker"], indirect=True)
def test_item_vectors_are_the_rounded_ones(runtime, exported):
    answer = runtime.run(exported.half, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors = tf.gather(exported.recommender.index.vectors, exported.recommender.fitted_data.items.lookup(ITEMS))
    np.testing.assert_array_equal(answer, tf.cast(tf.cast(vectors, tf.bfloat16), tf.float32))


def test_bert_alone_computes_in_bfloat16(exported):
    whole, half = operations(exported.whole), operations(exported.half)
    of_bert = {op for op, dtype in half if dtype == tf.bfloat16} & {"Einsum", "MatMul", "BatchMatMulV2"}
    assert bool(of_bert) == (exported.recommender.family in WITH_BERT)
    assert ("GatherV2", tf.bfloat16) in half  # rows of tables are cast, not tables
    assert not [op for op, dtype in whole if dtype == tf.bfloat16]


def test_rows_of_an_item_to_item_matrix():
    """Those of the histories, the matrix rounded and nothing else; none for nobody."""
    matrix, counts = np.random.default_rng(0).normal(size=(80, 80)).astype(np.float32), np.arange(80.0)
    product = DenseItemToItem(79)
    product.matrix.assign(matrix)
    model = item_to_item_model(product, counts, 3, decay=0.5)
    weights = StoredWeights([model], "bfloat16")
    rounded = tf.cast(tf.cast(matrix, tf.bfloat16), tf.float32).numpy()
    histories = np.array([[3, 7, 0], [7, 0, 0], [0, 0, 0]], np.int32)
    for known in (histories, histories[2:]):
        with weights.in_use():
            scores = model({"user": np.zeros(len(known), np.int32), "history": known})
        expected = np.stack([0.5 * rounded[3] + rounded[7], rounded[7], np.log1p(counts)])[-len(known) :]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


# ---- what is stored


def test_large_matrices_are_stored_in_half_the_room(exported, small_is_large):
    whole, half = stored(exported.whole), stored(exported.half)
    assert sorted(shape for _, shape in half.values()) == sorted(shape for _, shape in whole.values())  # and once
    assert tf.bfloat16 not in {dtype for dtype, _ in whole.values()}
    rounded = [shape for dtype, shape in half.values() if dtype == tf.bfloat16]
    assert rounded
    assert min(len(shape) for shape in rounded) == 2
    assert min(map(np.prod, rounded)) >= small_is_large
    matrices = [shape for dtype, shape in half.values() if dtype == tf.float32 and len(shape) > 1]
    kept = sorted(shape for shape in matrices if np.prod(shape) >= small_is_large)
    assert kept == ([(6, 24), (8, 24)] if exported.recommender.family == "next_item" else [])  # the LSTM's
    sizes = [sum(file.stat().st_size for file in path.glob("variables/*")) for path in (exported.whole, exported.half)]
    assert sizes[0] - sizes[1] == pytest.approx(2 * sum(map(np.prod, rounded)), abs=1000)


def test_the_card_says_so(exported):
    for path, precision in ((exported.whole, "float32"), (exported.half, "bfloat16")):
        card = (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
        assert f"| precision | {precision} |" in card
        assert {output.dtype for one in signatures_of(path).values() for output in one.outputs.values()} <= {
            kind.as_datatype_enum for kind in (tf.float32, tf.string, tf.int32)
        }


# ---- what it is made of


def test_the_recommender_is_as_it_was(exported):
    assert_untouched(exported.recommender, exported.before)


def test_a_failure_leaves_nothing(exported, tmp_path, monkeypatch):
    def fail(servable, *_, **__):
        servable.signatures()["serving_default"].get_concrete_function()
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export(exported.recommender, tmp_path / "models", precision="bfloat16")
    assert list(tmp_path.iterdir()) == []
    assert_untouched(exported.recommender, exported.before)


@pytest.mark.parametrize("precision", ["float16", "", "BFLOAT16"])
def test_another_precision(data, tmp_path, precision):
    recommender = Popularity().fit(data)
    sentence = f"^export: precision is '{precision}', and must be float32, bfloat16, int8$"
    with pytest.raises(InputError, match=sentence):
        export(recommender, tmp_path / "new", precision=precision)
    assert list(tmp_path.iterdir()) == []


# ---- together with other options


@pytest.mark.parametrize("exported", ["bert_ranker"], indirect=True)
def test_a_refresh_keeps_the_precision(runtime, exported, tmp_path):
    shutil.copytree(exported.half, tmp_path / "1")
    new = pd.DataFrame({"item_id": ["new"], "title": ["Title of item9"]})
    versions = [tmp_path / "1", refresh(exported.recommender, tmp_path, new)]
    assert tf.bfloat16 in {dtype for dtype, _ in stored(versions[1]).values()}
    for name in ("rank", "rank_texts"):
        before, after = (runtime.run(version, name, **ASKED[name])["scores"] for version in versions)
        np.testing.assert_array_equal(after, before)


def test_a_cross_encoder_that_was_trained_in_bfloat16(runtime, data, quick_ranking, small_is_large, tmp_path):
    """Its BERT, here with low-rank additions, computes in bfloat16 in any export."""
    options = {**quick_ranking["cross_encoder"], "precision": "bfloat16", "tuning": "lora"}
    trained, asked = model_class("cross_encoder")(history_length=4, **options).fit(data, verbose=0), ASKED["rank_texts"]
    expected = trained.score_texts(asked["history_texts"], asked["candidate_texts"])[0]
    for precision in ("float32", "bfloat16"):
        path = export(trained, tmp_path, precision=precision)
        assert (tf.bfloat16 in {dtype for dtype, _ in stored(path).values()}) == (precision == "bfloat16")
        found = runtime.run(path, "rank_texts", **asked)["scores"][0]
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)
    np.testing.assert_array_equal(trained.score_texts(asked["history_texts"], asked["candidate_texts"])[0], expected)
