"""Producing and fetching: which record sets are taken, and what a reader is told."""

import struct

from fastcrc import crc32

from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from datacore._generated.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore.record.compression import Codec
from datacore.record.records import Record, encode_batch
from tests.golden.questions.question import Question
from tests.golden.questions.topics import SOME_ID

NOW = 1_700_000_000_000
_RECORDS = [Record(timestamp_ms=NOW + n, key=b"k%d" % n, value=b"v%d" % n) for n in range(3)]


ONE = bytes(encode_batch(_RECORDS))
KEYLESS = bytes(encode_batch([Record(timestamp_ms=NOW, value=b"v"), _RECORDS[0]]))


def _produce(
    name: str,
    records: bytes | bytearray | None,
    *,
    version: int = 9,
    topic: str = "golden",
    partition: int = 0,
    acks: int = -1,
    topic_id: bytes = bytes(16),
) -> Question:
    data = PartitionProduceData(index=partition, records=records)
    request = ProduceRequest(
        acks=acks,
        timeout_ms=5_000,
        topic_data=[TopicProduceData(name=topic, topic_id=topic_id, partition_data=[data])],
    )
    # The start of the log is told with some refusals and not with others, to nobody's use.
    left_out = [] if topic == "golden" and records == ONE else ["log_start_offset"]
    return Question.of(
        name, version, request, "batch_index_error_message", "current_leader", *left_out
    )


def _sealed(batch: bytearray) -> bytes:
    """A batch that was changed, with the CRC that it should have."""
    struct.pack_into(">I", batch, 17, crc32.iscsi(bytes(batch[21:])))
    return bytes(batch)


def _changed(at: int, layout: str, value: int, codec: Codec = Codec.NONE) -> bytes:
    """A batch of three records with another value at a place in its header."""
    batch = encode_batch(_RECORDS, codec=codec)
    struct.pack_into(layout, batch, at, value)
    return _sealed(batch)


def _idempotent(sequence: int, *, epoch: int = 0) -> bytes:
    return bytes(
        encode_batch(_RECORDS, producer_id=4_000, producer_epoch=epoch, base_sequence=sequence)
    )


def _spoiled(codec: Codec) -> bytes:
    batch = encode_batch(_RECORDS, codec=codec)
    batch[61:] = b"\xaa" * (len(batch) - 61)
    return _sealed(batch)


def _wrong_crc() -> bytes:
    batch = encode_batch(_RECORDS)
    batch[17] ^= 1
    return bytes(batch)


PRODUCE = (
    _produce("Produce v9 of a batch", ONE),
    _produce("Produce v9 with acks=1", ONE, acks=1),
    _produce("Produce v3 of a batch", ONE, version=3),
    _produce("Produce v12 of a batch", ONE, version=12),
    _produce("Produce v9 to an unknown topic", ONE, topic="missing"),
    _produce("Produce v9 to a topic name with a space", ONE, topic="a b"),
    _produce("Produce v9 to an unknown partition", ONE, partition=9),
    _produce("Produce v9 to a negative partition", ONE, partition=-1),
    _produce("Produce v13 to an unknown topic id", ONE, version=13, topic_id=SOME_ID),
    _produce("Produce v9 with acks=2", ONE, acks=2),
    _produce("Produce v9 with acks=2 to an unknown topic", ONE, acks=2, topic="missing"),
    # Not null: that Kafka never answers at all.
    _produce("Produce v9 of nothing", b""),
    _produce("Produce v9 of a batch with a wrong CRC", _wrong_crc()),
    _produce("Produce v9 of a cut batch", ONE[:-5]),
    _produce("Produce v9 of two batches", ONE + ONE),
    _produce("Produce v9 of a batch and a cut one", ONE + ONE[:-5], topic="spoiled"),
    _produce("Produce v9 with a base offset", _changed(0, ">q", 5)),
    _produce("Produce v9 of magic 5", _changed(16, ">b", 5)),
    _produce("Produce v9 of a size that is too small", _changed(8, ">i", 5)),
    _produce("Produce v9 of no records", _changed(57, ">i", 0)),
    _produce("Produce v9 of a count that is too high", _changed(57, ">i", 4)),
    _produce("Produce v9 of a last offset delta that is too high", _changed(23, ">i", 4)),
    _produce("Produce v9 of a control batch", _changed(21, ">h", 0x20)),
    _produce("Produce v9 of a transactional batch without an id", _changed(21, ">h", 0x10)),
    _produce("Produce v9 with attribute bits that nobody knows", _changed(21, ">h", 0x100)),
    _produce("Produce v9 with the log append time bit", _changed(21, ">h", 0x08)),
    _produce("Produce v9 of codec 5", _changed(21, ">h", 5), topic="spoiled"),
    _produce("Produce v9 of gzip that is none", _spoiled(Codec.GZIP), topic="spoiled"),
    _produce("Produce v9 of zstd", bytes(encode_batch(_RECORDS, codec=Codec.ZSTD))),
    _produce(
        "Produce v3 of zstd",
        bytes(encode_batch(_RECORDS, codec=Codec.ZSTD)),
        version=3,
        topic="spoiled",
    ),
    _produce("Produce v9 of more than max.message.bytes", ONE, topic="small"),
    _produce("Produce v9 without a key to a compacted topic", KEYLESS, topic="compacted"),
    _produce(
        "Produce v7 without a key to a compacted topic", KEYLESS, topic="compacted", version=7
    ),
    _produce("Produce v9, idempotent, any first sequence", _idempotent(42)),
    _produce("Produce v9, idempotent, the same again", _idempotent(42)),
    _produce("Produce v9, idempotent, the next", _idempotent(45)),
    _produce("Produce v9, idempotent, an older one again", _idempotent(42)),
    _produce("Produce v9, idempotent, a gap", _idempotent(100)),
    _produce("Produce v9, idempotent, a new epoch from 5", _idempotent(5, epoch=1)),
    _produce("Produce v9, idempotent, a new epoch from 0", _idempotent(0, epoch=1)),
    _produce("Produce v9, idempotent, the old epoch", _idempotent(48)),
)


def _fetch(
    name: str,
    *,
    version: int = 12,
    topic: str = "untouched",
    partition: int = 0,
    offset: int = 0,
    leader_epoch: int = -1,
    session: tuple[int, int] = (0, -1),
    topic_id: bytes = bytes(16),
) -> Question:
    wanted = FetchPartition(
        partition=partition,
        fetch_offset=offset,
        current_leader_epoch=leader_epoch,
        partition_max_bytes=1_000_000,
    )
    request = FetchRequest(
        max_wait_ms=1,
        max_bytes=1_000_000,
        session_id=session[0],
        session_epoch=session[1],
        topics=[FetchTopic(topic=topic, topic_id=topic_id, partitions=[wanted])],
    )
    return Question.of(name, version, request, "current_leader")


FETCH = (
    _fetch("Fetch v12 of an empty partition"),
    _fetch("Fetch v4 of an empty partition", version=4),
    _fetch("Fetch v11 of an empty partition", version=11),
    _fetch("Fetch v12 of an unknown topic", topic="missing"),
    _fetch("Fetch v12 of an unknown partition", partition=9),
    _fetch("Fetch v12 behind the end", offset=1),
    _fetch("Fetch v12 before the start", offset=-5),
    _fetch("Fetch v4 behind the end", version=4, offset=1),
    _fetch("Fetch v13 of an unknown topic id", version=13, topic_id=SOME_ID),
    _fetch("Fetch v12 with a leader epoch of the future", leader_epoch=99),
    _fetch("Fetch v12 with a leader epoch below none", leader_epoch=-2),
    _fetch("Fetch v12 of a session that is not there", session=(77, 5)),
    _fetch("Fetch v12 that closes a session that is not there", session=(77, -1)),
    _fetch("Fetch v12 with a session epoch and no session", session=(0, 5)),
)


def _list_offsets(
    name: str,
    timestamp: int,
    *,
    version: int = 7,
    topic: str = "untouched",
    partition: int = 0,
    leader_epoch: int = -1,
    replica_id: int = -1,
) -> Question:
    wanted = ListOffsetsPartition(
        partition_index=partition, timestamp=timestamp, current_leader_epoch=leader_epoch
    )
    topics = [ListOffsetsTopic(name=topic, partitions=[wanted])]
    return Question.of(name, version, ListOffsetsRequest(replica_id=replica_id, topics=topics))


OFFSETS = (
    _list_offsets("ListOffsets v7, earliest of an empty partition", -2),
    _list_offsets("ListOffsets v7, latest of an empty partition", -1),
    _list_offsets("ListOffsets v7, max timestamp of an empty partition", -3),
    _list_offsets("ListOffsets v7, by time in an empty partition", NOW),
    _list_offsets("ListOffsets v1, latest of an empty partition", -1, version=1),
    _list_offsets("ListOffsets v1, by time in an empty partition", NOW, version=1),
    _list_offsets("ListOffsets v8, earliest local", -4, version=8),
    _list_offsets("ListOffsets v9, latest tiered", -5, version=9),
    _list_offsets("ListOffsets v7, earliest", -2, topic="golden"),
    _list_offsets("ListOffsets v7, max timestamp", -3, topic="golden"),
    _list_offsets("ListOffsets v7, by time, the second record", NOW + 1, topic="golden"),
    _list_offsets("ListOffsets v7, by time, after all", NOW * 2, topic="golden"),
    _list_offsets("ListOffsets v7 of a timestamp that means nothing", -9, topic="golden"),
    _list_offsets("ListOffsets v7 of an unknown topic", -1, topic="missing"),
    _list_offsets("ListOffsets v7 of an unknown partition", -1, partition=9),
    _list_offsets("ListOffsets v7 with a leader epoch of the future", -1, leader_epoch=99),
    _list_offsets("ListOffsets v7 with a leader epoch below none", -1, leader_epoch=-2),
    _list_offsets("ListOffsets v7, earliest local, by a client of the future", -4, leader_epoch=99),
)


def _epoch(name: str, epoch: int, *, topic: str = "golden", leader_epoch: int = -1) -> Question:
    wanted = OffsetForLeaderPartition(
        partition=0, leader_epoch=epoch, current_leader_epoch=leader_epoch
    )
    topics = [OffsetForLeaderTopic(topic=topic, partitions=[wanted])]
    return Question.of(
        name, 4, OffsetForLeaderEpochRequest(replica_id=-1, topics=topics), "end_offset"
    )


EPOCHS = (
    _epoch("OffsetForLeaderEpoch v4 of the first epoch", 0),
    _epoch("OffsetForLeaderEpoch v4 of an epoch of the future", 99),
    _epoch("OffsetForLeaderEpoch v4 of an unknown topic", 0, topic="missing"),
    _epoch("OffsetForLeaderEpoch v4 by a client of the future", 0, leader_epoch=99),
    _epoch("OffsetForLeaderEpoch v4 with a leader epoch below none", 0, leader_epoch=-2),
)

PRODUCER_IDS = (
    Question.of(
        "InitProducerId v4 without a transactional id",
        4,
        InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
    ),
    Question.of(
        "InitProducerId v4 with an empty transactional id",
        4,
        InitProducerIdRequest(transactional_id="", transaction_timeout_ms=60_000),
    ),
    Question.of(
        "InitProducerId v4 with a producer id and no epoch",
        4,
        InitProducerIdRequest(
            transactional_id=None, transaction_timeout_ms=60_000, producer_id=5, producer_epoch=-1
        ),
    ),
)

QUESTIONS = (*PRODUCE, *FETCH, *OFFSETS, *EPOCHS, *PRODUCER_IDS)
