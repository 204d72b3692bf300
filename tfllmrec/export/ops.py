"""Which operations an export needs, and whether TF Serving has them."""

from pathlib import Path

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.saved_model import meta_graph, nodes_of

TEXT_OPS = frozenset({"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "FastWordpieceTokenizeWithOffsets"})
"""Of TensorFlow Text, which TF Serving links; those that BERT's tokenizer needs."""
SCANN = "Scann"
"""The namespace of ScaNN's operations, for which a TF Serving has to be built."""
_ONLY_IN_PYTHON = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})


def ops_of(saved_model: str | Path) -> set[str]:
    """The operations of a SavedModel by name, those of its functions among them."""
    graph = meta_graph(Path(saved_model)).graph_def
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes_of(graph)} - functions


def of_scann(ops: set[str]) -> set[str]:
    """Those of some operations that are ScaNN's."""
    return {op for op in ops if op.startswith(f"{SCANN}>")}


def check_ops(saved_model: str | Path) -> None:
    """Raise an InputError where a SavedModel has operations that a stock TF Serving does not link.

    It has TensorFlow's own, but for those that call Python, and TensorFlow Text's. ScaNN's may be there as well, for
    nobody has them unasked.
    """
    linked = (set(dir(tf.raw_ops)) - _ONLY_IN_PYTHON) | TEXT_OPS
    found = ops_of(saved_model)
    missing = sorted(found - linked - of_scann(found))
    if missing:
        raise InputError(f"export: TF Serving does not have these operations: {', '.join(missing)}")
