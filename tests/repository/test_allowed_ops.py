"""Publishing of a version that reads a file: refused without a trace unless the operation is allowed."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import write_checksums
from tfllmrec.repository import Repository
from tfllmrec.serving.session import ServedModel


@pytest.fixture(scope="module")
def reading(shared_fits, tmp_path_factory):
    """A version with a signature, `embed_items`, that reads a file before it responds."""
    folder = tmp_path_factory.mktemp("reading")
    version = export(shared_fits("word2vec"), folder / "films")
    model = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    (meta,) = model.meta_graphs
    (folder / "file").write_text("content")
    with tf.Graph().as_default() as graph:
        tf.io.read_file(str(folder / "file"), name="added")
    (output,) = meta.signature_def["embed_items"].outputs.values()
    next(node for node in meta.graph_def.node if node.name == output.name.split(":")[0]).input.append("^added")
    meta.graph_def.node.extend(graph.as_graph_def().node)
    (version / "saved_model.pb").write_bytes(model.SerializeToString())
    write_checksums(version)
    return version


def test_a_refused_version_leaves_nothing_behind(reading, tmp_path):
    repository = Repository(tmp_path / "models")
    for allowed in ((), ("WriteFile",), ("ReadFiles",)):
        with pytest.raises(InputError, match=r"signature embed_items reaches ReadFile; |ReadFiles is not an operation"):
            repository.publish(reading, allow_ops=allowed)
    assert list(tmp_path.iterdir()) == []


def test_a_version_in_the_repository_is_refused_in_place(reading, tmp_path):
    shutil.copytree(reading.parent, tmp_path / "models" / "films")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="signature embed_items reaches ReadFile; "):
        Repository(tmp_path / "models").publish(tmp_path / "models" / "films" / "1")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_allowed_version_is_published(reading, tmp_path):
    published = Repository(tmp_path / "models").publish(reading, allow_ops=("ReadFile",))
    assert Repository(tmp_path / "models").labels("films") == {"stable": 1}
    assert ServedModel(published).outside_ops == {"ReadFile"}


def test_the_command_allows_operations_by_name(run, reading, tmp_path):
    command = ("publish", reading, "--repository", tmp_path / "models")
    status, stdout, stderr = run(*command)
    assert (status, stdout, len(stderr.splitlines())) == (2, "", 1)
    assert "signature embed_items reaches ReadFile; if you trust the model, publish it with" in stderr
    assert list(tmp_path.iterdir()) == []
    unknown = run(*command, "--allow-ops", "ReadFile,Unknown")
    assert unknown == (2, "", "tfllmrec: publish: Unknown is not an operation that can be allowed\n")
    assert run(*command, "--allow-ops", "ReadFile, WriteFile")[0] == 0
    assert Repository(tmp_path / "models").labels("films") == {"stable": 1}
