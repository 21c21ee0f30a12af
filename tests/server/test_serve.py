"""A whole broker inside an asyncio program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import anyio
import pytest

from datacore._generated.api_keys import ApiKey
from datacore._generated.api_versions import ApiVersionsResponse
from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from datacore._generated.metadata import MetadataRequest, MetadataResponse
from datacore.broker.configs.changes import ConfigChange, ConfigOperation
from datacore.broker.shards import partition_for
from datacore.config import load_config
from datacore.handlers.table import TABLE
from datacore.metadata.image import RESOURCE_BROKER
from datacore.server.listener import ListenError
from datacore.server.serve import serve
from tests.broker.harness import until
from tests.server.harness import api_versions_request, request_frame

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.config import Config


def config_of(**flags: object) -> Config:
    """A broker in memory on a free port, unless told otherwise."""
    chosen = {"broker.port": 0, "storage.engine": "memory"}
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return load_config(flags=chosen | given)


async def ask(host: str, port: int, request: bytes) -> bytes:
    """The answer without its size and header v0."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    size, _ = struct.unpack(">ii", await reader.readexactly(8))
    body = await reader.readexactly(size - 4)
    writer.close()
    await writer.wait_closed()
    return body


async def metadata(host: str, port: int) -> MetadataResponse:
    body = await ask(host, port, request_frame(MetadataRequest(topics=None), 8, 1))
    return MetadataResponse.decode(body, 8)[0]


def test_a_served_broker_tells_what_its_table_holds() -> None:
    async def body() -> None:
        async with serve(config_of()) as broker:
            port = broker.listeners["PLAINTEXT"].port
            assert broker.bootstrap_servers == f"127.0.0.1:{port}"
            answer = await ask("127.0.0.1", port, api_versions_request(0, 1))
            told = ApiVersionsResponse.decode(answer, 0)[0].api_keys
            assert {key.api_key: (key.min_version, key.max_version) for key in told} == {
                key: (api.min_version, api.max_version)
                for key, api in TABLE.items()
                if key not in {ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, ApiKey.PUSH_TELEMETRY}
            }, "and nobody is asked for telemetry"

    anyio.run(body)


def test_clients_of_each_listener_are_told_its_own_address() -> None:
    async def body() -> None:
        config = load_config(
            flags={
                "storage.engine": "memory",
                "broker.listeners": "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0,SIX://[::1]:0",
                "broker.advertised_listeners": "OUTSIDE://broker.example:19092",
            }
        )
        async with serve(config) as broker:
            inside, outside, six = broker.listeners.values()
            told = [
                (await metadata(endpoint.host, endpoint.port)).brokers[0]
                for endpoint in (inside, outside, six)
            ]
            assert [(node.host, node.port) for node in told] == [
                ("127.0.0.1", inside.port),
                ("broker.example", 19092),
                ("::1", six.port),
            ]

    anyio.run(body)


def test_a_client_of_a_listener_on_every_address_is_told_the_address_it_reached() -> None:
    async def body() -> None:
        async with serve(config_of(broker__host="0.0.0.0")) as broker:
            port = broker.listeners["PLAINTEXT"].port
            node = (await metadata("127.0.0.1", port)).brokers[0]
            assert (node.host, node.port) == ("127.0.0.1", port)

    anyio.run(body)


def test_many_brokers_run_in_one_program() -> None:
    async def body() -> None:
        async with serve(config_of()) as first, serve(config_of()) as second:
            assert first.bootstrap_servers != second.bootstrap_servers

    anyio.run(body)


def test_a_port_that_is_taken_stops_the_start_before_anything_is_written(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"

    async def body(port: int) -> None:
        config = config_of(
            broker__port=port, storage__engine="disk", broker__data_dir=str(data_dir)
        )
        async with serve(config):
            raise AssertionError("two brokers on one port")

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        anyio.run(body, taken.getsockname()[1])
    assert not data_dir.exists()


def test_a_bad_limit_stops_the_start() -> None:
    async def body() -> None:
        async with serve(load_config(flags={"kafka.max.connections": "none"})):
            raise AssertionError("started")

    with pytest.raises(ValueError, match=r"max\.connections"):
        anyio.run(body)


def test_what_was_made_is_there_after_a_restart_also_when_the_program_was_cancelled(
    tmp_path: Path,
) -> None:
    config = config_of(storage__engine="disk", broker__data_dir=str(tmp_path))
    topics = CreateTopicsRequest(
        topics=[CreatableTopic(name="kept", num_partitions=2, replication_factor=1)],
        timeout_ms=5000,
    )

    async def create_then_cancel() -> None:
        with anyio.CancelScope() as scope:
            async with serve(config) as broker:
                port = broker.listeners["PLAINTEXT"].port
                await ask("127.0.0.1", port, request_frame(topics, 4, 1))
                scope.cancel()
                await anyio.sleep_forever()

    async def names() -> list[str | None]:
        async with serve(config) as broker:
            port = broker.listeners["PLAINTEXT"].port
            return [topic.name for topic in (await metadata("127.0.0.1", port)).topics]

    anyio.run(create_then_cancel)
    assert anyio.run(names) == ["kept"]


def test_a_stop_does_not_wait_for_members_that_wait_for_their_group() -> None:
    async def body() -> None:
        config = config_of(**{"kafka.group.initial.rebalance.delay.ms": 60_000})
        join = JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=60_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range")],
        )
        async with serve(config) as broker:
            port = broker.listeners["PLAINTEXT"].port
            found = request_frame(FindCoordinatorRequest(key="g"), 0, 1)
            await ask("127.0.0.1", port, found)
            joining = asyncio.create_task(ask("127.0.0.1", port, request_frame(join, 1, 2)))
            shard = broker.broker.groups.shards[partition_for("g", 50)]
            await until(lambda: shard.machine is not None and shard.machine.state.groups)
            began_s = anyio.current_time()
        assert anyio.current_time() - began_s < 30  # of the 60 that they wait
        answer = JoinGroupResponse.decode(await joining, 1)[0]
        assert answer.error_code == ErrorCode.NOT_COORDINATOR

    anyio.run(body)


def test_limits_of_connections_are_altered_while_the_broker_runs() -> None:
    async def body() -> None:
        async with serve(config_of()) as running:
            broker = running.broker
            address = running.listeners["PLAINTEXT"]
            for value, is_closed in (("0", True), ("5", False)):
                change = ConfigChange("max.connections", ConfigOperation.SET, value)
                await broker.configs.alter(RESOURCE_BROKER, "", [change], validate_only=False)
                reader, writer = await asyncio.open_connection(address.host, address.port)
                writer.write(api_versions_request(0, 1))
                assert (await reader.read(4) == b"") == is_closed
                writer.close()
                with contextlib.suppress(ConnectionResetError):
                    await writer.wait_closed()

    asyncio.run(body())
