"""TensorFlow's operators that reach beyond their tensors: files, addresses, Python, native code.

A closed table after TensorFlow's own warning that models are programs (SECURITY.md) and the definitions of its
operators (tensorflow/core/ops/*.cc, TensorFlow 2.20). Everything else computes. Not here: how a graph is read
(tensorflow).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `always`: no model has a use for it. `place`: harmless unless it is given a place outside of the model; every
#: SavedModel restores its variables by one. `reader`: as `place`, and a warning where the place is not known.
Kind = Literal["always", "place", "reader"]


@dataclass(frozen=True)
class Operator:
    """What one operator does.

    Attributes:
        kind: see `Kind`.
        what: the end of “the operator …”.
        inputs: which of its inputs hold a place.
        attributes: attributes that hold one.
    """

    kind: Kind
    what: str
    inputs: tuple[int, ...] = ()
    attributes: tuple[str, ...] = ()


def _several(
    operators: str, kind: Kind, what: str, inputs: tuple[int, ...] = (0,), attributes: tuple[str, ...] = ()
) -> dict[str, Operator]:
    return dict.fromkeys(operators.split(), Operator(kind, what, inputs, attributes))


OPERATORS: dict[str, Operator] = {
    **_several("PyFunc PyFuncStateless EagerPyFunc", "always", "calls a function of Python's"),
    **_several("LoadLibrary LoadOpLibrary", "always", "loads native code"),
    **_several("XlaCustomCall XlaCustomCallV2", "reader", "calls native code by its name", ()),
    **_several("TRTEngineOp", "reader", "runs an engine of TensorRT's, which is native code", ()),
    **_several("WriteFile DatasetToTFRecord ExperimentalDatasetToTFRecord", "always", "writes a file"),
    **_several("SaveDataset SaveDatasetV2 DistributedSave", "always", "writes files"),
    **_several("SnapshotDataset SnapshotDatasetV2 SnapshotDatasetReader", "always", "reads and writes files"),
    **_several("SnapshotNestedDatasetReader SnapshotChunkDataset", "always", "reads files"),
    **_several("RPC TryRPC RpcCall RpcClient", "always", "calls another machine"),
    **_several("DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3", "always", "calls another machine"),
    **_several("DataServiceDatasetV4 RegisterDataset RegisterDatasetV2", "always", "calls another machine"),
    **_several("BigQueryReader BigtableClient KafkaDataset PubSubDataset", "always", "calls another machine"),
    **_several("GcsConfigureCredentials GcsConfigureBlockCache", "always", "configures access to a cloud"),
    **_several("SqlDataset ExperimentalSqlDataset", "always", "opens a database"),
    **_several("CreateSummaryFileWriter CreateSummaryDbWriter", "reader", "writes a log", (1,)),
    **_several("ReadFile MatchingFiles", "reader", "reads files"),
    **_several("MatchingFilesDataset ExperimentalMatchingFilesDataset", "reader", "lists files"),
    **_several("TextLineDataset CSVDataset CSVDatasetV2 ExperimentalCSVDataset", "reader", "reads files"),
    **_several("FixedLengthRecordDataset FixedLengthRecordDatasetV2", "reader", "reads files"),
    **_several("TFRecordDataset TFRecordDatasetV2", "reader", "reads files"),
    **_several("LMDBDataset ExperimentalLMDBDataset LoadDataset", "reader", "reads files"),
    **_several("WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2", "reader", "reads files", ()),
    **_several("TFRecordReader TFRecordReaderV2 LMDBReader", "reader", "reads files", ()),
    **_several("FixedLengthRecordReader FixedLengthRecordReaderV2", "reader", "reads files", ()),
    **_several("CacheDataset CacheDatasetV2", "place", "writes a file", (1,)),
    **_several("InitializeTableFromTextFile InitializeTableFromTextFileV2", "place", "reads a file", (1,)),
    **_several("GenerateVocabRemapping", "place", "reads files", (0, 1)),
    **_several("LoadAndRemapMatrix CheckpointHasKey", "place", "reads a file"),
    **_several("Restore RestoreSlice RestoreV2", "place", "reads files"),
    **_several("Save SaveSlices SaveV2", "place", "writes files"),
    **_several("MergeV2Checkpoints", "place", "moves files", (0, 1)),
    **_several("FixedUnigramCandidateSampler", "place", "reads a file", (), ("vocab_file",)),
    **_several("Skipgram", "place", "reads a file", (), ("filename",)),
    **_several("ImmutableConst", "place", "reads a file", (), ("memory_region_name",)),
    **_several("DecodeProtoV2 EncodeProto", "place", "reads a file", (), ("descriptor_source",)),
    **_several("PrintV2", "place", "writes a file", (), ("output_stream",)),
    **_several("DebugIdentity DebugIdentityV2", "place", "writes or sends elsewhere", (), ("debug_urls",)),
    **_several("DebugIdentityV3 DebugNanCount", "place", "writes or sends elsewhere", (), ("debug_urls",)),
    **_several("DebugNumericSummary DebugNumericSummaryV2", "place", "writes or sends elsewhere", (), ("debug_urls",)),
}
#: Beginnings of values that are not paths: descriptors within the program or the attribute itself.
WITHIN = ("local://", "bytes://")
#: Operators that put texts one after the other.
JOINING = frozenset({"StringJoin", "Add", "AddV2", "ShardedFilename", "ShardedFilespec"})
#: Operators through which a text passes unchanged.
_PASSING = (
    "Identity IdentityN StopGradient Snapshot PlaceholderWithDefault ExpandDims Reshape Squeeze Pack ConcatV2 Fill"
    " Cast Select SelectV2 Gather GatherV2 Slice StridedSlice StringStrip Unpack Split Tile BroadcastTo"
    " TensorSliceDataset TensorDataset Switch Merge Enter Exit RandomShuffle Unique"
)
PASSING = frozenset(_PASSING.split())
#: Libraries whose operators are named with this before a `>`: not part of TensorFlow.
LIBRARY_MARK = ">"
