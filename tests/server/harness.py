"""A connection without a socket or an event loop, and a handler table that a test steers."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from datacore._generated.api_keys import ApiKey, request_header_version
from datacore._generated.api_versions import ApiVersionsRequest
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.heartbeat import HeartbeatRequest, HeartbeatResponse
from datacore._generated.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from datacore.handlers.api import Api, top_level_error
from datacore.handlers.api_versions import api_versions
from datacore.server.connection import Connection
from datacore.server.dispatch import Dispatch
from datacore.server.limits import ConnectionLimits
from datacore.server.receive import new_scratch
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from datacore.broker.context import RequestContext
    from datacore.broker.quotas import ClientRates
    from datacore.protocol.errors import KafkaError
    from datacore.protocol.message import Message

HEARTBEAT_VERSION = 3
PRODUCE_VERSION = 8


def request_frame(
    message: Message,
    version: int,
    correlation_id: int,
    *,
    client_id: str | None = "tester",
    trailing: bytes = b"",
) -> bytes:
    """A request as a client sends it, its size included."""
    name = None if client_id is None else client_id.encode()
    header = struct.pack(
        ">hhih", message.api_key, version, correlation_id, -1 if name is None else len(name)
    ) + (name or b"")
    if request_header_version(ApiKey(message.api_key), version) == 2:
        header += b"\x00"
    frame = header + message.encode(version) + trailing
    return struct.pack(">i", len(frame)) + frame


def heartbeat(correlation_id: int, *, group_id: str = "group") -> bytes:
    """A request that the toy table answers at once unless told otherwise."""
    return request_frame(HeartbeatRequest(group_id=group_id), HEARTBEAT_VERSION, correlation_id)


def produce(correlation_id: int, *, acks: int = -1, records: bytes = b"records") -> bytes:
    """A pipelined request."""
    partition = PartitionProduceData(index=0, records=records)
    return request_frame(
        ProduceRequest(
            acks=acks,
            timeout_ms=1000,
            topic_data=[TopicProduceData(name="topic", partition_data=[partition])],
        ),
        PRODUCE_VERSION,
        correlation_id,
    )


def find_coordinator(correlation_id: int) -> bytes:
    """A request of an API with an ``async`` handler."""
    return request_frame(FindCoordinatorRequest(key="group"), 2, correlation_id)


def answers(sent: bytes) -> list[tuple[int, bytes]]:
    """(correlation id, rest) of every frame in what a broker sent."""
    found = []
    at = 0
    while at < len(sent):
        size, correlation_id = struct.unpack_from(">ii", sent, at)
        found.append((correlation_id, sent[at + 8 : at + 4 + size]))
        at += 4 + size
    assert at == len(sent)
    return found


def correlation_ids(sent: bytes) -> list[int]:
    """Which requests were answered, in which order."""
    return [correlation_id for correlation_id, _ in answers(sent)]


async def _found(request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    await asyncio.sleep(0)
    return FindCoordinatorResponse(host=request.key)


@dataclass(slots=True)
class ToyBroker:
    """What the toy table's handlers do, and what they saw."""

    on_heartbeat: Callable[[HeartbeatRequest], HeartbeatResponse | Pending[HeartbeatResponse]] = (
        lambda _: HeartbeatResponse()
    )
    on_produce: Callable[[ProduceRequest], ProduceResponse | Pending[ProduceResponse] | None] = (
        lambda _: ProduceResponse()
    )
    on_find_coordinator: Callable[[FindCoordinatorRequest], Awaitable[FindCoordinatorResponse]] = (
        _found
    )
    seen: list[RequestContext] = field(default_factory=list)


def _handle_heartbeat(
    broker: ToyBroker, context: RequestContext, request: HeartbeatRequest
) -> HeartbeatResponse | Pending[HeartbeatResponse]:
    broker.seen.append(context)
    return broker.on_heartbeat(request)


def _handle_produce(
    broker: ToyBroker, context: RequestContext, request: ProduceRequest
) -> ProduceResponse | Pending[ProduceResponse] | None:
    broker.seen.append(context)
    return broker.on_produce(request)


async def _handle_find_coordinator(
    broker: ToyBroker, context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    broker.seen.append(context)
    return await broker.on_find_coordinator(request)


def _produce_error(
    _: RequestContext, request: ProduceRequest, error: KafkaError
) -> ProduceResponse | None:
    if request.acks == 0:
        return None
    partition = PartitionProduceResponse(index=0, error_code=error.code)
    topic = TopicProduceResponse(name="topic", partition_responses=[partition])
    return ProduceResponse(responses=[topic])


def toy_table() -> list[Api[ToyBroker, Any, Any]]:
    """ApiVersions, a plain API, a pipelined one, and one with an ``async`` handler."""
    apis: list[Api[ToyBroker, Any, Any]] = [
        Api(
            key=ApiKey.PRODUCE,
            min_version=3,
            max_version=9,
            handle=_handle_produce,
            error_response=_produce_error,
            pipelined=True,
        ),
        Api(
            key=ApiKey.FIND_COORDINATOR,
            min_version=0,
            max_version=3,
            handle=_handle_find_coordinator,
            error_response=top_level_error(FindCoordinatorResponse),
        ),
        Api(
            key=ApiKey.HEARTBEAT,
            min_version=0,
            max_version=4,
            handle=_handle_heartbeat,
            error_response=top_level_error(HeartbeatResponse),
        ),
    ]
    return [*apis, api_versions(apis, lambda _: ((), -1), lambda _: ())]


class FakeTransport(asyncio.Transport):
    """Keeps what is written; a test decides whether the client reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._reads = True
        self.is_closed = False
        self.is_aborted = False
        self.high_water: int | None = None

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("10.0.0.7", 50000), "sockname": ("10.0.0.1", 9092)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del low
        self.high_water = high

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def is_reading(self) -> bool:
        return self._reads

    def pause_reading(self) -> None:
        assert self._reads
        self._reads = False

    def resume_reading(self) -> None:
        assert not self._reads
        self._reads = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


class FakeLoop:
    """Only what a connection asks of its loop."""

    def __init__(self) -> None:
        self.ready: deque[Callable[[], None]] = deque()
        self.now_s = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> None:
        self.timers.append((when_s, callback))

    def advance(self, to_s: float) -> None:
        """Lets time pass, and calls what is due by then."""
        self.now_s = to_s
        due = [timer for timer in self.timers if timer[0] <= to_s]
        self.timers = [timer for timer in self.timers if timer[0] > to_s]
        for _, callback in due:
            callback()
        self.turn()

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        """Calls what was ready at the start of this turn."""
        for _ in range(len(self.ready)):
            self.ready.popleft()()


class Bench:
    """One connection on a bench: the test is its client, its event loop and its server."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.broker = ToyBroker()
        self.dispatch: Dispatch[Any] = Dispatch(self.broker, toy_table())
        self.limits = limits or ConnectionLimits()
        self.rates: ClientRates | None = None
        self.scratch = new_scratch()
        self.refusals: list[str] = []
        self.refuse_next: str | None = None
        self.admitted = 0
        self.spawned: list[tuple[Coroutine[Any, Any, Message], Pending[Message | None]]] = []
        self.transport = FakeTransport()
        self.loop = FakeLoop()
        self.connection = Connection(
            self, "PLAINTEXT", cast("asyncio.AbstractEventLoop", self.loop)
        )

    def connect(self) -> Bench:
        self.connection.connection_made(self.transport)
        return self

    def receive(self, data: bytes) -> None:
        """What the client sent arrives, in reads as large as the connection takes them."""
        while data:
            buffer = self.connection.get_buffer(65536)
            count = min(len(buffer), len(data))
            assert count
            buffer[:count] = data[:count]
            self.connection.buffer_updated(count)
            data = data[count:]

    def disconnect(self) -> None:
        self.connection.connection_lost(None)

    # What a server does for its connections.

    def admit(self, connection: Connection) -> str | None:
        assert connection is self.connection
        if self.refuse_next is None:
            self.admitted += 1
        return self.refuse_next

    def forget(self, connection: Connection) -> None:
        assert connection is self.connection
        self.admitted -= 1

    def refused(self, line: str) -> None:
        self.refusals.append(line)

    def spawn(self, coroutine: Coroutine[Any, Any, Message]) -> Pending[Message | None]:
        pending: Pending[Message | None] = Pending()
        self.spawned.append((coroutine, pending))
        return pending

    def run_spawned(self) -> None:
        """Runs ``async`` handlers to their ends."""
        for coroutine, pending in self.spawned:
            pending.resolve(asyncio.run(_as_main(coroutine)))
        self.spawned.clear()


async def _as_main(coroutine: Coroutine[Any, Any, Message]) -> Message:
    return await coroutine


def api_versions_request(version: int, correlation_id: int) -> bytes:
    """ApiVersions as a client of any version sends it, also of one that does not exist."""
    known = max(0, min(version, 4))
    message = ApiVersionsRequest(client_software_name="tester", client_software_version="1")
    if known < 3:
        message = ApiVersionsRequest()
    frame = bytearray(request_frame(message, known, correlation_id))
    struct.pack_into(">h", frame, 6, version)
    return bytes(frame)


def park_heartbeats(bench: Bench) -> list[Pending[HeartbeatResponse]]:
    """From now on heartbeats are answered when the test settles them."""
    parked: list[Pending[HeartbeatResponse]] = []

    def park(_: HeartbeatRequest) -> Pending[HeartbeatResponse]:
        parked.append(Pending())
        return parked[-1]

    bench.broker.on_heartbeat = park
    return parked


def park_produces(bench: Bench) -> list[Pending[ProduceResponse]]:
    """From now on produce requests are answered when the test settles them."""
    parked: list[Pending[ProduceResponse]] = []

    def park(_: ProduceRequest) -> Pending[ProduceResponse]:
        parked.append(Pending())
        return parked[-1]

    bench.broker.on_produce = park
    return parked
