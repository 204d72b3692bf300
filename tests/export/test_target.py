"""Exports for GPUs and TPUs: cores that XLA compiles at every batch size, and answers that stay what they were."""

import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from cpp_runtime import tags_of
from small_data import GREEDY

from tfllmrec.errors import InputError
from tfllmrec.export import Servable, export, refresh
from tfllmrec.export.layer_modes import serving_modes
from tfllmrec.export.saved_model import meta_graph, nodes_of
from tfllmrec.export.target import CPU, GPU, TPU, target_of
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.layers.item_to_item import DenseItemToItem
from tfllmrec.models.multi_task.scenarios import NonEmptyRows
from tfllmrec.models.registry import FAMILIES
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay_logs

SPARSE = {"markov_chain", "cascade"}
"""Their cores read a sparse matrix, in the cascade as a retriever's."""
QUESTION = {
    "user_id": [GREEDY, "用户3", "", "用户3"],
    "history": [[""], ["item1"], ["a b|c"], [""]],
    "exclude_item_ids": [["item2"], [""], [""], ["item3"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - SPARSE))
def test_cores_compile_and_have_no_strings(exports, family):
    servable = Servable(exports[family].recommender, 5, target=TPU)
    with serving_modes(servable.stored.layers, compiled=True), servable.stored.in_use():
        for one in servable.signatures().values():
            one.get_concrete_function()
        used = [core for core in servable.cores.values() if core.has_alias]
        assert used
        for core in used:
            core.compile(8)
    for core in used:
        for traced in core.function._list_all_concrete_functions():
            nodes = [*nodes_of(traced.graph.as_graph_def())]
            assert not [node.op for node in nodes if "Lookup" in node.op or "String" in node.op]
            assert tf.string.as_datatype_enum not in {attr.type for node in nodes for attr in node.attr.values()}


@pytest.fixture(scope="module")
def for_gpu(exports, tmp_path_factory):
    return export(exports["two_tower"].recommender, tmp_path_factory.mktemp("gpu") / "films", target="gpu")


@pytest.fixture(scope="module")
def for_tpu(exports, tmp_path_factory):
    return export(exports["bert_ranker"].recommender, tmp_path_factory.mktemp("tpu") / "films", target="tpu")


def same_answers(found, expected, tolerance):
    assert found["item_ids"].tolist() == expected["item_ids"].tolist()
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=tolerance, atol=tolerance)


def test_for_a_gpu(runtime, exports, for_gpu):
    assert (target_of(for_gpu), target_of(exports["two_tower"].path)) == (GPU, CPU)
    assert tags_of(for_gpu) == ["serve"]
    compiled = ServedModel(for_gpu)
    same_answers(compiled("retrieve", **QUESTION), runtime.run(exports["two_tower"].path, "retrieve", **QUESTION), 1e-5)
    found = runtime.check(for_gpu)  # with XLA off
    assert "XLA" in found["retrieve"]
    assert found["embed_items"] == "ok"


def test_for_a_tpu(runtime, exports, for_tpu):
    assert target_of(for_tpu) == TPU
    assert tags_of(for_tpu) == ["serve", "tpu"]
    assert "| precision | bfloat16 |" in card_of(for_tpu)
    aliases = meta_graph(for_tpu).meta_info_def.function_aliases
    graph = meta_graph(for_tpu).graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    assert {*aliases.values()} == {"best", "candidates"} == {*re.findall(r"`(\w+)`", aliases_of(for_tpu))}
    assert aliases.keys() <= functions.keys()
    assert set(runtime.check(for_tpu).values()) == {"ok"}
    expected = runtime.run(exports["bert_ranker"].path, "retrieve", **QUESTION)
    found = runtime.run(for_tpu, "retrieve", **QUESTION)
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=0.03, atol=0.03)


def test_candidates_of_any_number_have_their_scores(runtime, exports, for_tpu):
    """Their number is not the width that the core sees."""
    for count in (0, 1, 3, 9):
        candidates = [(["item1", "item2", "未知"] * 3)[:count]]
        found, expected = (
            runtime.run(path, "rank", user_id=["用户3"], history=[[""]], candidate_item_ids=candidates)["scores"]
            for path in (for_tpu, exports["bert_ranker"].path)
        )
        assert found.shape == (1, count)
        np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.03)


def card_of(path):
    return (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")


def aliases_of(path):
    return next(line for line in card_of(path).splitlines() if line.startswith("| cores |"))


def test_warm_up_has_every_shape_that_a_core_is_compiled_for(for_tpu):
    asked = {}
    for log, _ in replay_logs(ServedModel(for_tpu, TPU.tags)):
        shapes = {name: tuple(dim.size for dim in one.tensor_shape.dim) for name, one in log.request.inputs.items()}
        asked.setdefault(log.request.model_spec.signature_name, []).append(shapes)
    rows, widths = TPU.batch_sizes, (2, 1, 4, 32, 256, 2048)
    excluded = [(count, width) for count in rows for width in widths]
    assert [one["exclude"] for one in asked["retrieve_ids"]] == excluded
    assert [one["exclude_item_ids"] for one in asked["retrieve"]] == excluded
    candidates = [(8, 2), *((8, width) for width in (1, 4, 8, 16, 32, 64, 128)), (32, 2), (128, 2)]
    assert [one["candidates"] for one in asked["rank_ids"]] == candidates
    assert sum(map(len, asked.values())) == len([*tf.data.TFRecordDataset(str(for_tpu / WARMUP_FILE))]) <= 1000


@pytest.mark.parametrize("family", sorted(SPARSE))
def test_what_cannot_be_compiled_is_refused(exports, family, tmp_path):
    sentence = f"XLA cannot compile {family} for a gpu .*RaggedRange.*: export it for the cpu"
    with pytest.raises(InputError, match=sentence):
        export(exports[family].recommender, tmp_path / "films", target="gpu")
    assert not (tmp_path / "films").exists()


def test_a_target_that_there_is_not(exports, tmp_path):
    with pytest.raises(InputError, match="export: target is 'npu', and must be cpu, gpu, tpu"):
        export(exports["popularity"].recommender, tmp_path / "films", target="npu")


def test_a_refresh_is_for_the_same_target(exports, data, tmp_path):
    word2vec = exports["word2vec"].recommender
    export(word2vec, tmp_path / "films", target="tpu")
    new = pd.DataFrame({"item_id": ["新"], "title": [data.items["title"].iloc[0]]})
    assert target_of(refresh(word2vec, tmp_path / "films", new)) == TPU


def test_layers_with_static_shapes_say_the_same():
    random = np.random.default_rng(0)
    product = DenseItemToItem(6)
    product.matrix.assign(random.normal(size=(7, 7)))
    weights = tf.constant(random.normal(size=(3, 7)) * (random.random((3, 7)) < 0.3), tf.float32)
    histories = tf.constant([[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 0], [4, 5]]])
    there = NonEmptyRows()

    def said():
        rows, places = there(histories)
        return product(weights), tf.gather(rows, places)

    before = said()
    with serving_modes([product, there], compiled=True):
        found = said()
        assert there(histories)[0].shape == (6, 2)  # all of them
    np.testing.assert_allclose(found[0], before[0], rtol=1e-5, atol=1e-6)
    present = histories[..., 0] > 0
    np.testing.assert_array_equal(found[1][present], before[1][present])
    assert there(histories)[0].shape == (3, 2)
