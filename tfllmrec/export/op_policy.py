"""Operations that reach outside the graph of a SavedModel: files, network, Python and the process."""

from typing import Any

_FILES = (
    # whole files, file names and file systems
    "ReadFile WriteFile MatchingFiles MatchingFilesDataset ExperimentalMatchingFilesDataset FileSystemSetConfiguration "
    # files that an attribute or a tensor names: memory-mapped constants, vocabularies, tables
    "ImmutableConst GenerateVocabRemapping InitializeTableFromTextFile InitializeTableFromTextFileV2 Skipgram "
    # queue readers
    "WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2 LMDBReader "
    "FixedLengthRecordReader FixedLengthRecordReaderV2 ReaderRead ReaderReadV2 ReaderReadUpTo ReaderReadUpToV2 "
    "RecordInput "
    # data sets in files
    "TextLineDataset TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2 CSVDataset "
    "CSVDatasetV2 ExperimentalCSVDataset LMDBDataset ExperimentalLMDBDataset SqlDataset ExperimentalSqlDataset "
    "DatasetToTFRecord ExperimentalDatasetToTFRecord LoadDataset SaveDataset SaveDatasetV2 CacheDataset CacheDatasetV2 "
    "SnapshotDataset SnapshotDatasetV2 SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader "
    "ListSnapshotChunksDataset "
    # checkpoints that are not read by the saver of a SavedModel
    "Save SaveSlices Restore RestoreSlice LoadAndRemapMatrix DTensorRestoreV2 "
    # summaries and dumps
    "SummaryWriter CreateSummaryFileWriter CreateSummaryDbWriter FlushSummaryWriter CloseSummaryWriter ImportEvent "
    "WriteSummary WriteAudioSummary WriteGraphSummary WriteHistogramSummary WriteImageSummary WriteRawProtoSummary "
    "WriteScalarSummary StatsAggregatorSetSummaryWriter DumpTensor CalibrationStatisticsSaver"
)
_NETWORK = (
    # other tasks of a cluster
    "Send Recv _Send _Recv _HostSend _HostRecv RemoteCall "
    "CollectiveAllToAllV2 CollectiveAllToAllV3 CollectiveAssignGroupV2 CollectiveBcastRecv CollectiveBcastRecvV2 "
    "CollectiveBcastSend CollectiveBcastSendV2 CollectiveGather CollectiveGatherV2 CollectiveInitializeCommunicator "
    "CollectivePermute CollectiveReduce CollectiveReduceScatterV2 CollectiveReduceV2 CollectiveReduceV3 "
    # servers
    "RpcCall RpcCheckStatus RpcClient RpcGetValue RpcServer RpcServerRegister RpcServerStart "
    "DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset "
    "RegisterDatasetV2 DistributedSave "
    # debuggers: their URLs are grpc:// or file://
    "DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary"
)
_PROCESS = (
    # ends the process, or a worker of a TPU
    "Abort WorkerHeartbeat "
    # runs a graph that arrives as a string, which no check has seen
    "DatasetFromGraph"
)

PYTHON_OPS = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
"""Operations that call a Python function. It is not part of a SavedModel, so a model server cannot run them."""
SAVER_OPS = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
"""Operations on checkpoints, which every SavedModel holds in its saver."""
TABLE_OPS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""Operations that fill a look-up table from a file, which may be an asset of the SavedModel."""
_BY_ATTRIBUTE = {
    "PrintV2": ("output_stream", lambda stream: stream.startswith(b"file://")),
    "FixedUnigramCandidateSampler": ("vocab_file", bool),
    "DecodeProtoV2": ("descriptor_source", lambda source: not source.startswith((b"local://", b"bytes://"))),
    "EncodeProto": ("descriptor_source", lambda source: not source.startswith((b"local://", b"bytes://"))),
}
"""Operations that reach a file only if an attribute names one."""

OUTSIDE_OPS = frozenset(f"{_FILES} {_NETWORK} {_PROCESS}".split()) | _BY_ATTRIBUTE.keys()
"""Operations that a caller may allow although they reach outside the graph."""


def reaches_outside(node: Any) -> bool:
    """Return whether a `NodeDef` reaches outside the graph or calls Python. The saver's operations do not count."""
    if node.op in _BY_ATTRIBUTE:
        attribute, names_a_file = _BY_ATTRIBUTE[node.op]
        return attribute in node.attr and names_a_file(node.attr[attribute].s)
    return node.op in OUTSIDE_OPS or node.op in PYTHON_OPS
