"""Exports for GPUs and TPUs: cores that XLA compiles at every batch size, and results equal to the CPU's."""

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
"""Families with cores that read a sparse matrix; in the cascade it belongs to a retriever."""
REQUEST = {
    "user_id": [GREEDY, "用户3", "", "用户3"],
    "history": [[""], ["item1"], ["a b|c"], [""]],
    "exclude_item_ids": [["item2"], [""], [""], ["item3"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - SPARSE))
def test_cores_compile_and_have_no_strings(exports, family):
    servable = Servable(exports[family].recommender, 5, target=TPU)
    with serving_modes(servable.stored.layers, compiled=True), servable.stored.in_use():
        for signature in servable.signatures().values():
            signature.get_concrete_function()
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


@pytest.mark.slow
def test_gpu_export_returns_the_results_of_the_cpu(runtime, exports, for_gpu):
    assert (target_of(for_gpu), target_of(exports["two_tower"].path)) == (GPU, CPU)
    assert tags_of(for_gpu) == ["serve"]
    compiled = ServedModel(for_gpu)
    actual = compiled("retrieve", **REQUEST)
    expected = runtime.run(exports["two_tower"].path, "retrieve", **REQUEST)
    assert actual["item_ids"].tolist() == expected["item_ids"].tolist()
    np.testing.assert_allclose(actual["scores"], expected["scores"], rtol=1e-5, atol=1e-5)
    statuses = runtime.check(for_gpu)  # the C++ runtime disables XLA
    assert "XLA" in statuses["retrieve"]
    assert statuses["embed_items"] == "ok"


@pytest.mark.slow
def test_tpu_export_has_aliases_and_close_scores(runtime, exports, for_tpu):
    assert target_of(for_tpu) == TPU
    assert tags_of(for_tpu) == ["serve", "tpu"]
    assert "| precision | bfloat16 |" in card_of(for_tpu)
    aliases = meta_graph(for_tpu).meta_info_def.function_aliases
    graph = meta_graph(for_tpu).graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    assert {*aliases.values()} == {"best", "candidates"} == {*re.findall(r"`(\w+)`", aliases_of(for_tpu))}
    assert aliases.keys() <= functions.keys()
    assert set(runtime.check(for_tpu).values()) == {"ok"}
    expected = runtime.run(exports["bert_ranker"].path, "retrieve", **REQUEST)
    actual = runtime.run(for_tpu, "retrieve", **REQUEST)
    np.testing.assert_allclose(actual["scores"], expected["scores"], rtol=0.03, atol=0.03)


@pytest.mark.slow
def test_any_number_of_candidates_is_scored(runtime, exports, for_tpu):
    """Rank numbers of candidates that differ from the padded width of the core."""
    for count in (0, 1, 3, 9):
        candidates = [(["item1", "item2", "未知"] * 3)[:count]]
        actual, expected = (
            runtime.run(path, "rank", user_id=["用户3"], history=[[""]], candidate_item_ids=candidates)["scores"]
            for path in (for_tpu, exports["bert_ranker"].path)
        )
        assert actual.shape == (1, count)
        np.testing.assert_allclose(actual, expected, rtol=0.03, atol=0.03)


def card_of(path):
    return (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")


def aliases_of(path):
    return next(line for line in card_of(path).splitlines() if line.startswith("| cores |"))


@pytest.mark.slow
def test_warmup_covers_every_compiled_shape(for_tpu):
    requests = {}
    for log, _ in replay_logs(ServedModel(for_tpu, TPU.tags)):
        inputs = log.request.inputs.items()
        shapes = {name: tuple(dim.size for dim in tensor.tensor_shape.dim) for name, tensor in inputs}
        requests.setdefault(log.request.model_spec.signature_name, []).append(shapes)
    rows, widths = TPU.batch_sizes, (2, 1, 4, 32, 256, 2048)
    excluded = [(count, width) for count in rows for width in widths]
    assert [shapes["exclude"] for shapes in requests["retrieve_ids"]] == excluded
    assert [shapes["exclude_item_ids"] for shapes in requests["retrieve"]] == excluded
    candidates = [(8, 2), *((8, width) for width in (1, 4, 8, 16, 32, 64, 128)), (32, 2), (128, 2)]
    assert [shapes["candidates"] for shapes in requests["rank_ids"]] == candidates
    assert sum(map(len, requests.values())) == len([*tf.data.TFRecordDataset(str(for_tpu / WARMUP_FILE))]) <= 1000


@pytest.mark.parametrize("family", sorted(SPARSE))
def test_family_that_cannot_be_compiled_is_refused(exports, family, tmp_path):
    message = f"XLA cannot compile {family} for a gpu .*RaggedRange.*: export it for the cpu"
    with pytest.raises(InputError, match=message):
        export(exports[family].recommender, tmp_path / "films", target="gpu")
    assert not (tmp_path / "films").exists()


def test_unknown_target_is_refused(exports, tmp_path):
    with pytest.raises(InputError, match="export: target is 'npu', and must be cpu, gpu, tpu"):
        export(exports["popularity"].recommender, tmp_path / "films", target="npu")


@pytest.mark.slow
def test_refresh_keeps_the_target(exports, data, tmp_path):
    word2vec = exports["word2vec"].recommender
    export(word2vec, tmp_path / "films", target="tpu")
    new = pd.DataFrame({"item_id": ["新"], "title": [data.items["title"].iloc[0]]})
    assert target_of(refresh(word2vec, tmp_path / "films", new)) == TPU


def test_static_shapes_do_not_change_outputs():
    random = np.random.default_rng(0)
    product = DenseItemToItem(6)
    product.matrix.assign(random.normal(size=(7, 7)))
    weights = tf.constant(random.normal(size=(3, 7)) * (random.random((3, 7)) < 0.3), tf.float32)
    histories = tf.constant([[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 0], [4, 5]]])
    non_empty = NonEmptyRows()

    def call_layers():
        rows, indices = non_empty(histories)
        return product(weights), tf.gather(rows, indices)

    dynamic = call_layers()
    with serving_modes([product, non_empty], compiled=True):
        static = call_layers()
        assert non_empty(histories)[0].shape == (6, 2)  # all rows, empty ones included
    np.testing.assert_allclose(static[0], dynamic[0], rtol=1e-5, atol=1e-6)
    present = histories[..., 0] > 0
    np.testing.assert_array_equal(static[1][present], dynamic[1][present])
    assert non_empty(histories)[0].shape == (3, 2)
