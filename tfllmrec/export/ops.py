"""Operations of an export, and the check that TF Serving links them."""

from pathlib import Path

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.saved_model import meta_graph, nodes_of

TEXT_OPS = frozenset({"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "FastWordpieceTokenizeWithOffsets"})
"""Operations of TensorFlow Text, which TF Serving links, that the tokenizer of BERT uses."""
SCANN = "Scann"
"""The namespace of ScaNN's operations, which only a custom build of TF Serving links."""
_ONLY_IN_PYTHON = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})


def ops_of(saved_model: str | Path) -> set[str]:
    """Return the names of the operations of a SavedModel, its functions included."""
    graph = meta_graph(Path(saved_model)).graph_def
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes_of(graph)} - functions


def of_scann(ops: set[str]) -> set[str]:
    """Return those of some operations that belong to ScaNN."""
    return {op for op in ops if op.startswith(f"{SCANN}>")}


def check_ops(saved_model: str | Path) -> None:
    """Check that a stock TF Serving links all operations of a SavedModel.

    It links TensorFlow's operations, except those that call Python, and TensorFlow Text's. ScaNN's are accepted: an
    export has them on request alone.

    Raises:
        InputError: If operations are missing in TF Serving.
    """
    linked = (set(dir(tf.raw_ops)) - _ONLY_IN_PYTHON) | TEXT_OPS
    found = ops_of(saved_model)
    missing = sorted(found - linked - of_scann(found))
    if missing:
        raise InputError(f"export: TF Serving does not have these operations: {', '.join(missing)}")
