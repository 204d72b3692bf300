"""The file that a SavedModel is: read, and tagged."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

_FILE = "saved_model.pb"


def meta_graph(folder: Path) -> Any:
    """The `MetaGraphDef` of an export, which has one."""
    return _read(folder).meta_graphs[0]


def nodes_of(graph: Any) -> Iterator[Any]:
    """The nodes of a `GraphDef`, those of its functions among them."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def tag(folder: Path, tags: Sequence[str]) -> None:
    """Give a SavedModel its tags; `tf.saved_model.save` knows "serve" alone."""
    content = _read(folder)
    info = content.meta_graphs[0].meta_info_def
    info.ClearField("tags")
    info.tags.extend(tags)
    (folder / _FILE).write_bytes(content.SerializeToString(deterministic=True))


def _read(folder: Path) -> Any:
    return saved_model_pb2.SavedModel.FromString((folder / _FILE).read_bytes())
