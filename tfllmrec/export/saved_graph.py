"""Graph of a SavedModel and its functions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

MAIN = ""
"""Name of the body outside of all functions."""


class SavedGraph:
    """Nodes of a `MetaGraphDef`, those in functions included.

    Args:
        meta: the `MetaGraphDef`.

    Attributes:
        meta: the `MetaGraphDef`.
        bodies: nodes by name, by the name of the function that holds them.
        arguments: names of the arguments by function.
    """

    def __init__(self, meta: Any) -> None:
        self.meta = meta
        library = meta.graph_def.library
        nodes = {MAIN: meta.graph_def.node} | {
            function.signature.name: function.node_def for function in library.function
        }
        self.bodies = {body: {node.name: node for node in of_body} for body, of_body in nodes.items()}
        self.arguments = {
            function.signature.name: [argument.name for argument in function.signature.input_arg]
            for function in library.function
        }
        self._alternatives = _alternatives(library)

    def nodes(self) -> Iterator[tuple[str, Any]]:
        """Iterate over pairs of a body and one of its nodes."""
        yield from ((body, node) for body, nodes in self.bodies.items() for node in nodes.values())

    def called(self, node: Any) -> set[str]:
        """Return the functions that a node may call: its operation, function attributes, and their alternatives."""
        names = {node.op}
        for value in node.attr.values():
            names.add(value.func.name)
            names |= {function.name for function in value.list.func}
        names &= self.arguments.keys()
        return names.union(*(self._alternatives[name] for name in names))


def node_name(tensor: str) -> str:
    """Return the node of an input such as "^node", "node:0" or, in a function, "node:output:0"."""
    return tensor.removeprefix("^").split(":")[0]


def tensor_names(info: Any) -> Iterator[str]:
    """Iterate over the tensors of a `TensorInfo`, which may be sparse or a composite."""
    sparse = info.coo_sparse
    names = (info.name, sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    yield from filter(None, names)
    for component in info.composite_tensor.components:
        yield from tensor_names(component)


def _alternatives(library: Any) -> Mapping[str, set[str]]:
    """Return the functions that may run in place of each: its gradient, and those with the same `api_implements`."""
    by_interface = defaultdict(set)
    for function in library.function:
        if interface := function.attr["api_implements"].s:
            by_interface[interface].add(function.signature.name)
    gradients = {gradient.function_name: {gradient.gradient_func} for gradient in library.gradient}
    return {
        function.signature.name: by_interface[function.attr["api_implements"].s]
        | gradients.get(function.signature.name, set())
        for function in library.function
    }
