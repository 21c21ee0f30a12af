"""A storm of malformed frames against a broker process, while another client goes on working.

DATACORE_FUZZ_FRAMES sets how many frames (5,000 unless set; 100,000 in ``make test-all``), and
DATACORE_FUZZ_SEED what chance starts from.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
from datacore._generated.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.testing import BrokerProcess
from datacore.testing.batches import pack_batch
from tests.server.harness import request_frame
from tests.server.malformed import malformed_frame

if TYPE_CHECKING:
    from datacore.protocol.message import Message

FRAMES: Final = int(os.environ.get("DATACORE_FUZZ_FRAMES", "5000"))
SEED: Final = int(os.environ.get("DATACORE_FUZZ_SEED", "1"))
WARM_UP_FRAMES: Final = min(FRAMES // 3, 10_000)
"""Modules, caches and the allocator's pools fill up with these."""
GROWTH_BYTES_MAX: Final = 24 * 1024 * 1024
ANSWER_TIMEOUT_S: Final = 10.0
TOPIC: Final = "steady"


class SteadyClient(threading.Thread):
    """Produces to a topic of its own and fetches it back until told to stop."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="steady client")
        self._socket = socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stopping = threading.Event()
        self._correlation_id = 0
        self.rounds = 0
        self.error: BaseException | None = None
        topic = CreatableTopic(name=TOPIC, num_partitions=1, replication_factor=1)
        self._ask(CreateTopicsRequest(topics=[topic], timeout_ms=5000), 4)

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._round()
        except BaseException as error:  # noqa: BLE001  # the test's thread raises it again
            self.error = error

    def stop(self) -> None:
        """Ends the thread and raises what went wrong in it."""
        self._stopping.set()
        self.join()
        self._socket.close()
        if self.error is not None:
            raise self.error

    def _round(self) -> None:
        payload = b"round %d" % self.rounds
        records = pack_batch(0, payload)
        produced, _ = ProduceResponse.decode(
            self._ask(
                ProduceRequest(
                    acks=-1,
                    timeout_ms=5000,
                    topic_data=[
                        TopicProduceData(
                            name=TOPIC,
                            partition_data=[PartitionProduceData(index=0, records=records)],
                        )
                    ],
                ),
                8,
            ),
            8,
        )
        result = produced.responses[0].partition_responses[0]
        assert (result.error_code, result.base_offset) == (0, self.rounds)
        partition = FetchPartition(
            partition=0, fetch_offset=self.rounds, partition_max_bytes=1 << 20
        )
        fetched, _ = FetchResponse.decode(
            self._ask(
                FetchRequest(
                    max_wait_ms=5000,
                    min_bytes=1,
                    topics=[FetchTopic(topic=TOPIC, partitions=[partition])],
                ),
                11,
            ),
            11,
        )
        found = bytes(fetched.responses[0].partitions[0].records or b"")
        assert struct.unpack_from(">q", found) == (self.rounds,)
        assert found.endswith(payload)
        self.rounds += 1

    def _ask(self, message: Message, version: int) -> bytes:
        """The body of the answer; all versions used have a header without tagged fields."""
        self._correlation_id += 1
        self._socket.sendall(request_frame(message, version, self._correlation_id))
        size, correlation_id = struct.unpack(">ii", self._read(8))
        assert correlation_id == self._correlation_id
        return self._read(size - 4)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            assert part, "the broker closed the connection of a client that did no wrong"
            data += part
        return bytes(data)


def send_and_see_it_closed(host: str, port: int, frame: bytes) -> None:
    """Sends a frame and the end of the stream, and waits until the broker closes too."""
    with socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S) as client:
        try:
            client.sendall(frame)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except ConnectionError:
            return


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system does not tell it this way."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.mark.timeout(120 + FRAMES / 50)
def test_a_storm_of_malformed_frames_harms_nobody_but_its_senders() -> None:
    random = Random(SEED)
    with BrokerProcess(storage_engine="memory", auto_create_topics=False) as broker:
        host, port = broker.host, broker.port
        steady = SteadyClient(host, port)
        steady.start()
        resident_before = 0
        try:
            for number in range(FRAMES):
                frame = malformed_frame(random)
                try:
                    send_and_see_it_closed(host, port, frame)
                except TimeoutError:
                    pytest.fail(f"frame {number} of seed {SEED} hangs: {frame[:200].hex()}")
                if number == WARM_UP_FRAMES:
                    resident_before = resident_bytes(broker.pid)
                if not steady.is_alive():
                    break
        finally:
            steady.stop()
        assert broker.process.poll() is None
        grown = resident_bytes(broker.pid) - resident_before
        rounds = steady.rounds
        log = broker.log()
        print(
            f"{FRAMES} frames, {rounds} rounds of the steady client: "
            f"{resident_before >> 10} KiB resident, then {grown >> 10} more"
        )
    assert "Traceback" not in log, log[-5000:]
    assert rounds > 0
    assert grown < GROWTH_BYTES_MAX
