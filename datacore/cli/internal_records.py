"""Records of internal topics as JSON: what coordinators write down, decoded.

A key is an int16 record type and a body of version 0, a value an int16 version and its body. A
record of a type that is not known, or that does not decode, is shown as bytes, never left out.

Kafka's counterparts: the formatters of ``kafka-console-consumer`` for these topics.
"""

import struct
import uuid
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, TypeVar

import msgspec

from datacore.cli.record_json import readable
from datacore.cli.record_text import Writer
from datacore.client.consumer import Received
from datacore.wire.errors import DecodeError
from datacore.wire.message import WireMessage, WireStruct

MessageT = TypeVar("MessageT", bound=WireMessage)
Kinds = Mapping[int, tuple[str, type[WireMessage], type[WireMessage]]]
"""By record type: its name, and the classes of key and value."""

_MODULES: Final = {
    "__consumer_offsets": (
        "legacy_offset_commit",
        "offset_commit",
        "group_metadata",
        "consumer_group_metadata",
        "consumer_group_partition_metadata",
        "consumer_group_member_metadata",
        "consumer_group_target_assignment_metadata",
        "consumer_group_target_assignment_member",
        "consumer_group_current_member_assignment",
        "consumer_group_regular_expression",
        "share_group_metadata",
        "share_group_member_metadata",
        "share_group_target_assignment_metadata",
        "share_group_target_assignment_member",
        "share_group_current_member_assignment",
        "share_group_state_partition_metadata",
        "streams_group_metadata",
        "streams_group_member_metadata",
        "streams_group_target_assignment_metadata",
        "streams_group_target_assignment_member",
        "streams_group_current_member_assignment",
        "streams_group_topology",
    ),
    "__transaction_state": ("transaction_log",),
    "__share_group_state": ("share_snapshot", "share_update"),
}
INTERNAL_TOPICS: Final = tuple(_MODULES)

_PREFIX: Final = struct.Struct(">h")
_NOT_SHOWN: Final = "unknown_tagged_fields"
_TOPIC_ID: Final = "topic_id"


def internal_writer() -> Writer:
    """Writes a record of one of ``INTERNAL_TOPICS`` as a line of JSON."""
    kinds: dict[str, Kinds] = {}

    def write(received: Received) -> bytes:
        topic = received.where.topic
        if topic not in kinds:
            kinds[topic] = _kinds(_MODULES[topic])
        return _line(received, kinds[topic])

    return write


def _kinds(modules: tuple[str, ...]) -> Kinds:
    found: dict[int, tuple[str, type[WireMessage], type[WireMessage]]] = {}
    for name in modules:
        module = import_module(f"datacore._generated.records.{name}")
        stem = "".join(part.capitalize() for part in name.split("_"))
        key: type[WireMessage] = getattr(module, f"{stem}Key")
        value: type[WireMessage] = getattr(module, f"{stem}Value")
        found[key.record_type] = (name, key, value)
    return found


def _line(received: Received, kinds: Kinds) -> bytes:
    record = received.record
    key, value = record.key or b"", record.value
    kind = kinds.get(_PREFIX.unpack_from(key)[0]) if len(key) >= _PREFIX.size else None
    shown: dict[str, Any] = {
        "topic": received.where.topic,
        "partition": received.where.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "type": kind[0] if kind else None,
        "value_version": None,
        "key": readable(record.key),
        "value": readable(value),
    }
    try:
        if kind is not None:
            _, key_type, value_type = kind
            decoded_key = _fields(key_type.decode(key, 0, _PREFIX.size)[0])
            if value is not None:
                version, decoded_value = _value(value_type, value)
                shown |= {"value_version": version, "value": decoded_value}
            shown["key"] = decoded_key
    except DecodeError as error:
        shown["problem"] = str(error)
    return msgspec.json.encode(shown) + b"\n"


def _value(value_type: type[WireMessage], value: bytes) -> tuple[int, dict[str, Any]]:
    if len(value) < _PREFIX.size:
        raise DecodeError(f"{len(value)} bytes have no version")
    (version,) = _PREFIX.unpack_from(value)
    if not value_type.min_version <= version <= value_type.max_version:
        raise DecodeError(f"{value_type.__name__} has no version {version}")
    return version, _fields(value_type.decode(value, version, _PREFIX.size)[0])


def _fields(message: WireStruct) -> dict[str, Any]:
    return {
        name: _id(value) if name == _TOPIC_ID else _shown(value)
        for name in message.__slots__
        if name != _NOT_SHOWN
        for value in [getattr(message, name)]
    }


def _id(value: bytes) -> str:
    return str(uuid.UUID(bytes=bytes(value)))


def _shown(value: Any) -> Any:
    if isinstance(value, WireStruct):
        return _fields(value)
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return readable(bytes(value))
    return value
