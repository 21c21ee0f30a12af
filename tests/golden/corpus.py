"""The golden corpus: what Apache Kafka's own code wrote, as committed data.

`messages()` and `record_sets()` read it, `write` is for `python -m tests.golden.make`. README.md
beside this file describes the lines; the two structs here are their schema.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import zstandard

__all__ = ["MessageVector", "RecordSetVector", "messages", "record_sets", "write"]

MESSAGES = Path(__file__).with_name("messages.jsonl.zst")
RECORD_SETS = Path(__file__).with_name("records.jsonl.zst")
_LEVEL = 19

Kind = Literal[
    "request", "response", "header", "data", "metadata", "coordinator-key", "coordinator-value"
]


class MessageVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message, encoded by Java at one version.

    Attributes:
        releases: the Kafka releases whose classes wrote exactly these bytes.
        message: the spec's name (FetchRequest, OffsetCommitKey).
        kind: what the message is.
        version: its version.
        case: how it was filled (default, one, null, min, max, random-N).
        hex: the body; no header, no frame, no record type or value version in front.
        fields: what Kafka's JsonConverter says is in it; only with random-0. Names are the spec's
            in camel case, bytes are base64, a uuid is URL-safe base64, records are their size.
    """

    releases: tuple[str, ...]
    message: str
    kind: Kind
    version: int
    case: str
    hex: str = msgspec.field(name="bytes")
    fields: dict[str, Any] | None = None

    @property
    def body(self) -> bytes:
        """The encoded message."""
        return bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return f"{self.message} v{self.version} {self.case} ({', '.join(self.releases)})"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record as Java reads it; key, value and header values are hex, null is None."""

    offset: int
    timestamp_ms: int
    key: str | None
    value: str | None
    headers: tuple[tuple[str, str | None], ...]


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One batch as Java reads it. Below magic 2 each plain message is a batch, each wrapper one."""

    magic: int
    size_bytes: int
    base_offset: int
    last_offset: int
    compression: str
    timestamp_type: Literal["NoTimestampType", "CreateTime", "LogAppendTime"]
    max_timestamp_ms: int
    crc: int
    records: tuple[Record, ...]
    partition_leader_epoch: int | None = None
    producer_id: int | None = None
    producer_epoch: int | None = None
    base_sequence: int | None = None
    last_sequence: int | None = None
    is_transactional: bool | None = None
    is_control: bool | None = None
    record_count: int | None = None
    delete_horizon_ms: int | None = None


class RecordSetVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record set that Java built, and what Java reads out of it.

    Attributes:
        releases: the Kafka releases that built exactly these bytes.
        case: what is special about it.
        magic: of its batches; 2 where they differ.
        codec: none, gzip, snappy, lz4, zstd, or mixed.
        batches: what is in it.
        hex: the set.
    """

    releases: tuple[str, ...]
    case: str
    magic: int
    codec: str
    batches: tuple[Batch, ...]
    hex: str = msgspec.field(name="bytes")

    @property
    def body(self) -> bytes:
        """The record set."""
        return bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return f"magic {self.magic} {self.codec} {self.case} ({', '.join(self.releases)})"


_Line = TypeVar("_Line", MessageVector, RecordSetVector)


def messages() -> Iterator[MessageVector]:
    """Every message vector, in the order of name, version, case."""
    return _read(MESSAGES, MessageVector)


def record_sets() -> Iterator[RecordSetVector]:
    """Every record set, in the order in which Java wrote them."""
    return _read(RECORD_SETS, RecordSetVector)


def text(lines: Iterable[msgspec.Struct]) -> bytes:
    """The lines as a file holds them before compression."""
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def stored_text(path: Path) -> bytes:
    """What a corpus file holds, uncompressed; nothing where there is no file."""
    if not path.exists():
        return b""
    with zstandard.open(path, "rb") as stored:
        return bytes(stored.read())


def write(path: Path, content: bytes) -> None:
    """Compress and store."""
    path.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(content))


def _read(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    decode = msgspec.json.Decoder(kind).decode
    return (decode(line) for line in stored_text(path).splitlines())
