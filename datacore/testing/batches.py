"""Valid record batches around any bytes, for tests of what never looks behind a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcrc import crc32

from datacore.wire.batch_header import (
    BATCH_FRAME_SIZE,
    BATCH_HEADER,
    BATCH_HEADER_SIZE,
    CRC_AT,
    CRC_FROM,
)

if TYPE_CHECKING:
    from datacore.wire.buffer import Buffer


def pack_batch(
    base_offset: int, payload: Buffer, *, records: int = 1, max_timestamp_ms: int = 0
) -> bytes:
    """A batch of magic 2 with a right CRC whose records are ``payload``, whatever that is."""
    header = bytearray(BATCH_HEADER_SIZE)
    BATCH_HEADER.pack_into(
        header,
        0,
        base_offset,
        BATCH_HEADER_SIZE - BATCH_FRAME_SIZE + len(payload),
        0,  # partition_leader_epoch
        2,  # magic
        0,  # crc, below
        0,  # attributes
        records - 1,
        max_timestamp_ms,  # base_timestamp
        max_timestamp_ms,
        -1,  # producer_id
        -1,  # producer_epoch
        -1,  # base_sequence
        records,
    )
    batch = header + payload
    batch[CRC_AT:CRC_FROM] = crc32.iscsi(memoryview(batch)[CRC_FROM:]).to_bytes(4, "big")
    return bytes(batch)
