"""SavedModels of a function, and changes of their graphs."""

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

TEXTS = tf.TensorSpec([None], tf.string, "texts")


def save(folder, function, **objects):
    """Save a function of texts as a SavedModel and return its folder."""
    module = tf.Module()
    module.objects = objects
    module.call = tf.function(function, input_signature=[TEXTS])
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    return folder


def edit(folder, change):
    """Change the `MetaGraphDef` of a SavedModel and return its folder."""
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    return folder


def add_node(meta, op, name="added", **attributes):
    """Add a node to the graph, and return its name."""
    node = meta.graph_def.node.add(op=op, name=name)
    for key, value in attributes.items():
        node.attr[key].s = value
    return node.name
