"""Operations of an export, and the check that TF Serving links them and that none reaches outside the graph."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import tensorflow as tf

from tfllmrec.arguments import require_type
from tfllmrec.errors import InputError
from tfllmrec.export.op_policy import OUTSIDE_OPS, PYTHON_OPS, SAVER_OPS
from tfllmrec.export.op_reach import outside_ops
from tfllmrec.export.saved_model import meta_graphs, nodes_of

TEXT_OPS = frozenset({"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "FastWordpieceTokenizeWithOffsets"})
"""Operations of TensorFlow Text that the BERT tokenizer uses; TF Serving links them."""
SCANN = "Scann"
"""Namespace of ScaNN's operations, which only a custom build of TF Serving links."""


def ops_of(saved_model: str | Path) -> set[str]:
    """Return the names of the operations in a SavedModel, including those in its functions."""
    ops = set()
    for graph in (meta.graph_def for meta in meta_graphs(Path(saved_model))):
        ops |= {node.op for node in nodes_of(graph)} - {function.signature.name for function in graph.library.function}
    return ops


def of_scann(ops: set[str]) -> set[str]:
    """Select the operations in ScaNN's namespace."""
    return {op for op in ops if op.startswith(f"{SCANN}>")}


def check_ops(saved_model: str | Path, allow_ops: Collection[str] = ()) -> None:
    """Check that a stock TF Serving links all operations of a SavedModel, and that none reaches outside its graph.

    It links the operations of TensorFlow and those of TensorFlow Text that a tokenizer uses. Operations of ScaNN are
    accepted, because an export contains them only if its index is "scann".

    Args:
        saved_model: folder of the SavedModel.
        allow_ops: names of operations that may reach files, the network or the process, such as "ReadFile".

    Raises:
        InputError: If TF Serving lacks an operation, if one calls Python or reaches outside the graph and is not
            allowed, if one of the saver is reached by a signature, or if `allow_ops` has a name that cannot be allowed.
    """
    _check_allowed(allow_ops)
    ops = ops_of(saved_model)
    missing = sorted(ops - _linked() - of_scann(ops))
    if missing:
        raise InputError(f"export: TF Serving does not have these operations: {', '.join(missing)}")
    reached = outside_ops(saved_model)
    if sentence := python_calls(reached):
        raise InputError(f"export: {sentence}")
    if parts := _parts_with(reached, SAVER_OPS):
        raise InputError(f"export: only the saver may use operations on checkpoints: {parts}")
    if parts := _parts_with(reached, OUTSIDE_OPS.difference(allow_ops)):
        names = ",".join(sorted(set().union(*reached.values()) | {*allow_ops}))
        raise InputError(
            f"export: operations reach outside the graph: {parts}; if you trust the model, publish it with "
            f"--allow-ops {names}"
        )


def python_calls(reached: Mapping[str, set[str]]) -> str:
    """Return a sentence on the parts of a SavedModel that call Python, "" if none does.

    Args:
        reached: the result of `outside_ops`.
    """
    parts = _parts_with(reached, PYTHON_OPS)
    return f"operations call Python functions, which a SavedModel does not contain: {parts}" if parts else ""


def _check_allowed(names: Collection[str]) -> None:
    require_type("publish", "allow_ops", names, (tuple, list, set, frozenset), "pass a tuple of names")
    if refused := sorted(PYTHON_OPS.intersection(names)):
        functions = "a SavedModel does not contain Python functions, so TF Serving cannot run them"
        raise InputError(f"publish: {', '.join(refused)} cannot be allowed: {functions}")
    if refused := sorted(SAVER_OPS.intersection(names)):
        raise InputError(f"publish: {', '.join(refused)} cannot be allowed: only the saver may use checkpoints")
    if unknown := sorted(set(names) - (OUTSIDE_OPS & _linked())):
        raise InputError(f"publish: {', '.join(unknown)} is not an operation that can be allowed")


def _linked() -> set[str]:
    return set(dir(tf.raw_ops)) | TEXT_OPS


def _parts_with(reached: Mapping[str, set[str]], ops: Iterable[str]) -> str:
    """Return the parts that reach some of the operations, with their names; "" if none does."""
    selected = {part: sorted(names.intersection(ops)) for part, names in sorted(reached.items())}
    return "; ".join(f"{part} reaches {', '.join(names)}" for part, names in selected.items() if names)
