"""What the harness itself asks a broker, in bytes written here.

It must depend neither on a client under test nor on DataCore's own codecs.

    create_topic("127.0.0.1:9092", "t", partitions=3)
    stored_codecs("127.0.0.1:9092", "t", 0)     # ["gzip", "gzip"]

CreateTopics v2, Metadata v1, ListOffsets v1 and Fetch v4: versions without compact fields that
Kafka 1.1 to 4.1 all serve.
"""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["RefusedError", "create_topic", "next_offset", "stored_codecs", "stored_producer_ids"]

_CREATE_TOPICS, _METADATA, _LIST_OFFSETS, _FETCH = 19, 3, 2, 1
_LATEST = -1
_CORRELATION_ID = 4_711
_TIMEOUT_S = 30.0
_POLL_S = 0.02
_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_FETCH_BYTES = 16 * 1024 * 1024


class RefusedError(Exception):
    """The broker answered with an error code, or not in time."""


def create_topic(bootstrap: str, topic: str, *, partitions: int) -> None:
    """Create the topic and return when every partition has a leader.

    Apache Kafka's metadata lags behind its answer to CreateTopics.
    """
    body = (
        struct.pack(">i", 1)
        + _string(topic)
        + struct.pack(">ihii", partitions, 1, 0, 0)
        + struct.pack(">ib", 30_000, 0)  # timeout, not only validated
    )
    answer = _Reader(_ask(bootstrap, _CREATE_TOPICS, 2, body))
    answer.take("i")  # throttle time
    answer.take("i")  # one topic
    answer.string()
    error_code = answer.take("h")
    if error_code != 0:
        raise RefusedError(f"CreateTopics {topic}: error {error_code} {answer.string()}")
    deadline_s = time.monotonic() + _TIMEOUT_S
    while _leaders(bootstrap, topic) < partitions:
        if time.monotonic() > deadline_s:
            raise RefusedError(f"{topic} has no leaders {_TIMEOUT_S:.0f} s after its creation")
        time.sleep(_POLL_S)


def stored_codecs(bootstrap: str, topic: str, partition: int) -> list[str]:
    """Name the codec of every batch that the partition holds, as the stored attributes tell it."""
    return [_CODECS[batch.attributes & 7] for batch in _stored(bootstrap, topic, partition)]


def stored_producer_ids(bootstrap: str, topic: str, partition: int) -> set[int]:
    """The producer ids of all batches that the partition holds; -1 is none."""
    return {batch.producer_id for batch in _stored(bootstrap, topic, partition)}


def next_offset(bootstrap: str, topic: str, partition: int) -> int:
    """The offset that the partition's next record will get."""
    body = struct.pack(">ii", -1, 1) + _string(topic) + struct.pack(">iiq", 1, partition, _LATEST)
    answer = _Reader(_ask(bootstrap, _LIST_OFFSETS, 1, body))
    answer.take("i")  # one topic
    answer.string()
    answer.take("i")  # one partition
    answer.take("i")
    error_code = answer.take("h")
    answer.take("q")  # timestamp
    if error_code != 0:
        raise RefusedError(f"ListOffsets {topic}-{partition}: error {error_code}")
    return answer.take("q")


def _stored(bootstrap: str, topic: str, partition: int) -> Iterator["_Batch"]:
    position = 0
    while records := _fetch(bootstrap, topic, partition, position):
        for batch in _batches(records):
            yield batch
            position = batch.last_offset + 1


@dataclass(frozen=True, slots=True)
class _Batch:
    last_offset: int
    attributes: int
    producer_id: int = -1


def _batches(records: bytes) -> list[_Batch]:
    """Headers of all whole batches; messages of magic 0 and 1 count as batches of one."""
    found: list[_Batch] = []
    at = 0
    while len(records) - at >= 27:
        base_offset, size, _, magic = struct.unpack_from(">qiib", records, at)
        end = at + 12 + size
        if end > len(records):
            break
        if magic == 2:
            attributes, last_offset_delta = struct.unpack_from(">hi", records, at + 21)
            (producer_id,) = struct.unpack_from(">q", records, at + 43)
            found.append(_Batch(base_offset + last_offset_delta, attributes, producer_id))
        else:
            found.append(_Batch(base_offset, records[at + 17]))
        at = end
    return found


def _fetch(bootstrap: str, topic: str, partition: int, offset: int) -> bytes:
    body = (
        struct.pack(">iiiib", -1, 100, 0, _FETCH_BYTES, 0)
        + struct.pack(">i", 1)
        + _string(topic)
        + struct.pack(">iiqi", 1, partition, offset, _FETCH_BYTES)
    )
    answer = _Reader(_ask(bootstrap, _FETCH, 4, body))
    answer.take("i")  # throttle time
    answer.take("i")  # one topic
    answer.string()
    answer.take("i")  # one partition
    answer.take("i")
    error_code = answer.take("h")
    if error_code != 0:
        raise RefusedError(f"Fetch {topic}-{partition} at {offset}: error {error_code}")
    answer.take("q")  # high watermark
    answer.take("q")  # last stable offset
    for _ in range(answer.take("i")):  # aborted transactions
        answer.take("q")
        answer.take("q")
    size = answer.take("i")
    return answer.bytes(size) if size > 0 else b""


def _leaders(bootstrap: str, topic: str) -> int:
    """How many partitions of the topic have a leader."""
    answer = _Reader(_ask(bootstrap, _METADATA, 1, struct.pack(">i", 1) + _string(topic)))
    for _ in range(answer.take("i")):
        answer.take("i")  # node id
        answer.string()
        answer.take("i")  # port
        answer.string()  # rack
    answer.take("i")  # controller
    answer.take("i")  # one topic
    error_code = answer.take("h")
    answer.string()
    answer.take("b")  # internal
    if error_code != 0:
        return 0
    leaders = 0
    for _ in range(answer.take("i")):
        answer.take("h")
        answer.take("i")  # partition
        leaders += answer.take("i") >= 0
        for _replicas_then_isr in range(2):
            for _ in range(answer.take("i")):
                answer.take("i")
    return leaders


def _ask(bootstrap: str, api_key: int, version: int, body: bytes) -> bytes:
    """Send one request on a connection of its own; returns the body of the answer."""
    host, _, port = bootstrap.rpartition(":")
    request = struct.pack(">hhi", api_key, version, _CORRELATION_ID) + _string("compat") + body
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        head = stream.read(8)
        if len(head) < 8:
            raise RefusedError(f"API {api_key} v{version}: the broker closed the connection")
        size, correlation_id = struct.unpack(">ii", head)
        if correlation_id != _CORRELATION_ID:
            raise RefusedError(f"API {api_key} v{version}: correlation id {correlation_id}")
        return stream.read(size - 4)


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack(">h", len(content)) + content


class _Reader:
    """Takes fields off an answer, one after the other."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._at = 0

    def take(self, field: str) -> int:
        """One big-endian integer of that struct format."""
        (value,) = struct.unpack_from(">" + field, self._answer, self._at)
        self._at += struct.calcsize(">" + field)
        return int(value)

    def bytes(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, self._at = self._at, self._at + size
        return self._answer[start : self._at]

    def string(self) -> str:
        """A nullable string; null reads as empty."""
        size = self.take("h")
        return self.bytes(size).decode() if size > 0 else ""
