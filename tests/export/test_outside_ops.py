"""Operations that reach outside the graph: the policy, and the parts of a SavedModel that reach them."""

import re

import numpy as np
import pytest
import tensorflow as tf
from edited_models import add_node, edit, save
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from tfllmrec.errors import InputError
from tfllmrec.export.op_policy import OUTSIDE_OPS, PYTHON_OPS, SAVER_OPS
from tfllmrec.export.op_reach import outside_ops
from tfllmrec.export.ops import check_ops

SUSPICIOUS = re.compile("File|Read|Write|Save|Restore|Record|Py|Rpc|DataService|Debug|Summary|Send|Recv|Collective")
ARGUMENTS = re.compile(r"(_|\b)(filenames?|file|path|urls?|address|dir|logdir|prefix(es)?|uri|memory_region_name)$")
WITHIN = {
    *("ReadVariableOp", "ReadVariableXlaSplitND", "DisableCopyOnRead", "RngReadAndSkip"),  # variables
    *("TensorArrayRead", "TensorArrayReadV2", "TensorArrayReadV3"),  # tensors
    *("TensorArrayWrite", "TensorArrayWriteV2", "TensorArrayWriteV3", "BarrierReadySize"),
    *("AudioSummary", "AudioSummaryV2", "HistogramSummary", "ImageSummary", "MergeSummary"),  # return a message
    *("ScalarSummary", "TensorSummary", "TensorSummaryV2", "StatsAggregatorSummary"),
    *("ExperimentalStatsAggregatorSummary", "BoostedTreesMakeStatsSummary", "BoostedTreesExampleDebugOutputs"),
    *("DebugGradientIdentity", "DebugGradientRefIdentity", "DebugNumericSummaryV2"),  # have no URL
    *("IdentityReader", "IdentityReaderV2", "ReaderNumRecordsProduced", "ReaderNumRecordsProducedV2"),  # of a reader
    *("ReaderNumWorkUnitsCompleted", "ReaderNumWorkUnitsCompletedV2", "ReaderReset", "ReaderResetV2"),
    *("ReaderRestoreState", "ReaderRestoreStateV2", "ReaderSerializeState", "ReaderSerializeStateV2"),
    *("RecvTPUEmbeddingActivations", "SendTPUEmbeddingGradients"),  # the device of the process
    "ShardedFilespec",  # joins strings
    *("SetStatsAggregatorDataset", "ExperimentalSetStatsAggregatorDataset"),  # a prefix of names
}
"""Operations with a suspicious name or argument that stay within the graph."""


@pytest.fixture
def harmless(tmp_path):
    return save(tmp_path / "harmless", lambda texts: {"lengths": tf.strings.length(texts)}, weight=tf.Variable(1.0))


def read_file(texts):
    return {"contents": tf.map_fn(tf.io.read_file, texts)}


def test_every_operation_of_tensorflow_is_classified():
    names = [name for name in dir(tf.raw_ops) if op_def_registry.get(name)]
    assert len(names) > 1000

    def arguments(name):
        op = op_def_registry.get(name)
        return [argument.name for argument in (*op.input_arg, *op.attr)]

    suspects = {name for name in names if SUSPICIOUS.search(name) or any(map(ARGUMENTS.search, arguments(name)))}
    classes = OUTSIDE_OPS | PYTHON_OPS | SAVER_OPS
    assert suspects - classes - WITHIN == set()
    assert WITHIN - suspects == classes & WITHIN == set()


def test_the_policy_has_no_misspelled_name():
    assert [name for name in OUTSIDE_OPS | PYTHON_OPS | SAVER_OPS if not op_def_registry.get(name)] == []


def make_reach(op, **attributes):
    """Return a change that makes the output of the signature depend on a new node."""

    def change(meta):
        (output,) = meta.signature_def["serving_default"].outputs.values()
        (node,) = [node for node in meta.graph_def.node if node.name == output.name.split(":")[0]]
        node.input.append(f"^{add_node(meta, op, **attributes)}")

    return change


BY_ATTRIBUTE = {
    "PrintV2": {"output_stream": b"file:///tmp/log"},
    "FixedUnigramCandidateSampler": {"vocab_file": b"/etc/words"},
    "DecodeProtoV2": {"descriptor_source": b"/etc/descriptors"},
    "EncodeProto": {"descriptor_source": b"/etc/descriptors"},
}


def test_a_signature_is_refused_for_each_operation(harmless):
    for op in sorted(OUTSIDE_OPS | PYTHON_OPS | SAVER_OPS):
        change = make_reach(op, **BY_ATTRIBUTE.get(op, {}))
        before = (harmless / "saved_model.pb").read_bytes()
        assert outside_ops(edit(harmless, change)) == {"signature serving_default": {op}}, op
        (harmless / "saved_model.pb").write_bytes(before)


@pytest.mark.parametrize("op", BY_ATTRIBUTE)
def test_an_operation_without_a_file_is_within_the_graph(harmless, op):
    within = {"output_stream": b"stderr", "vocab_file": b"", "descriptor_source": b"local://"}
    attributes = {name: within[name] for name in BY_ATTRIBUTE[op]}
    assert outside_ops(edit(harmless, make_reach(op))) == {}  # with the default
    assert outside_ops(edit(harmless, lambda meta: add_node(meta, op, "other", **attributes))) == {}


def written(texts):
    with tf.control_dependencies([tf.io.write_file(texts[0], texts[0])]):
        return {"texts": tf.identity(texts)}


def lines_of(texts):
    lines = tf.data.TextLineDataset(texts).map(tf.strings.upper)
    return {"lines": lines.reduce(tf.constant(""), lambda text, line: text + line)}


def read_in_dataset(texts):
    contents = tf.data.Dataset.from_tensor_slices(texts).map(tf.io.read_file)
    return {"contents": contents.reduce(tf.constant(""), lambda text, content: text + content)}


def read_in_branch(texts):
    return {"contents": tf.cond(tf.size(texts) > 1, lambda: tf.io.read_file(texts[0]), lambda: tf.constant(""))}


def read_in_case(texts):
    branches = [lambda: tf.constant(""), lambda: tf.io.read_file(texts[0])]
    return {"contents": tf.switch_case(tf.size(texts), branches)}


def saved_in_function(texts):
    """Save a tensor in a loop in a function that another function calls."""
    tensors = {"prefix": "/tmp/never", "tensor_names": ["a"], "shape_and_slices": [""]}

    def body(step):
        tf.raw_ops.SaveV2(tensors=[step], **tensors)
        return step + 1

    inner = tf.function(lambda: tf.while_loop(lambda step: step < 3, body, [0])[0])
    return {"steps": tf.function(lambda: inner() + 1)()}


CALLS = {
    "a loop": (read_file, "ReadFile"),
    "a branch": (read_in_branch, "ReadFile"),
    "a case": (read_in_case, "ReadFile"),
    "a data set": (read_in_dataset, "ReadFile"),
    "a control input": (written, "WriteFile"),
    "a data set in a file": (lines_of, "TextLineDataset"),
    "a pattern": (lambda texts: {"names": tf.io.matching_files(texts)}, "MatchingFiles"),
    "a debugger": (
        lambda texts: {"texts": tf.raw_ops.DebugIdentityV2(input=texts, debug_urls=["grpc://localhost:1"])},
        "DebugIdentityV2",
    ),
    "a saver in nested functions": (saved_in_function, "SaveV2"),
    "py_function": (lambda texts: {"texts": tf.py_function(lambda text: text, [texts], tf.string)}, "EagerPyFunc"),
    "numpy_function": (lambda texts: {"texts": tf.numpy_function(np.char.upper, [texts], tf.string)}, "PyFunc"),
}


@pytest.mark.parametrize("part", CALLS)
def test_operations_are_found_in_every_part_of_a_function(tmp_path, part):
    function, op = CALLS[part]
    assert outside_ops(save(tmp_path, function)) == {"signature serving_default": {op}}


def test_a_signature_that_reaches_the_saver_is_refused_even_if_allowed(tmp_path):
    path = save(tmp_path, saved_in_function)
    with pytest.raises(InputError, match=r"only the saver may use .*: signature serving_default reaches SaveV2$"):
        check_ops(path)
    with pytest.raises(InputError, match=r"^publish: SaveV2 cannot be allowed: only the saver may use checkpoints$"):
        check_ops(path, ["SaveV2"])


def test_operations_are_allowed_by_name(tmp_path):
    path = save(tmp_path, lambda texts: read_file(texts) | {"names": tf.io.matching_files(texts)})
    reached = "signature serving_default reaches MatchingFiles, ReadFile; if you trust the model, publish it with"
    with pytest.raises(InputError, match=f"outside the graph: {reached} --allow-ops MatchingFiles,ReadFile$"):
        check_ops(path)
    with pytest.raises(InputError, match=r"reaches MatchingFiles; .* --allow-ops MatchingFiles,ReadFile$"):
        check_ops(path, ["ReadFile"])
    check_ops(path, ["ReadFile", "MatchingFiles"])


def test_the_runtime_of_tf_serving_reads_files_for_a_client(tmp_path, runtime):
    (tmp_path / "secret").write_text("of the host")
    path = save(tmp_path / "model", read_file)
    outputs = runtime.run(path, "serving_default", texts=[str(tmp_path / "secret")])
    assert outputs["contents"].tolist() == ["of the host"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Readfile",), "publish: Readfile is not an operation that can be allowed"),
        (("TopKV2", "ReadFile"), "publish: TopKV2 is not an operation that can be allowed"),
        (("RpcCall",), "publish: RpcCall is not an operation that can be allowed"),  # not in TF Serving
        (("EagerPyFunc",), "publish: EagerPyFunc cannot be allowed: a SavedModel does not contain Python functions"),
        ("ReadFile", "publish: allow_ops is 'ReadFile'; pass a tuple of names"),
    ],
)
def test_other_names_cannot_be_allowed(harmless, names, message):
    with pytest.raises(InputError, match=message):
        check_ops(harmless, names)


def test_the_graphs_of_all_tags_are_searched(harmless):
    path = harmless / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])
    model.meta_graphs[1].meta_info_def.tags[:] = ["gpu"]
    make_reach("ReadFile")(model.meta_graphs[1])
    path.write_bytes(model.SerializeToString())
    assert outside_ops(harmless) == {"signature serving_default": {"ReadFile"}}


def in_init_signature(meta):
    meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = add_node(meta, "ReadFile")


def in_main_op(meta):
    meta.collection_def["saved_model_main_op"].node_list.value.append(add_node(meta, "ReadFile"))


def in_legacy_init_op(meta):
    meta.collection_def["legacy_init_op"].node_list.value.append(add_node(meta, "ReadFile"))


def in_restore_op(meta):
    (node,) = [node for node in meta.graph_def.node if node.name == meta.saver_def.restore_op_name]
    node.input.append(f"^{add_node(meta, 'MergeV2Checkpoints')}")


def in_save_op(meta):
    (node,) = [node for node in meta.graph_def.node if node.name == meta.saver_def.save_tensor_name.split(":")[0]]
    node.input.append(f"^{add_node(meta, 'WriteFile')}")


def in_sparse_output(meta):
    output = meta.signature_def["serving_default"].outputs["sparse"]
    output.coo_sparse.values_tensor_name = f"{add_node(meta, 'ReadFile')}:0"


def in_replacement(meta):
    """Add a function that TensorFlow may run in place of the signature's, as it does for the layers of Keras."""
    library = meta.graph_def.library
    replacement = library.function.add()
    replacement.signature.name = "replacement"
    replacement.node_def.add(op="ReadFile", name="read")
    for function in library.function:
        if re.search("signature_wrapper|replacement", function.signature.name):
            function.attr["api_implements"].s = b"lengths"


PARTS = {
    "the signature of the init op": (in_init_signature, {"the init op": {"ReadFile"}}),
    "the main op": (in_main_op, {"the init op": {"ReadFile"}}),
    "the legacy init op": (in_legacy_init_op, {"the init op": {"ReadFile"}}),
    "the restore op": (in_restore_op, {"the restore op": {"MergeV2Checkpoints"}}),
    "the save op": (in_save_op, {"the save op": {"WriteFile"}}),
    "a sparse output": (in_sparse_output, {"signature serving_default": {"ReadFile"}}),
    "a replacement of a function": (in_replacement, {"signature serving_default": {"ReadFile"}}),
    "an unused part": (lambda meta: add_node(meta, "ReadFile"), {"an unused part": {"ReadFile"}}),
    "a saver outside of all signatures": (lambda meta: add_node(meta, "SaveV2"), {}),
}


@pytest.mark.parametrize("part", PARTS)
def test_operations_are_found_in_every_part_of_a_saved_model(harmless, part):
    change, expected = PARTS[part]
    assert outside_ops(harmless) == {}
    assert outside_ops(edit(harmless, change)) == expected
