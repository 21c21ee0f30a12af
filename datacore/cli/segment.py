"""What a segment file holds, as `datacore log dump` shows it; `segment_reader` finds it there."""

from typing import TypeAlias

import msgspec


class StoredRecord(msgspec.Struct, frozen=True):
    """One record; its timestamp is the batch's where the broker set that."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, or one message below magic 2, which lacks what those did not have.

    Attributes:
        position: where it starts in the file, in bytes.
        base_offset: None for a compressed message whose content was not looked into.
        records: None when they were not asked for, or cannot be read.
        problem: why the records cannot be read.
    """

    position: int
    size_bytes: int
    magic: int
    base_offset: int | None
    last_offset: int
    codec: str
    crc: int
    is_crc_valid: bool
    timestamp_type: str
    max_timestamp_ms: int
    record_count: int | None = None
    partition_leader_epoch: int | None = None
    producer_id: int | None = None
    producer_epoch: int | None = None
    base_sequence: int | None = None
    is_transactional: bool = False
    is_control: bool = False
    delete_horizon_ms: int | None = None
    records: tuple[StoredRecord, ...] | None = None
    problem: str | None = None


class Tail(msgspec.Struct, frozen=True):
    """Bytes at the file's end that are no whole batch."""

    position: int
    size_bytes: int
    reason: str


Found: TypeAlias = StoredBatch | Tail
