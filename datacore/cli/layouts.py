"""Layouts of Kafka's bytes, declared with construct: a second reader beside the generated codecs.

Rules:

- Written from the protocol's description, apart from ``datacore.wire``, ``datacore.record`` and
  ``datacore._generated``, and importing none of them: where both readers agree on the same bytes,
  neither repeats the other's mistake. Tests use them so, and ``datacore log dump`` reads by them.
- construct is slow and comes with the extra ``dump``: nothing on the data path imports this module.
- A layout reads and writes. Nullable things are None. Tagged fields are a list of ``tag`` and
  ``value``; a tag without a layout keeps its bytes.

Kafka's counterparts: KIP-98 (record batches), KIP-482 (flexible versions).
"""

from collections.abc import Mapping
from typing import Any

from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Construct,
    ExprAdapter,
    Flag,
    FocusedSeq,
    GreedyBytes,
    GreedyRange,
    If,
    Int8sb,
    Int16sb,
    Int32sb,
    Int32ub,
    Int64sb,
    Padding,
    Prefixed,
    PrefixedArray,
    Rebuild,
    Struct,
    Switch,
    Terminated,
    VarInt,
    ZigZag,
    len_,
    this,
)


def _nullable_bytes(length: Construct, bias: int) -> Construct:
    """Bytes behind their length plus ``bias``; one below ``bias`` is null."""
    raw = Struct(
        "length" / length,
        "content" / If(this.length >= bias, Bytes(this.length - bias)),
    )
    return ExprAdapter(
        raw,
        lambda read, _: read.content,
        lambda content, _: {
            "length": bias - 1 if content is None else len(content) + bias,
            "content": content,
        },
    )


def _text(layout: Construct) -> Construct:
    return ExprAdapter(
        layout,
        lambda content, _: None if content is None else content.decode(),
        lambda text, _: None if text is None else text.encode(),
    )


def _nullable_array(length: Construct, bias: int, element: Construct) -> Construct:
    """Elements behind their number plus ``bias``; one below ``bias`` is null."""
    raw = Struct(
        "length" / length,
        "elements" / If(this.length >= bias, Array(this.length - bias, element)),
    )
    return ExprAdapter(
        raw,
        lambda read, _: None if read.elements is None else list(read.elements),
        lambda elements, _: {
            "length": bias - 1 if elements is None else len(elements) + bias,
            "elements": elements,
        },
    )


STRING = _text(_nullable_bytes(Int16sb, 0))
COMPACT_STRING = _text(_nullable_bytes(VarInt, 1))
COMPACT_BYTES = _nullable_bytes(VarInt, 1)
UUID = Bytes(16)


def array_of(element: Construct) -> Construct:
    """An array before flexible versions: int32 count, -1 is null."""
    return _nullable_array(Int32sb, 0, element)


def compact_array_of(element: Construct) -> Construct:
    """An array of a flexible version: unsigned varint of count + 1, 0 is null."""
    return _nullable_array(VarInt, 1, element)


def tagged_fields(known: Mapping[int, Construct] | None = None) -> Construct:
    """The tagged fields at a struct's end; ``known`` has the layouts of those with a meaning."""
    value = Prefixed(
        VarInt,
        Switch(
            this.tag,
            {tag: _whole(layout) for tag, layout in (known or {}).items()},
            default=GreedyBytes,
        ),
    )
    return PrefixedArray(VarInt, Struct("tag" / VarInt, "value" / value))


def _whole(layout: Construct) -> Construct:
    """``layout``, and then nothing more."""
    return FocusedSeq("content", "content" / layout, Terminated)


# --- frames and headers ---

FRAME = FocusedSeq(
    "payload",
    "size" / Rebuild(Int32sb, len_(this.payload)),
    "payload" / Bytes(this.size),
)
REQUEST_HEADER_V1 = Struct(
    "request_api_key" / Int16sb,
    "request_api_version" / Int16sb,
    "correlation_id" / Int32sb,
    "client_id" / STRING,
)
REQUEST_HEADER_V2 = Struct(
    "request_api_key" / Int16sb,
    "request_api_version" / Int16sb,
    "correlation_id" / Int32sb,
    "client_id" / STRING,  # not compact, in spite of the flexible version
    "tagged_fields" / tagged_fields(),
)
RESPONSE_HEADER_V0 = Struct("correlation_id" / Int32sb)
RESPONSE_HEADER_V1 = Struct("correlation_id" / Int32sb, "tagged_fields" / tagged_fields())

# --- record batches of magic 2 ---

_RECORD_BYTES = _nullable_bytes(ZigZag, 0)
RECORD_HEADER = Struct("key" / _text(Prefixed(ZigZag, GreedyBytes)), "value" / _RECORD_BYTES)
RECORD = Prefixed(
    ZigZag,
    _whole(
        Struct(
            "attributes" / Int8sb,
            "timestamp_delta" / ZigZag,
            "offset_delta" / ZigZag,
            "key" / _RECORD_BYTES,
            "value" / _RECORD_BYTES,
            "headers" / PrefixedArray(ZigZag, RECORD_HEADER),
        )
    ),
)
RECORDS = _whole(GreedyRange(RECORD))
"""The records of a batch, decompressed; bytes that are no record are an error."""

BATCH_ATTRIBUTES = BitStruct(
    "unused" / BitsInteger(9),
    "has_delete_horizon" / Flag,
    "is_control" / Flag,
    "is_transactional" / Flag,
    "is_log_append_time" / Flag,
    "codec" / BitsInteger(3),
)
BATCH_OVERHEAD_BYTES = 49
"""What ``batch_length`` counts beside the records."""

RECORD_BATCH = Struct(
    "base_offset" / Int64sb,
    "batch_length" / Int32sb,
    "partition_leader_epoch" / Int32sb,
    "magic" / Int8sb,
    "crc" / Int32ub,
    "attributes" / BATCH_ATTRIBUTES,
    "last_offset_delta" / Int32sb,
    "base_timestamp" / Int64sb,
    "max_timestamp" / Int64sb,
    "producer_id" / Int64sb,
    "producer_epoch" / Int16sb,
    "base_sequence" / Int32sb,
    "record_count" / Int32sb,
    "records" / Bytes(this.batch_length - BATCH_OVERHEAD_BYTES),
)
CRC32C_FROM = 21
"""The first byte of a batch that its CRC32C covers; it covers all from there on."""

# --- message sets of magic 0 and 1 ---

MESSAGE_ATTRIBUTES = BitStruct(
    Padding(4),
    "is_log_append_time" / Flag,
    "codec" / BitsInteger(3),
)
MESSAGE = Struct(
    "offset" / Int64sb,
    "message_size" / Int32sb,
    "crc" / Int32ub,
    "magic" / Int8sb,
    "attributes" / MESSAGE_ATTRIBUTES,
    "timestamp" / If(this.magic == 1, Int64sb),
    "key" / _nullable_bytes(Int32sb, 0),
    "value" / _nullable_bytes(Int32sb, 0),
)
MESSAGE_SET = _whole(GreedyRange(MESSAGE))
CRC32_FROM = 16
"""The first byte of a message that its CRC32 covers; it covers all from there on."""

# --- what both kinds of entries begin with ---

ENTRY = Struct("offset" / Int64sb, "size" / Int32sb, Padding(4), "magic" / Int8sb)
"""A batch or message, as far as its magic; ``size`` counts what follows it."""

ENTRY_SIZE_FROM = 12
"""How many bytes of an entry come before those that its size counts."""

# --- files beside a segment ---

OFFSET_INDEX_ENTRY = Struct("relative_offset" / Int32sb, "position" / Int32sb)
TIME_INDEX_ENTRY = Struct("timestamp" / Int64sb, "relative_offset" / Int32sb)
ABORTED_TRANSACTION_ENTRY = Struct(
    "version" / Int16sb,
    "producer_id" / Int64sb,
    "first_offset" / Int64sb,
    "last_offset" / Int64sb,
    "last_stable_offset" / Int64sb,
)
PRODUCER_SNAPSHOT = Struct(
    "version" / Int16sb,
    "crc" / Int32ub,
    "entries"
    / PrefixedArray(
        Int32sb,
        Struct(
            "producer_id" / Int64sb,
            "epoch" / Int16sb,
            "last_sequence" / Int32sb,
            "last_offset" / Int64sb,
            "offset_delta" / Int32sb,
            "timestamp" / Int64sb,
            "coordinator_epoch" / Int32sb,
            "current_transaction_first_offset" / Int64sb,
        ),
    ),
)
PRODUCER_SNAPSHOT_CRC_FROM = 6
"""The first byte of a snapshot that its CRC32C covers."""

# --- a few central APIs ---

_API_VERSION_FIELDS = ("api_key" / Int16sb, "min_version" / Int16sb, "max_version" / Int16sb)
_SUPPORTED_FEATURE = Struct(
    "name" / COMPACT_STRING,
    "min_version" / Int16sb,
    "max_version" / Int16sb,
    "tagged_fields" / tagged_fields(),
)
_FINALIZED_FEATURE = Struct(
    "name" / COMPACT_STRING,
    "max_version_level" / Int16sb,
    "min_version_level" / Int16sb,
    "tagged_fields" / tagged_fields(),
)
API_VERSIONS_REQUEST_V0 = Struct()
API_VERSIONS_REQUEST_V3 = Struct(
    "client_software_name" / COMPACT_STRING,
    "client_software_version" / COMPACT_STRING,
    "tagged_fields" / tagged_fields(),
)
API_VERSIONS_RESPONSE_V0 = Struct(
    "error_code" / Int16sb, "api_keys" / array_of(Struct(*_API_VERSION_FIELDS))
)
API_VERSIONS_RESPONSE_V3 = Struct(
    "error_code" / Int16sb,
    "api_keys" / compact_array_of(Struct(*_API_VERSION_FIELDS, "tagged_fields" / tagged_fields())),
    "throttle_time_ms" / Int32sb,
    "tagged_fields"
    / tagged_fields(
        {
            0: compact_array_of(_SUPPORTED_FEATURE),
            1: Int64sb,
            2: compact_array_of(_FINALIZED_FEATURE),
            3: Flag,
        }
    ),
)

_METADATA_BROKER = Struct(
    "node_id" / Int32sb,
    "host" / COMPACT_STRING,
    "port" / Int32sb,
    "rack" / COMPACT_STRING,
    "tagged_fields" / tagged_fields(),
)
_METADATA_PARTITION = Struct(
    "error_code" / Int16sb,
    "partition_index" / Int32sb,
    "leader_id" / Int32sb,
    "leader_epoch" / Int32sb,
    "replica_nodes" / compact_array_of(Int32sb),
    "isr_nodes" / compact_array_of(Int32sb),
    "offline_replicas" / compact_array_of(Int32sb),
    "tagged_fields" / tagged_fields(),
)


def _metadata_response(version: int) -> Construct:
    """Versions 9 to 13; topic ids come with 10 (KIP-516), null names with 12."""
    topic_id = ["topic_id" / UUID] if version >= 10 else []
    cluster_operations = ["cluster_authorized_operations" / Int32sb] if version <= 10 else []
    error_code = ["error_code" / Int16sb] if version >= 13 else []
    topic = Struct(
        "error_code" / Int16sb,
        "name" / COMPACT_STRING,
        *topic_id,
        "is_internal" / Flag,
        "partitions" / compact_array_of(_METADATA_PARTITION),
        "topic_authorized_operations" / Int32sb,
        "tagged_fields" / tagged_fields(),
    )
    return Struct(
        "throttle_time_ms" / Int32sb,
        "brokers" / compact_array_of(_METADATA_BROKER),
        "cluster_id" / COMPACT_STRING,
        "controller_id" / Int32sb,
        "topics" / compact_array_of(topic),
        *cluster_operations,
        *error_code,
        "tagged_fields" / tagged_fields(),
    )


METADATA_RESPONSES: dict[int, Construct] = {v: _metadata_response(v) for v in range(9, 14)}

PRODUCE_REQUEST_V9 = Struct(
    "transactional_id" / COMPACT_STRING,
    "acks" / Int16sb,
    "timeout_ms" / Int32sb,
    "topic_data"
    / compact_array_of(
        Struct(
            "name" / COMPACT_STRING,
            "partition_data"
            / compact_array_of(
                Struct(
                    "index" / Int32sb,
                    "records" / COMPACT_BYTES,
                    "tagged_fields" / tagged_fields(),
                )
            ),
            "tagged_fields" / tagged_fields(),
        )
    ),
    "tagged_fields" / tagged_fields(),
)

_EPOCH_END_OFFSET = Struct(
    "epoch" / Int32sb, "end_offset" / Int64sb, "tagged_fields" / tagged_fields()
)
_LEADER_ID_AND_EPOCH = Struct(
    "leader_id" / Int32sb, "leader_epoch" / Int32sb, "tagged_fields" / tagged_fields()
)
_SNAPSHOT_ID = Struct("end_offset" / Int64sb, "epoch" / Int32sb, "tagged_fields" / tagged_fields())
_ABORTED_TRANSACTION = Struct(
    "producer_id" / Int64sb, "first_offset" / Int64sb, "tagged_fields" / tagged_fields()
)
_FETCH_PARTITION = Struct(
    "partition_index" / Int32sb,
    "error_code" / Int16sb,
    "high_watermark" / Int64sb,
    "last_stable_offset" / Int64sb,
    "log_start_offset" / Int64sb,
    "aborted_transactions" / compact_array_of(_ABORTED_TRANSACTION),
    "preferred_read_replica" / Int32sb,
    "records" / COMPACT_BYTES,
    "tagged_fields"
    / tagged_fields({0: _EPOCH_END_OFFSET, 1: _LEADER_ID_AND_EPOCH, 2: _SNAPSHOT_ID}),
)
FETCH_RESPONSE_V12 = Struct(
    "throttle_time_ms" / Int32sb,
    "error_code" / Int16sb,
    "session_id" / Int32sb,
    "responses"
    / compact_array_of(
        Struct(
            "topic" / COMPACT_STRING,
            "partitions" / compact_array_of(_FETCH_PARTITION),
            "tagged_fields" / tagged_fields(),
        )
    ),
    "tagged_fields" / tagged_fields(),
)


def read_whole(layout: Construct, data: bytes) -> Any:
    """What ``layout`` reads out of ``data``, all of which it must read.

    Raises:
        construct.ConstructError: The bytes are not what the layout says, or go on behind it.
    """
    return _whole(layout).parse(data)
