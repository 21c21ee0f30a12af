"""Records, offsets and topics asked for in vain."""

from collections.abc import Callable, Iterator

from datacore._generated.api_keys import ApiKey
from datacore._generated.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from datacore._generated.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore.record.compression import Codec
from datacore.record.records import Record
from datacore.wire.message import WireMessage
from tests.handlers.record_sets import encode, produced_magic
from tests.handlers.refused import COMPACTED, EMPTY, MISSING, RECENT, SMALL, SOME_ID, TOPIC, Refused

FUTURE_EPOCH = 99


def _produce(
    topic: str,
    *,
    partition: int = 0,
    acks: int = -1,
    key: bytes | None = b"k",
    codec: Codec = Codec.NONE,
    spoil: bool = False,
) -> Callable[[int], ProduceRequest]:
    def request(version: int) -> ProduceRequest:
        record = Record(0, 1_700_000_000_000, key, b"v" * 80)
        records = bytearray(encode([record], produced_magic(version), codec=codec))
        if spoil:
            records[-1] ^= 1
        return ProduceRequest(
            acks=acks,
            timeout_ms=5_000,
            topic_data=[
                TopicProduceData(
                    name=topic,
                    topic_id=SOME_ID,
                    partition_data=[PartitionProduceData(index=partition, records=records)],
                )
            ],
        )

    return request


def _fetch(
    topic: str, *, partition: int = 0, offset: int = 0, epoch: int = -1, session: int = 0
) -> Callable[[int], FetchRequest]:
    def request(_: int) -> FetchRequest:
        asked = FetchPartition(
            partition=partition,
            fetch_offset=offset,
            current_leader_epoch=epoch,
            partition_max_bytes=1_000,
        )
        return FetchRequest(
            max_wait_ms=100,
            min_bytes=1,
            session_id=session,
            session_epoch=3 if session else -1,
            topics=[FetchTopic(topic=topic, topic_id=SOME_ID, partitions=[asked])],
        )

    return request


def _list_offsets(
    topic: str, timestamp: int, *, partition: int = 0, epoch: int = -1
) -> Callable[[int], ListOffsetsRequest]:
    asked = ListOffsetsPartition(
        partition_index=partition, timestamp=timestamp, current_leader_epoch=epoch
    )
    topics = [ListOffsetsTopic(name=topic, partitions=[asked])]
    return lambda _: ListOffsetsRequest(replica_id=-1, topics=topics)


def _end_of_epoch(topic: str, *, epoch: int = -1) -> Callable[[int], OffsetForLeaderEpochRequest]:
    asked = OffsetForLeaderPartition(leader_epoch=0, current_leader_epoch=epoch)
    topics = [OffsetForLeaderTopic(topic=topic, partitions=[asked])]
    return lambda _: OffsetForLeaderEpochRequest(replica_id=-1, topics=topics)


def _metadata(*topics: MetadataRequestTopic) -> Callable[[int], MetadataRequest]:
    return lambda version: MetadataRequest(
        topics=list(topics), allow_auto_topic_creation=version < 4
    )


def produce_refusals() -> Iterator[Refused]:
    def refused(
        name: str, code: ErrorCode, request: Callable[[int], WireMessage], **versions: int
    ) -> Refused:
        return Refused(f"Produce {name}", ApiKey.PRODUCE, code, request, **versions)

    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    yield refused("to an unknown topic", unknown, _produce(MISSING), until=12)
    yield refused("to an unknown partition", unknown, _produce(TOPIC, partition=9), until=12)
    yield refused("to an unknown id", ErrorCode.UNKNOWN_TOPIC_ID, _produce(TOPIC), since=13)
    acks = ErrorCode.INVALID_REQUIRED_ACKS
    yield refused("with acks=2", acks, _produce(TOPIC, acks=2), until=12)
    yield refused(
        "of a wrong CRC", ErrorCode.CORRUPT_MESSAGE, _produce(TOPIC, spoil=True), until=12
    )
    yield refused("of too much", ErrorCode.MESSAGE_TOO_LARGE, _produce(SMALL), until=12)
    yield refused(
        "with a timestamp too far away",
        ErrorCode.INVALID_TIMESTAMP,
        _produce(RECENT),
        since=2,  # magic 0 has no timestamps
        until=12,
    )
    yield refused(
        "without a key to a compacted topic",
        ErrorCode.INVALID_RECORD,
        _produce(COMPACTED, key=None),
        until=12,
    )
    yield refused(
        "of zstd",
        ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
        _produce(TOPIC, codec=Codec.ZSTD),
        since=3,
        until=6,
    )


def fetch_refusals() -> Iterator[Refused]:
    def refused(
        name: str, code: ErrorCode, request: Callable[[int], WireMessage], **versions: int
    ) -> Refused:
        return Refused(f"Fetch {name}", ApiKey.FETCH, code, request, **versions)

    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    yield refused("of an unknown topic", unknown, _fetch(MISSING), until=12)
    yield refused("of an unknown partition", unknown, _fetch(EMPTY, partition=9), until=12)
    yield refused("of an unknown id", ErrorCode.UNKNOWN_TOPIC_ID, _fetch(EMPTY), since=13)
    behind = _fetch(EMPTY, offset=7)
    yield refused("behind the end", ErrorCode.OFFSET_OUT_OF_RANGE, behind, until=12)
    before = _fetch(EMPTY, offset=-7)
    yield refused("before the start", ErrorCode.OFFSET_OUT_OF_RANGE, before, until=12)
    future = _fetch(EMPTY, epoch=FUTURE_EPOCH)
    yield refused(
        "by a client of the future", ErrorCode.UNKNOWN_LEADER_EPOCH, future, since=9, until=12
    )
    session = _fetch(EMPTY, session=77)
    yield refused("in no session", ErrorCode.FETCH_SESSION_ID_NOT_FOUND, session, since=7)


def look_up_refusals() -> Iterator[Refused]:
    unknown, future = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_LEADER_EPOCH
    offsets, epochs = ApiKey.LIST_OFFSETS, ApiKey.OFFSET_FOR_LEADER_EPOCH
    yield Refused("ListOffsets of an unknown topic", offsets, unknown, _list_offsets(MISSING, -1))
    yield Refused(
        "ListOffsets of an unknown partition",
        offsets,
        unknown,
        _list_offsets(EMPTY, -1, partition=9),
    )
    yield Refused(
        "ListOffsets by a client of the future",
        offsets,
        future,
        _list_offsets(EMPTY, -1, epoch=FUTURE_EPOCH),
        since=4,
    )
    unsupported = ErrorCode.UNSUPPORTED_VERSION
    for timestamp, since in ((-3, 7), (-4, 8), (-5, 9)):
        yield Refused(
            f"ListOffsets of timestamp {timestamp} before its version",
            offsets,
            unsupported,
            _list_offsets(EMPTY, timestamp),
            since=1,
            until=since - 1,
        )
    yield Refused(
        "OffsetForLeaderEpoch of an unknown topic", epochs, unknown, _end_of_epoch(MISSING)
    )
    yield Refused(
        "OffsetForLeaderEpoch by a client of the future",
        epochs,
        future,
        _end_of_epoch(EMPTY, epoch=FUTURE_EPOCH),
        since=2,
    )
    key = ApiKey.METADATA
    named = MetadataRequestTopic
    yield Refused("Metadata of an unknown topic", key, unknown, _metadata(named(name=MISSING)))
    invalid = ErrorCode.INVALID_TOPIC_EXCEPTION
    yield Refused("Metadata of a name with a space", key, invalid, _metadata(named(name="a b")))
    by_id = _metadata(named(name=None, topic_id=SOME_ID))
    yield Refused("Metadata of an unknown id", key, ErrorCode.UNKNOWN_TOPIC_ID, by_id, since=12)


def _delete(topic: str, partition: int, offset: int) -> Callable[[int], DeleteRecordsRequest]:
    asked = DeleteRecordsPartition(partition_index=partition, offset=offset)
    return lambda _: DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[asked])], timeout_ms=5_000
    )


def deletion_refusals() -> Iterator[Refused]:
    unknown, outside = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.OFFSET_OUT_OF_RANGE
    for name, code, topic, partition, offset in (
        ("behind the end", outside, EMPTY, 0, 1),
        ("before the beginning", outside, EMPTY, 0, -2),
        ("of an unknown topic", unknown, MISSING, 0, 0),
        ("of an unknown partition", unknown, TOPIC, 7, 0),
        ("of a compacted topic", ErrorCode.POLICY_VIOLATION, COMPACTED, 0, 0),
        (
            "of an internal topic",
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            "__consumer_offsets",
            0,
            0,
        ),
    ):
        yield Refused(
            f"DeleteRecords {name}",
            ApiKey.DELETE_RECORDS,
            code,
            _delete(topic, partition, offset),
        )
