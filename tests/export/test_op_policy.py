"""Operations that reach files, the network or Python: refused by `publish`, reported by the server."""

import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.model_pb2 import ModelSpec

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import write_checksums
from tfllmrec.export.op_policy import FILES, NETWORK, PYTHON, SAVER, check_unsafe_ops, unsafe_ops
from tfllmrec.repository import Repository
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.models import Models
from tfllmrec.serving.session import ServedModel

TEXTS = tf.TensorSpec([None], tf.string, "texts")
REACHES_OUT = re.compile(
    r"File|Save|Restore|TFRecord|FixedLength|TextLine|LMDB|PyFunc|Rpc|DataService|Debug|Snapshot|Sql|CSVDataset|Send|Recv"
    r"|Collective|Nccl|Checkpoint|CacheDataset|LoadDataset|Summary.*Writer|RemoteCall|LoadAndRemap|VocabRemapping"
)
HARMLESS = {
    *("BoostedTreesExampleDebugOutputs", "CloseSummaryWriter", "FlushSummaryWriter", "SummaryWriter", "Snapshot"),
    *("StatsAggregatorSetSummaryWriter", "DebugNumericSummaryV2", "DebugGradientIdentity", "DebugGradientRefIdentity"),
    *("ReaderRestoreState", "ReaderRestoreStateV2", "RecvTPUEmbeddingActivations", "SendTPUEmbeddingGradients"),
}
"""Operations with such a name that touch neither files nor the network by themselves."""


def save(folder, function, signature=(TEXTS,)):
    """Save a function as the only signature of a SavedModel and return its folder."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=list(signature))
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    return folder


def read_file(texts):
    return {"contents": tf.map_fn(tf.io.read_file, texts)}


def write_file(texts):
    @tf.function
    def write(text):
        tf.io.write_file("/tmp/never", text)

    write(texts[0])
    return {"texts": tf.identity(texts)}


def save_tensor(texts):
    def write():
        tf.raw_ops.SaveV2(prefix="/tmp/never", tensor_names=["a"], shape_and_slices=[""], tensors=[texts])
        return texts

    return {"texts": tf.cond(tf.size(texts) > 5, write, lambda: texts)}


def print_to(stream):
    def call(texts):
        tf.print(texts, output_stream=stream)
        return {"texts": tf.identity(texts)}

    return call


def count_lines(texts):
    return {"count": tf.data.TextLineDataset(texts).reduce(tf.constant(0), lambda count, _: count + 1)}


UNSAFE = {
    "in a loop": (read_file, ["ReadFile"]),
    "in a nested function for its effect": (write_file, ["WriteFile"]),
    "in a branch": (save_tensor, ["SaveV2"]),
    "a pattern": (lambda texts: {"files": tf.io.matching_files(texts)}, ["MatchingFiles"]),
    "restore": (
        lambda texts: {
            "values": tf.raw_ops.RestoreV2(
                prefix=texts[0], tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
            )[0]
        },
        ["RestoreV2"],
    ),
    "a data set": (count_lines, ["TextLineDataset"]),
    "print to a file": (print_to("file:///tmp/never"), ["PrintV2"]),
    "network": (
        lambda texts: {
            "texts": tf.raw_ops.DebugIdentityV2(
                input=texts, tfdbg_context_id="a", op_name="a", debug_urls=["grpc://example:1"]
            )
        },
        ["DebugIdentityV2"],
    ),
    "Python": (lambda texts: {"texts": tf.numpy_function(np.char.upper, [texts], tf.string)}, ["PyFunc"]),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_unsafe_operations_are_found_in_any_place(tmp_path, case):
    function, names = UNSAFE[case]
    path = save(tmp_path, function)
    assert unsafe_ops(path) == dict.fromkeys(names, "signature serving_default")
    with pytest.raises(InputError, match=rf"{names[0]} \(signature serving_default\).* --allow-ops {names[0]}$"):
        check_unsafe_ops(path)
    if names[0] not in PYTHON:
        check_unsafe_ops(path, names)


def test_every_export_is_safe(exported):
    assert unsafe_ops(exported.path) == {}


def test_the_saver_and_prints_are_safe(tmp_path):
    path = save(tmp_path, print_to(sys.stderr))
    names = {node.op for node in _nodes(path)}
    assert {"SaveV2", "RestoreV2", "PrintV2"} <= names
    assert unsafe_ops(path) == {}


def _nodes(path):
    graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def test_all_operations_of_tensorflow_with_such_names_are_classified():
    names = {name for name in dir(tf.raw_ops) if REACHES_OUT.search(name)}
    assert names - HARMLESS - FILES - NETWORK - PYTHON - SAVER == set()
    groups = [FILES, NETWORK, PYTHON, SAVER, HARMLESS]
    assert sum(map(len, groups)) == len(set().union(*groups))


@pytest.mark.parametrize("name", ["PyFunc", "MatMul", "readfile", ""])
def test_only_operations_on_files_or_the_network_can_be_allowed(tmp_path, name):
    with pytest.raises(InputError, match=f"publish: {name} cannot be allowed"):
        check_unsafe_ops(tmp_path, [name])


@pytest.fixture
def tampered(shared_fits, tmp_path):
    """Export a recommender with an additional node that reads a file, which no signature reaches."""
    version = export(shared_fits("popularity"), tmp_path / "exports" / "films")
    path = version / "saved_model.pb"
    content = SavedModel.FromString(path.read_bytes())
    value = 'tensor { dtype: DT_STRING tensor_shape {} string_val: "/etc/hostname" }'
    attributes = f'attr {{ key: "dtype" value {{ type: DT_STRING }} }} attr {{ key: "value" value {{ {value} }} }}'
    nodes = f'node {{ name: "secret" op: "Const" {attributes} }} node {{ name: "leak" op: "ReadFile" input: "secret" }}'
    text_format.Merge(nodes, content.meta_graphs[0].graph_def)
    path.write_bytes(content.SerializeToString())
    write_checksums(version)
    return version


def test_publish_refuses_unsafe_operations_unless_they_are_allowed(tampered, tmp_path, run):
    repository = tmp_path / "models"
    status, output, errors = run("publish", tampered, "--repository", repository)
    assert (status, output) == (2, "")
    assert "can reach files, the network or Python: ReadFile (no signature)" in errors
    assert not repository.exists()
    assert run("publish", tampered, "--repository", repository, "--allow-ops", "WriteFile")[0] == 2
    status, output, errors = run("publish", tampered, "--repository", repository, "--allow-ops", "WriteFile,ReadFile")
    assert (status, output) == (0, f"{repository}/films/1\n"), errors
    assert Repository(repository).labels("films") == {"stable": 1}


def test_the_server_reports_unsafe_operations(tmp_path, caplog):
    save(tmp_path / "films" / "1", read_file)
    models = Models(one_model("films", tmp_path / "films"))
    assert models.find(ModelSpec(name="films"))[0] == 1
    warning = "films: version 1 can reach files or the network: ReadFile (signature serving_default)"
    assert caplog.messages.count(warning) == 1


def test_the_server_does_not_serve_python_functions(tmp_path):
    path = save(tmp_path / "films" / "1", UNSAFE["Python"][0])
    with pytest.raises(InputError, match=r"calls Python functions: PyFunc$"):
        ServedModel(path)
    (status,) = Models(one_model("films", path.parent)).statuses(ModelSpec(name="films")).values()
    assert (status.state.name, "calls Python functions: PyFunc" in status.error) == ("END", True)
