"""Look-up tables that the init operation of a SavedModel fills from an asset."""

from pathlib import PurePosixPath
from typing import Any

from tfllmrec.export.saved_graph import MAIN, SavedGraph, node_name

_COPIES = frozenset({"Identity", "ReadVariableOp"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_READERS = frozenset({"ReadVariableOp", "VarIsInitializedOp"})
_KNOWN = _COPIES | _CALLS | _READERS | {"AssignVariableOp", "VarHandleOp"}

Source = tuple[str, str]
"""Body and name of a node that a tensor is a copy of."""
_UNKNOWN: Source = ("?", "?")


class AssetTables:
    """Decides which tables are filled from an asset.

    A model server feeds the path of each asset to a node. TensorFlow assigns it to a variable, and passes the value of
    the variable to the function that fills the table.
    """

    def __init__(self, graph: SavedGraph) -> None:
        self._graph = graph
        self._assets = {
            (MAIN, node_name(asset.tensor_info.name))
            for asset in graph.meta.asset_file_def
            if len(PurePosixPath(asset.filename).parts) == 1 and asset.filename not in ("/", "..")  # a plain file name
        }

    def includes(self, body: str, node: str) -> bool:
        """Return whether a node, which fills a table from a file, can only read an asset."""
        if self._graph.arguments.keys() & _KNOWN:  # a function takes the name of an operation
            return False
        _, filename, *_ = self._graph.bodies[body][node].input
        sources = self._sources(body, filename, set())
        return bool(sources) and sources <= self._assets

    def _sources(self, body: str, tensor: str, seen: set[Source]) -> set[Source]:
        """Return the nodes that a tensor is a copy of, through variables and arguments of functions."""
        name = node_name(tensor)
        if (body, name) in seen:
            return set()
        seen.add((body, name))
        node = self._graph.bodies[body].get(name)
        if node is None:
            origins = self._passed(body, name)
        elif node.op == "VarHandleOp":
            origins = self._assigned(node)
        elif node.op in _COPIES:
            origins = [(body, node.input[0])]
        else:
            return {(body, name)}
        return set().union(*({_UNKNOWN} if origin == _UNKNOWN else self._sources(*origin, seen) for origin in origins))

    def _passed(self, function: str, argument: str) -> list[Source]:
        """Return the tensors that callers pass as an argument; those of a loop or a data set are unknown."""
        position = self._graph.arguments[function].index(argument)
        return [
            (body, node.input[position]) if node.op in _CALLS and node.attr["f"].func.name == function else _UNKNOWN
            for body, node in self._graph.nodes()
            if function in self._graph.called(node)
        ]

    def _assigned(self, variable: Any) -> list[Source]:
        """Return the tensors that are assigned to a variable. An operation that is not known may assign anything."""
        return [
            (body, node.input[1]) if node.op == "AssignVariableOp" else _UNKNOWN
            for body, node in self._graph.nodes()
            if node.op not in _READERS and self._uses(body, node, variable)
        ]

    def _uses(self, body: str, node: Any, variable: Any) -> bool:
        handles = map(self._graph.bodies[body].get, map(node_name, node.input))
        return any(handle is not None and _variable(handle) == _variable(variable) for handle in handles)


def _variable(node: Any) -> tuple[bytes, bytes] | None:
    """Return the container and the name of a variable, which several handles may share."""
    if node.op != "VarHandleOp":
        return None
    return node.attr["container"].s, node.attr["shared_name"].s or node.name.encode()
