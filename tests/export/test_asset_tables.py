"""Look-up tables that are filled from an asset are permitted, those from other files are refused."""

import pytest
import tensorflow as tf
from edited_models import add_node, edit, save

from tfllmrec.export.op_reach import outside_ops

REFUSED = {"the init op": {"InitializeTableFromTextFileV2"}}


def table_of(vocabulary):
    whole_line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, whole_line, tf.int64, number)
    return tf.lookup.StaticHashTable(initializer, -1)


@pytest.fixture
def model(tmp_path):
    """A SavedModel that maps texts to their positions in an asset."""
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("red\ngreen\n")
    table = table_of(vocabulary)
    path = save(tmp_path / "model", lambda texts: {"positions": tf.cast(table.lookup(texts), tf.int32)}, table=table)
    vocabulary.unlink()
    return path


def test_a_table_of_an_asset_is_permitted(model, runtime):
    assert outside_ops(model) == {}
    positions = runtime.run(model, "serving_default", texts=["green", "red", "blue"])["positions"]
    assert positions.tolist() == [1, 0, -1]


def leave_folder(meta):
    meta.asset_file_def[0].filename = "../../../etc/passwd"


def leave_folder_from_root(meta):
    meta.asset_file_def[0].filename = "/etc/passwd"


def forget_asset(meta):
    del meta.asset_file_def[:]


def handle_of(meta):
    """Return the name of the variable that holds the path of the asset."""
    asset = meta.asset_file_def[0].tensor_info.name.split(":")[0]
    (assignment,) = [node for node in meta.graph_def.node if node.op == "AssignVariableOp" and asset in node.input]
    return assignment.input[0]


def assign_constant(meta):
    handle = handle_of(meta)
    path = add_node(meta, "Const", "path")
    meta.graph_def.node.add(op="AssignVariableOp", name="again", input=[handle, path])


def assign_by_copy(meta):
    meta.graph_def.node.add(op="Identity", name="copy", input=[handle_of(meta)])
    path = add_node(meta, "Const", "path")
    meta.graph_def.node.add(op="AssignVariableOp", name="again", input=["copy", path])


def assign_by_name(meta):
    (handle,) = [node for node in meta.graph_def.node if node.name == handle_of(meta)]
    other = meta.graph_def.node.add()
    other.CopyFrom(handle)
    other.name = "other"
    other.attr["shared_name"].s = handle.attr["shared_name"].s or handle.name.encode()
    path = add_node(meta, "Const", "path")
    meta.graph_def.node.add(op="AssignVariableOp", name="again", input=["other", path])


def redefine_operation(meta):
    meta.graph_def.library.function.add().signature.name = "Identity"


def pass_constant(meta):
    path = add_node(meta, "Const", "path")
    calls = [node for node in meta.graph_def.node if "initializer" in node.attr["f"].func.name]
    for call in calls:
        call.input[0] = path


@pytest.mark.parametrize(
    "change",
    [
        *(leave_folder, leave_folder_from_root, forget_asset, redefine_operation, pass_constant),
        *(assign_constant, assign_by_copy, assign_by_name),
    ],
)
def test_a_table_of_another_file_is_refused(model, change):
    assert outside_ops(edit(model, change)) == REFUSED


def test_a_signature_may_not_fill_a_table(model):
    def change(meta):
        (output,) = meta.signature_def["serving_default"].outputs.values()
        (node,) = [node for node in meta.graph_def.node if node.name == output.name.split(":")[0]]
        node.input.append(f"^{meta.signature_def['__saved_model_init_op'].outputs['__saved_model_init_op'].name}")

    assert outside_ops(edit(model, change)) == {"signature serving_default": {"InitializeTableFromTextFileV2"}}
