"""Operations with which a SavedModel reaches beyond its graph: files, the network and Python.

A SavedModel is a program. These operations run with the rights of the server's process, so `publish` refuses them
unless they are allowed by name. The saver reads and writes checkpoints, and must not be reached by a signature.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError
from tfllmrec.export.saved_model import meta_graphs, nodes_of

PYTHON = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
"""Operations that call Python functions, which exist only in the process that exported the model."""
FILES = frozenset(
    {
        *("ReadFile", "WriteFile", "MatchingFiles", "FileSystemSetConfiguration", "CreateSummaryFileWriter"),
        *("CreateSummaryDbWriter", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "RecordInput"),
        *("LoadAndRemapMatrix", "GenerateVocabRemapping", "PrintV2"),
        *("FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader", "TextLineReader", "TextLineReaderV2"),
        *("TFRecordReader", "TFRecordReaderV2", "WholeFileReader", "WholeFileReaderV2"),
        *("CSVDataset", "CSVDatasetV2", "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "LMDBDataset"),
        *("MatchingFilesDataset", "SqlDataset", "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2"),
        *("ExperimentalCSVDataset", "ExperimentalLMDBDataset", "ExperimentalMatchingFilesDataset"),
        *("ExperimentalSqlDataset", "ExperimentalDatasetToTFRecord", "DatasetToTFRecord", "CacheDataset"),
        *("CacheDatasetV2", "SaveDataset", "SaveDatasetV2", "LoadDataset", "DistributedSave", "SnapshotDataset"),
        *("SnapshotDatasetV2", "SnapshotDatasetReader", "SnapshotNestedDatasetReader", "SnapshotChunkDataset"),
        *("ListSnapshotChunksDataset",),
    }
)
"""Operations that read, write or list files. `PrintV2` counts if it prints to a file."""
NETWORK = frozenset(
    {
        *("DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4"),
        *("RegisterDataset", "RegisterDatasetV2", "RemoteCall", "Send", "Recv", "_Send", "_Recv", "_HostSend"),
        *("_HostRecv", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"),
        *("CollectiveAllToAllV2", "CollectiveAllToAllV3", "CollectiveAssignGroupV2", "CollectiveBcastRecv"),
        *("CollectiveBcastRecvV2", "CollectiveBcastSend", "CollectiveBcastSendV2", "CollectiveGather"),
        *("CollectiveGatherV2", "CollectiveInitializeCommunicator", "CollectivePermute", "CollectiveReduce"),
        *("CollectiveReduceScatterV2", "CollectiveReduceV2", "CollectiveReduceV3", "NcclAllReduce", "NcclBroadcast"),
        *("NcclReduce", "RpcServer", "RpcClient", "RpcCall", "RpcServerStart", "RpcServerRegister"),
        *("RpcCheckStatus", "RpcGetValue", "ConfigureDistributedTPU", "ShutdownDistributedTPU", "WorkerHeartbeat"),
    }
)
"""Operations that connect to other processes. The debugger's write to files as well."""
SAVER = frozenset(
    {
        *("Save", "SaveSlices", "SaveV2", "Restore", "RestoreSlice", "RestoreV2", "MergeV2Checkpoints"),
        *("ShardedFilename", "ShardedFilespec"),
    }
)
"""Operations of the saver, which every SavedModel has. They read and write the files that their inputs name."""
_PRINT, _STREAM, _FILE_PREFIX = "PrintV2", "output_stream", b"file:"


def unsafe_ops(saved_model: str | Path) -> dict[str, str]:
    """Return the operations of a SavedModel that reach files, the network or Python, with the place of each.

    Operations of the saver count if a signature or the initialisation reaches them, all others in any place.
    """
    found: dict[str, str] = {}
    for graph in meta_graphs(Path(saved_model)):
        for name, outputs in _entry_points(graph):
            for op in _ops(_reachable(graph.graph_def, outputs)) & (FILES | NETWORK | PYTHON | SAVER):
                found.setdefault(op, name)
        for op in _ops(nodes_of(graph.graph_def)) & (FILES | NETWORK | PYTHON):
            found.setdefault(op, "no signature")
    return dict(sorted(found.items()))


def check_unsafe_ops(saved_model: str | Path, allow_ops: Collection[str] = ()) -> None:
    """Check that a SavedModel has no operations that reach files, the network or Python, except those allowed.

    Raises:
        InputError: If it has one, or an allowed name is not such an operation.
    """
    if unknown := sorted(set(allow_ops) - (FILES | NETWORK | SAVER)):
        raise InputError(f"publish: {unknown[0]} cannot be allowed: it is not an operation on files or the network")
    found = {op: place for op, place in unsafe_ops(saved_model).items() if op not in allow_ops}
    if found:
        places = ", ".join(f"{op} ({place})" for op, place in found.items())
        raise InputError(
            f"publish: {saved_model} can reach files, the network or Python: {places}; export it without these "
            f"operations, or allow them if you trust it: --allow-ops {','.join(found)}"
        )


def _entry_points(graph: Any) -> Iterator[tuple[str, list[str]]]:
    """Iterate over the names and the output tensors of the signatures, the initialisation among them."""
    for name, signature in sorted(graph.signature_def.items()):
        yield f"signature {name}", [info.name for info in signature.outputs.values()]
    for key in ("legacy_init_op", "saved_model_main_op"):
        if key in graph.collection_def:
            yield "initialisation", list(graph.collection_def[key].node_list.value)


def _reachable(graph: Any, outputs: list[str]) -> Iterator[Any]:
    """Iterate over the nodes that run for outputs, including those in all functions that are called."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    names, called, seen = [*outputs], list[str](), set[str]()
    while names:
        name = names.pop().lstrip("^").partition(":")[0]
        if name in nodes and name not in seen:
            seen.add(name)
            names += nodes[name].input
            called += _called(nodes[name])
            yield nodes[name]
    seen.clear()
    while called:
        if (name := called.pop()) in functions and name not in seen:
            seen.add(name)
            for node in functions[name].node_def:
                called += _called(node)
                yield node


def _called(node: Any) -> list[str]:
    """Return the names of the functions that a node may call: in its attributes, or as its operation."""
    attributes = node.attr.values()
    return [node.op, *(each.func.name for each in attributes), *(f.name for each in attributes for f in each.list.func)]


def _ops(nodes: Iterator[Any]) -> set[str]:
    return {node.op for node in nodes if node.op != _PRINT or node.attr[_STREAM].s.startswith(_FILE_PREFIX)}
