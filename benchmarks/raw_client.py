"""Small requests over raw connections: prebuilt Produce frames, so that the client costs little."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from dataclasses import dataclass

from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore._generated.request_header import RequestHeader
from datacore.record.records import Record, encode_batch

PRODUCE_VERSION = 9
_RECEIVE_BYTES = 65536


def produce_frame(topic: str, partition: int, value: bytes, acks: int) -> bytes:
    """A whole frame: Produce v9 with one record."""
    batch = bytes(encode_batch([Record(0, time.time_ns() // 1_000_000, b"key", value, [])]))
    request = ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            TopicProduceData(
                name=topic,
                partition_data=[PartitionProduceData(index=partition, records=batch)],
            )
        ],
    )
    header = RequestHeader(
        request_api_key=0,
        request_api_version=PRODUCE_VERSION,
        correlation_id=1,
        client_id="bench",
    )
    body = header.encode(2) + request.encode(PRODUCE_VERSION)
    return struct.pack(">i", len(body)) + body


@dataclass(frozen=True, slots=True)
class RawResult:
    """What a run saw."""

    requests: int
    elapsed_s: float
    latencies_ms: list[float]


class _RawConnection:
    """One socket with one request in flight."""

    def __init__(self, address: tuple[str, int], frame: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frame = frame
        self.received = b""
        self.sent_at = 0.0

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.frame)

    def receive(self) -> bool:
        """Whether the answer is whole."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self.received += data
        if len(self.received) < 4 + struct.unpack_from(">i", self.received)[0]:
            return False
        # Behind size, correlation id, tags, count, name and counts stands the partition's error.
        self.received = b""
        return True


def run(
    bootstrap: str, topic: str, *, connections: int, requests: int, value_bytes: int, acks: int
) -> RawResult:
    """Sends ``requests`` requests over ``connections`` connections, one in flight on each."""
    host, _, port = bootstrap.partition(":")
    frame = produce_frame(topic, 0, bytes(value_bytes), acks)
    peers = [_RawConnection((host, int(port)), frame) for _ in range(connections)]
    latencies_ms = []
    selector = selectors.EpollSelector()
    for peer in peers:
        selector.register(peer.socket, selectors.EVENT_READ, peer)
    started = time.perf_counter()
    for peer in peers:
        peer.send()
    left = requests
    while left > 0:
        for key, _ in selector.select():
            peer = key.data
            if peer.receive():
                latencies_ms.append((time.perf_counter() - peer.sent_at) * 1000)
                left -= 1
                peer.send()
    elapsed_s = time.perf_counter() - started
    for peer in peers:
        while not peer.receive():
            pass
        peer.socket.close()
    selector.close()
    return RawResult(len(latencies_ms), elapsed_s, latencies_ms)
