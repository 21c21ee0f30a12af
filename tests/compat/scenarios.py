"""What the scenarios of clients share: records to send, and looks at what came back."""

import time
from collections import defaultdict
from collections.abc import Iterable

from tests.compat.clients.contract import Record
from tests.compat.driver import Member, Seen

__all__ = ["message", "now_ms", "share", "values"]


def message(
    value: bytes | None,
    *,
    partition: int = 0,
    codec: str = "none",
    key: bytes | None = None,
    headers: list[tuple[str, bytes | None]] | None = None,
    timestamp_ms: int | None = None,
) -> Record:
    return Record(partition, codec, key, value, headers or [], timestamp_ms)


def share(first: Member, second: Member, partitions: set[int]) -> bool:
    """Whether both own something, nothing twice, and together everything."""
    if not first.partitions or not second.partitions:
        return False
    return (
        first.partitions | second.partitions == partitions
        and not first.partitions & second.partitions
    )


def values(seen: Iterable[Seen]) -> dict[int, list[bytes | None]]:
    values: dict[int, list[bytes | None]] = defaultdict(list)
    for record in seen:
        values[record.partition].append(record.value)
    return values


def now_ms() -> int:
    return time.time_ns() // 1_000_000
