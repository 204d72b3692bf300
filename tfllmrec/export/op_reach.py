"""Operations that each part of a SavedModel reaches outside its graph."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tfllmrec.export.asset_tables import AssetTables
from tfllmrec.export.op_policy import SAVER_OPS, TABLE_OPS, reaches_outside
from tfllmrec.export.saved_graph import MAIN, SavedGraph, node_name, tensor_names
from tfllmrec.export.saved_model import meta_graphs

_INIT = "__saved_model_init_op"
_INIT_COLLECTIONS = frozenset({"saved_model_main_op", "legacy_init_op"})


def outside_ops(saved_model: str | Path) -> dict[str, set[str]]:
    """Return the operations outside the graph that a SavedModel reaches and its saver does not need.

    They are searched in the graphs of all tags. A signature reaches the operations that its outputs depend on, control
    inputs and all nodes of called functions included. When a model server loads a version, it runs the restore
    operation, which may read the checkpoint, and the init operation, which may fill tables from assets.

    Returns:
        Names of operations by the part that reaches them: "signature retrieve", "the init op", "the restore op", "the
        save op" or "an unused part".
    """
    parts = defaultdict(set)
    for meta in meta_graphs(Path(saved_model)):
        for part, op in _Walk(SavedGraph(meta)).findings():
            parts[part].add(op)
    return dict(parts)


class _Found(NamedTuple):
    """Node that reaches outside the graph or that belongs into the saver, and the body that holds it."""

    body: str
    name: str
    op: str


class _Part(NamedTuple):
    """Part of a SavedModel that a server can run: the tensors or nodes that it computes, and the permitted nodes."""

    name: str
    tensors: Iterable[str]
    permits: Callable[[_Found], bool]


class _Walk:
    """Walk over the graph of a SavedModel and the functions that it calls."""

    def __init__(self, graph: SavedGraph) -> None:
        self._graph = graph
        self._tables = AssetTables(graph)
        self._found = {body: set[_Found]() for body in graph.bodies}
        self._callees = {body: set[str]() for body in graph.bodies}
        for body, node in graph.nodes():
            self._callees[body] |= graph.called(node)
            if node.op in SAVER_OPS or reaches_outside(node):
                self._found[body].add(_Found(body, node.name, node.op))

    def findings(self) -> Iterator[tuple[str, str]]:
        """Iterate over pairs of a part's name and the name of an operation that is not permitted in it."""
        unused = {found.op for of_body in self._found.values() for found in of_body} - SAVER_OPS
        for part in self._parts():
            reached = self._reached(part.tensors)
            yield from ((part.name, found.op) for found in reached if not part.permits(found))
            unused -= {found.op for found in reached}
        yield from (("an unused part", op) for op in unused)

    def _parts(self) -> Iterator[_Part]:
        meta = self._graph.meta
        yield _Part("the save op", [meta.saver_def.save_tensor_name], lambda found: found.op in SAVER_OPS)
        yield _Part("the restore op", [meta.saver_def.restore_op_name], lambda found: found.op == "RestoreV2")
        for key in _INIT_COLLECTIONS & meta.collection_def.keys():
            yield _Part("the init op", meta.collection_def[key].node_list.value, self._fills_table_from_asset)
        for key, signature in meta.signature_def.items():
            tensors = [name for output in signature.outputs.values() for name in tensor_names(output)]
            if key == _INIT:
                yield _Part("the init op", tensors, self._fills_table_from_asset)
            else:
                yield _Part(f"signature {key}", tensors, lambda found: False)

    def _fills_table_from_asset(self, found: _Found) -> bool:
        return found.op in TABLE_OPS and self._tables.includes(found.body, found.name)

    def _reached(self, tensors: Iterable[str]) -> set[_Found]:
        """Return the nodes of interest that the computation of tensors may run."""
        names, functions = self._main_nodes(tensors), set[str]()
        reached = {found for found in self._found[MAIN] if found.name in names}
        waiting = set().union(*(self._graph.called(self._graph.bodies[MAIN][name]) for name in names))
        while waiting:
            function = waiting.pop()
            functions.add(function)
            reached |= self._found[function]
            waiting |= self._callees[function] - functions
        return reached

    def _main_nodes(self, tensors: Iterable[str]) -> set[str]:
        """Return the nodes outside of functions that tensors depend on."""
        nodes, names = self._graph.bodies[MAIN], set[str]()
        waiting = {*map(node_name, tensors)} & nodes.keys()
        while waiting:
            name = waiting.pop()
            names.add(name)
            waiting |= {*map(node_name, nodes[name].input)} & nodes.keys() - names
        return names
