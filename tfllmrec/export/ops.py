"""Operations of an export, and the check that TF Serving links them."""

from pathlib import Path

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.op_policy import PYTHON
from tfllmrec.export.saved_model import meta_graph, nodes_of

TEXT_OPS = frozenset({"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "FastWordpieceTokenizeWithOffsets"})
"""Operations of TensorFlow Text that the BERT tokenizer uses; TF Serving links them."""
SCANN = "Scann"
"""Namespace of ScaNN's operations, which only a custom build of TF Serving links."""


def ops_of(saved_model: str | Path) -> set[str]:
    """Return the names of the operations in a SavedModel, including those in its functions."""
    graph = meta_graph(Path(saved_model)).graph_def
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes_of(graph)} - functions


def of_scann(ops: set[str]) -> set[str]:
    """Select the operations in ScaNN's namespace."""
    return {op for op in ops if op.startswith(f"{SCANN}>")}


def check_ops(saved_model: str | Path) -> None:
    """Check that a stock TF Serving links all operations of a SavedModel.

    It links the operations of TensorFlow, except those that call Python, and of TensorFlow Text. Operations of ScaNN
    are accepted, because an export contains them only if its index is "scann".

    Raises:
        InputError: If TF Serving lacks an operation.
    """
    linked = (set(dir(tf.raw_ops)) - PYTHON) | TEXT_OPS
    ops = ops_of(saved_model)
    missing = sorted(ops - linked - of_scann(ops))
    if missing:
        raise InputError(f"export: TF Serving does not have these operations: {', '.join(missing)}")
