"""The server on real sockets, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.heartbeat import HeartbeatResponse
from datacore._generated.produce import ProduceResponse
from datacore.broker.quotas import ClientRates
from datacore.protocol.errors import KafkaError
from datacore.server.kafka_server import KafkaServer
from datacore.server.limits import ConnectionLimits
from datacore.server.listener import bind_listeners
from datacore.storage.pending import Pending
from tests.server.harness import (
    HEARTBEAT_VERSION,
    ToyBroker,
    find_coordinator,
    heartbeat,
    produce,
    toy_table,
)
from tests.server.test_listener import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from datacore._generated.heartbeat import HeartbeatRequest
    from datacore.metadata.quotas import Entity

    Body = Callable[[], Awaitable[None]]
    Run = Callable[[Body], None]


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine function."""

    def run_it(body: Body) -> None:
        async def bounded() -> None:
            with anyio.fail_after(60):
                await body()

        anyio.run(bounded, backend_options={"use_uvloop": request.param})

    return run_it


class Client:
    """A client that checks nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        size, correlation_id = struct.unpack(">ii", await self._reader.readexactly(8))
        return correlation_id, await self._reader.readexactly(size - 4)

    async def is_closed(self) -> bool:
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Running:
    """A toy broker's server and the way to it."""

    def __init__(self, server: KafkaServer[ToyBroker], broker: ToyBroker, port: int) -> None:
        self.server = server
        self.broker = broker
        self.port = port
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def close_clients(self) -> None:
        for client in self._clients:
            await client.close()

    async def until_connected(self, count: int) -> None:
        while self.server.connection_count != count:
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def running(limits: ConnectionLimits | None = None) -> AsyncIterator[Running]:
    broker = ToyBroker()
    server = KafkaServer(broker, toy_table(), limits)
    (listener,) = await bind_listeners([Address()])
    async with server.accepting([listener]):
        toy = Running(server, broker, listener.bound.port)
        try:
            yield toy
        finally:
            await toy.close_clients()


def test_plain_and_async_handlers_answer_over_a_socket(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            client = await toy.connect()
            client.writer.write(heartbeat(1) + find_coordinator(2) + produce(3) + heartbeat(4))
            assert [(await client.answer())[0] for _ in range(4)] == [1, 2, 3, 4]

    run(body)


def test_connections_do_not_disturb_each_other(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            clients = [await toy.connect() for _ in range(20)]
            data = produce(7, records=bytes(range(256)) * 40)
            for at in range(0, len(data), 1000):
                for client in clients:
                    client.writer.write(data[at : at + 1000])
                await anyio.lowlevel.checkpoint()
            for client in clients:
                assert (await client.answer())[0] == 7

    run(body)


def test_an_async_handler_that_fails_is_answered_with_the_error(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            client = await toy.connect()

            async def fail(_: object) -> FindCoordinatorResponse:
                raise KafkaError(ErrorCode.NOT_COORDINATOR, "none here")

            toy.broker.on_find_coordinator = fail
            _, answer = await client.ask(find_coordinator(1))
            response, _ = FindCoordinatorResponse.decode(answer, 2)
            assert response.error_code == ErrorCode.NOT_COORDINATOR
            assert response.error_message == "none here"

    run(body)


def test_no_more_than_max_connections_are_admitted(run: Run) -> None:
    async def body() -> None:
        async with running(ConnectionLimits(connections_max=2)) as toy:
            first, second = await toy.connect(), await toy.connect()
            await toy.until_connected(2)
            assert await (await toy.connect()).is_closed()
            assert (await first.ask(heartbeat(1)))[0] == 1
            await second.close()
            await toy.until_connected(1)
            assert (await (await toy.connect()).ask(heartbeat(2)))[0] == 2

    run(body)


def test_clients_leave_the_storage_engine_its_half_of_the_open_files(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (2 * 66, 2 * 66))

    async def body() -> None:
        async with running() as toy:
            first = await toy.connect()
            await toy.connect()
            await toy.until_connected(2)
            assert await (await toy.connect()).is_closed()
            await first.close()
            await toy.until_connected(1)
            assert (await (await toy.connect()).ask(heartbeat(2)))[0] == 2

    run(body)


def test_no_more_than_max_connections_per_ip_are_admitted(run: Run) -> None:
    async def body() -> None:
        async with running(ConnectionLimits(connections_per_ip_max=1)) as toy:
            first = await toy.connect()
            await toy.until_connected(1)
            assert await (await toy.connect()).is_closed()
            await first.close()
            await toy.until_connected(0)
            assert (await (await toy.connect()).ask(heartbeat(2)))[0] == 2

    run(body)


def test_an_address_connects_no_faster_than_its_quota(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            quotas: dict[Entity, dict[str, float]] = {
                (("ip", None),): {"connection_creation_rate": 2.0}
            }
            now_ms = 0
            toy.server.rates = ClientRates(quotas, {}, lambda: now_ms)
            first, second = await toy.connect(), await toy.connect()
            assert (await first.ask(heartbeat(1)))[0] == 1
            assert (await second.ask(heartbeat(2)))[0] == 2
            assert await (await toy.connect()).is_closed()
            now_ms = 20_000
            assert (await (await toy.connect()).ask(heartbeat(3)))[0] == 3

    run(body)


def test_an_idle_connection_is_closed_and_one_that_waits_for_the_broker_is_not(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            parked: Pending[HeartbeatResponse] = Pending()
            idle, waiting = await toy.connect(), await toy.connect()
            await idle.ask(heartbeat(1))
            toy.broker.on_heartbeat = lambda _: parked
            waiting.writer.write(heartbeat(2))
            while len(toy.broker.seen) < 2:
                await anyio.lowlevel.checkpoint()

            toy.server.sweep(now_s=1000.0)
            toy.server.sweep(now_s=1599.0)
            await toy.until_connected(2)
            toy.server.sweep(now_s=1600.0)
            assert await idle.is_closed()
            parked.resolve(HeartbeatResponse())
            assert (await waiting.answer())[0] == 2

    run(body)


def test_idle_connections_are_swept_by_the_server_itself(run: Run) -> None:
    async def body() -> None:
        async with running(ConnectionLimits(idle_max_ms=20)) as toy:
            assert await (await toy.connect()).is_closed()

    run(body)


def test_garbage_closes_its_connection_and_no_other(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            good, bad = await toy.connect(), await toy.connect()
            bad.writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await bad.is_closed()
            assert (await good.ask(heartbeat(1)))[0] == 1

    run(body)


def test_a_client_that_reads_nothing_holds_back_only_itself(run: Run) -> None:
    async def body() -> None:
        async with running(ConnectionLimits(unsent_bytes_max=64 * 1024)) as toy:
            slow, quick = await toy.connect(), await toy.connect()
            handled = 0

            def count(request: HeartbeatRequest) -> HeartbeatResponse:
                nonlocal handled
                handled += request.group_id == "slow"
                return HeartbeatResponse()

            toy.broker.on_heartbeat = count
            cast("asyncio.Transport", slow.writer.transport).pause_reading()
            asked = 0
            while asked - handled < 50_000:
                slow.writer.write(heartbeat(1, group_id="slow") * 10_000)
                asked += 10_000
                for _ in range(20):
                    assert (await quick.ask(heartbeat(2)))[0] == 2
            cast("asyncio.Transport", slow.writer.transport).resume_reading()
            for _ in range(asked):
                assert (await slow.answer())[0] == 1

    run(body)


def test_a_client_may_vanish_while_its_requests_are_parked(run: Run) -> None:
    async def body() -> None:
        async with running() as toy:
            parked: list[Pending[ProduceResponse]] = []

            def park(_: object) -> Pending[ProduceResponse]:
                parked.append(Pending())
                return parked[-1]

            toy.broker.on_produce = park
            client = await toy.connect()
            client.writer.write(produce(1) + produce(2))
            while len(parked) < 2:
                await anyio.lowlevel.checkpoint()
            client.writer.transport.abort()
            await toy.until_connected(0)
            for pending in parked:
                pending.resolve(ProduceResponse())
            assert (await (await toy.connect()).ask(heartbeat(3)))[0] == 3

    run(body)


def test_a_stop_sends_the_answers_that_are_due(run: Run) -> None:
    async def body() -> None:
        parked: Pending[HeartbeatResponse] = Pending()

        def park(_: HeartbeatRequest) -> Pending[HeartbeatResponse]:
            asyncio.get_running_loop().call_later(
                0.02, parked.resolve, HeartbeatResponse(throttle_time_ms=5)
            )
            return parked

        server = KafkaServer(ToyBroker(on_heartbeat=park), toy_table())
        (listener,) = await bind_listeners([Address()])
        async with server.accepting([listener]):
            client = Client(*await asyncio.open_connection("127.0.0.1", listener.bound.port))
            client.writer.write(heartbeat(1))
            while not server.dispatch.broker.seen:
                await anyio.lowlevel.checkpoint()
        correlation_id, answer = await client.answer()
        assert correlation_id == 1
        assert HeartbeatResponse.decode(answer, HEARTBEAT_VERSION)[0].throttle_time_ms == 5
        assert await client.is_closed()
        await client.close()

    run(body)


def test_a_stop_waits_no_longer_than_its_limit(run: Run) -> None:
    async def body() -> None:
        broker = ToyBroker(on_heartbeat=lambda _: Pending())
        server = KafkaServer(broker, toy_table(), ConnectionLimits(stop_timeout_ms=20))
        (listener,) = await bind_listeners([Address()])
        async with server.accepting([listener]):
            client = Client(*await asyncio.open_connection("127.0.0.1", listener.bound.port))
            client.writer.write(heartbeat(1))
            while not broker.seen:
                await anyio.lowlevel.checkpoint()
        assert await client.is_closed()
        assert server.connection_count == 0
        await client.close()

    run(body)


def test_a_stop_lets_a_handler_finish_whose_client_has_gone(run: Run) -> None:
    async def body() -> None:
        has_finished = False
        may_finish = anyio.Event()

        async def finish_later(request: FindCoordinatorRequest) -> FindCoordinatorResponse:
            nonlocal has_finished
            await may_finish.wait()
            has_finished = True
            return FindCoordinatorResponse(host=request.key)

        broker = ToyBroker(on_find_coordinator=finish_later)
        server = KafkaServer(broker, toy_table())
        (listener,) = await bind_listeners([Address()])
        async with server.accepting([listener]):
            client = Client(*await asyncio.open_connection("127.0.0.1", listener.bound.port))
            client.writer.write(find_coordinator(1))
            while not broker.seen:
                await anyio.lowlevel.checkpoint()
            await client.close()
            while server.connection_count:
                await anyio.lowlevel.checkpoint()
            asyncio.get_running_loop().call_later(0.02, may_finish.set)
        assert has_finished

    run(body)


def test_nobody_is_connected_to_a_server_that_has_stopped(run: Run) -> None:
    async def body() -> None:
        server = KafkaServer(ToyBroker(), toy_table())
        (listener,) = await bind_listeners([Address()])
        async with server.accepting([listener]):
            pass
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", listener.bound.port)

    run(body)


def test_an_error_of_the_embedding_program_passes_through_as_it_is(run: Run) -> None:
    async def body() -> None:
        async with running():
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(body)
