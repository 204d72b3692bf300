"""Which operations an export needs, and whether TF Serving has them."""

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfllmrec.errors import InputError

TEXT_OPS = frozenset({"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "FastWordpieceTokenizeWithOffsets"})
"""Of TensorFlow Text, which TF Serving links; those that BERT's tokenizer needs."""
_ONLY_IN_PYTHON = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})


def ops_of(saved_model: str | Path) -> set[str]:
    """The operations of a SavedModel by name, those of its functions among them."""
    content = (Path(saved_model) / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes} - functions


def check_ops(saved_model: str | Path) -> None:
    """Raise an InputError where a SavedModel has operations that a stock TF Serving does not link.

    It has TensorFlow's own, but for those that call Python, and TensorFlow Text's.
    """
    linked = (set(dir(tf.raw_ops)) - _ONLY_IN_PYTHON) | TEXT_OPS
    missing = sorted(ops_of(saved_model) - linked)
    if missing:
        raise InputError(f"export: TF Serving does not have these operations: {', '.join(missing)}")
