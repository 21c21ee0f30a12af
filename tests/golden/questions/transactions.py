"""Transactions and their markers: what is refused before anything is looked up."""

from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from tests.golden.questions.question import Question

_PRODUCER_ID = 4_321


def _commit(name: str, version: int, group_id: str) -> Question:
    partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    request = TxnOffsetCommitRequest(
        transactional_id="golden",
        group_id=group_id,
        producer_id=_PRODUCER_ID,
        producer_epoch=0,
        topics=[TxnOffsetCommitRequestTopic(name="golden", partitions=[partition])],
    )
    return Question.of(name, version, request)


def _marker(
    *topics: tuple[str, list[int]], producer_id: int = _PRODUCER_ID, epoch: int = 0
) -> WritableTxnMarker:
    return WritableTxnMarker(
        producer_id=producer_id,
        producer_epoch=epoch,
        topics=[
            WritableTxnMarkerTopic(name=name, partition_indexes=indexes) for name, indexes in topics
        ],
    )


def _markers(name: str, *markers: WritableTxnMarker) -> Question:
    return Question.of(name, 1, WriteTxnMarkersRequest(markers=list(markers)))


QUESTIONS = (
    _commit("TxnOffsetCommit v3 without a group id", 3, ""),
    _markers("WriteTxnMarkers v1 of nobody", _marker(("golden", [0]), producer_id=-1)),
    _markers("WriteTxnMarkers v1 of an epoch below zero", _marker(("golden", [0]), epoch=-1)),
    _markers("WriteTxnMarkers v1 without partitions", _marker(("golden", []))),
    # Not of several partitions: Kafka tells them in the order of a hash map.
    _markers("WriteTxnMarkers v1 of a topic named twice", _marker(("nix", [0]), ("nix", [0]))),
    _markers(
        "WriteTxnMarkers v1 of a producer named twice",
        _marker(("missing", [0])),
        _marker(("missing", [0]), epoch=1),
    ),
)
