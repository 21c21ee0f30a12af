"""Raw connections: frames that were built before the clock starts, so that the client costs little.

A `Talk` is what one connection says: its next frame, and what it makes of an answer. `converse`
holds any number of them from one thread, each with so many requests in flight, and takes the time
from the first byte of a request to the last one of its answer.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from datacore._generated.api_keys import request_header_version, response_header_version
from datacore._generated.errors import RETRIABLE, ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore._generated.request_header import RequestHeader
from datacore.record.batch import end_offset_of
from datacore.record.records import Record, encode_batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datacore.wire.message import WireMessage

PRODUCE_VERSION = 9
FETCH_VERSION = 12
RECEIVE_BYTES_MIN = 256 * 1024
LEADING_WITHIN_S = 240.0
_RESPONSE_START = struct.Struct(">ii")
_SIZE = struct.Struct(">i")


def frame_of(request: WireMessage, version: int) -> bytes:
    """A whole frame, size and header included."""
    header = RequestHeader(
        request_api_key=request.api_key,
        request_api_version=version,
        correlation_id=1,
        client_id="bench",
    )
    body = header.encode(request_header_version(request.api_key, version)) + request.encode(version)
    return _SIZE.pack(len(body)) + body


def body_of(frame: memoryview, response_type: type[Any], version: int) -> Any:
    """The message in an answer's frame without its size."""
    at = 4 + response_header_version(response_type.api_key, version)
    return response_type.decode(frame, version, at)[0]


def batch_of(value: bytes, records: int = 1) -> bytes:
    """Records of the same value, as a producer sends them."""
    now_ms = time.time_ns() // 1_000_000
    return bytes(encode_batch([Record(0, now_ms, b"key", value, []) for _ in range(records)]))


def produce_frame(batches: dict[tuple[str, int], bytes], acks: int = -1) -> bytes:
    """One request with a batch for each topic and partition."""
    topics: dict[str, list[PartitionProduceData]] = {}
    for (topic, partition), batch in batches.items():
        topics.setdefault(topic, []).append(PartitionProduceData(index=partition, records=batch))
    request = ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            TopicProduceData(name=name, partition_data=data) for name, data in topics.items()
        ],
    )
    return frame_of(request, PRODUCE_VERSION)


class Talk(Protocol):
    """What one connection says."""

    def next_frame(self) -> bytes:
        """The next request; nothing, when all was said."""

    def answered(self, frame: memoryview) -> None:
        """Takes an answer, without its size; its bytes are the buffer's."""


class Repeating:
    """The same requests again and again."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = frames
        self._at = 0

    def next_frame(self) -> bytes:
        frame = self._frames[self._at]
        self._at = (self._at + 1) % len(self._frames)
        return frame

    def answered(self, frame: memoryview) -> None:
        """Nothing is looked at; `check_produced` looks before the clock starts."""


class Reading:
    """Fetches partitions from their beginning to those offsets; decodes no record."""

    def __init__(self, topic: str, ends: Mapping[int, int], response_bytes: int) -> None:
        self._topic = topic
        self._ends = ends
        self._offsets = dict.fromkeys(ends, 0)
        self._response_bytes = response_bytes

    def next_frame(self) -> bytes:
        if not self._offsets:
            return b""
        request = FetchRequest(
            max_wait_ms=500,
            min_bytes=1,
            max_bytes=50 << 20,
            session_epoch=-1,
            topics=[
                FetchTopic(
                    topic=self._topic,
                    partitions=[
                        FetchPartition(
                            partition=partition,
                            fetch_offset=offset,
                            partition_max_bytes=self._response_bytes,
                        )
                        for partition, offset in self._offsets.items()
                    ],
                )
            ],
        )
        return frame_of(request, FETCH_VERSION)

    def answered(self, frame: memoryview) -> None:
        response = body_of(frame, FetchResponse, FETCH_VERSION)
        for topic in response.responses:
            for each in topic.partitions:
                if each.error_code:
                    raise RuntimeError(f"cannot fetch: {ErrorCode(each.error_code).name}")
                if each.records:
                    partition, end = each.partition_index, end_offset_of(each.records)
                    self._offsets[partition] = end
                    if end >= self._ends[partition]:
                        del self._offsets[partition]


@dataclass(frozen=True, slots=True)
class RawResult:
    """What a run saw."""

    requests: int
    elapsed_s: float
    latencies_ms: list[float]


class RawConnection:
    """One socket with some requests in flight, its answers in their order."""

    def __init__(self, address: tuple[str, int], talk: Talk) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.talk = talk
        self._sent_at: deque[float] = deque()
        self._buffer = bytearray(RECEIVE_BYTES_MIN)
        self._end = 0

    @property
    def in_flight(self) -> int:
        return len(self._sent_at)

    def send(self, count: int = 1) -> None:
        """The next so many requests, as far as there are any, in one write."""
        frames = [frame for _ in range(count) if (frame := self.talk.next_frame())]
        if frames:
            self._sent_at.extend([time.perf_counter()] * len(frames))
            self.socket.sendall(b"".join(frames))

    def receive(self) -> list[float]:
        """Reads once; the waits, in ms, for what has come whole by that."""
        with memoryview(self._buffer) as room:
            count = self.socket.recv_into(room[self._end :])
        if not count:
            raise ConnectionError("the broker closed the connection")
        self._end += count
        waits = []
        at = size = 0
        now = time.perf_counter()
        with memoryview(self._buffer) as data:
            while self._end - at >= _SIZE.size:
                size = _SIZE.size + _SIZE.unpack_from(data, at)[0]
                if self._end - at < size:
                    break
                self.talk.answered(data[at + _SIZE.size : at + size])
                waits.append((now - self._sent_at.popleft()) * 1000)
                at += size
                size = 0
        if at:
            self._buffer[: self._end - at] = self._buffer[at : self._end]
            self._end -= at
        if size > len(self._buffer):
            self._buffer.extend(bytes(size - len(self._buffer)))
        return waits

    def ask(self) -> float:
        """Sends one request and waits for its answer; how long, in ms."""
        self.send()
        while not (waits := self.receive()):
            pass
        return waits[0]

    def close(self) -> None:
        self.socket.close()


def converse(
    address: tuple[str, int],
    talks: Sequence[Talk],
    *,
    requests: int = sys.maxsize,
    in_flight: int = 1,
) -> RawResult:
    """Holds a connection for each talk, until all is said or so many requests were sent."""
    peers = [RawConnection(address, talk) for talk in talks]
    latencies_ms: list[float] = []
    with selectors.EpollSelector() as selector:
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        started = time.perf_counter()
        for peer in peers:
            peer.send(in_flight)
        open_requests = sum(peer.in_flight for peer in peers)
        left = requests - open_requests
        while open_requests:
            for key, _ in selector.select():
                peer = key.data
                waits = peer.receive()
                latencies_ms += waits
                before = peer.in_flight
                if waits and left > 0:
                    peer.send(len(waits))
                sent = peer.in_flight - before
                left -= sent
                open_requests += sent - len(waits)
        elapsed_s = time.perf_counter() - started
    for peer in peers:
        peer.close()
    return RawResult(len(latencies_ms), elapsed_s, latencies_ms)


class Checking(Repeating):
    """Takes down how each request was answered."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        super().__init__(frames)
        self.error_codes: set[int] = set()

    def answered(self, frame: memoryview) -> None:
        response = body_of(frame, ProduceResponse, PRODUCE_VERSION)
        self.error_codes |= {
            each.error_code for topic in response.responses for each in topic.partition_responses
        }


def check_produced(address: tuple[str, int], frames: Sequence[bytes]) -> None:
    """Sends every frame until each is taken: a benchmark of refusals measures nothing.

    Apache Kafka leads a new partition a little later than it says so.

    Raises:
        RuntimeError: One was refused.
    """
    deadline_s = time.monotonic() + LEADING_WITHIN_S
    while True:
        checking = Checking(frames)
        connection = RawConnection(address, checking)
        for _ in frames:
            connection.ask()
        connection.close()
        refusals = checking.error_codes - {ErrorCode.NONE}
        if not refusals:
            return
        if refusals - RETRIABLE or time.monotonic() > deadline_s:
            raise RuntimeError(f"cannot produce: {', '.join(ErrorCode(e).name for e in refusals)}")
        time.sleep(0.1)


def run(
    bootstrap: str, topic: str, *, connections: int, requests: int, value_bytes: int, acks: int
) -> RawResult:
    """Small requests with one record for partition 0, one in flight on each connection."""
    host, _, port = bootstrap.partition(":")
    address = (host, int(port))
    frame = produce_frame({(topic, 0): batch_of(bytes(value_bytes))}, acks)
    check_produced(address, [frame])
    return converse(address, [Repeating([frame]) for _ in range(connections)], requests=requests)
