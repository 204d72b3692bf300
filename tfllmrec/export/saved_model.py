"""Reading and tagging of `saved_model.pb`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfllmrec.errors import InputError

_FILE = "saved_model.pb"


def meta_graph(folder: Path) -> Any:
    """Return the only `MetaGraphDef` of an export."""
    return _read(folder).meta_graphs[0]


def meta_graphs(folder: Path) -> Sequence[Any]:
    """Return all `MetaGraphDef`s of a SavedModel, one for each set of tags that a server may load."""
    graphs: Sequence[Any] = _read(folder).meta_graphs
    return graphs


def nodes_of(graph: Any) -> Iterator[Any]:
    """Iterate over the nodes of a `GraphDef`, including those in its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def tag(folder: Path, tags: Sequence[str]) -> None:
    """Set the tags of a SavedModel; `tf.saved_model.save` only writes "serve"."""
    content = _read(folder)
    info = content.meta_graphs[0].meta_info_def
    info.ClearField("tags")
    info.tags.extend(tags)
    (folder / _FILE).write_bytes(content.SerializeToString(deterministic=True))


def _read(folder: Path) -> Any:
    try:
        return saved_model_pb2.SavedModel.FromString((folder / _FILE).read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"the SavedModel in {folder} cannot be loaded: {_FILE}: {error}") from error
