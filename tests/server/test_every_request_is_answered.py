"""Every request that Java's clients can make, sent to a real broker: none is left hanging.

The golden corpus holds each API in each version with defaults, nulls, smallest and largest values
and values of chance; most of them ask for the impossible, which is the point.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING

import anyio
import pytest

from datacore._generated.api_keys import ApiKey, response_class, response_header_version
from datacore._generated.produce import ProduceRequest
from datacore.config import load_config
from datacore.handlers.table import TABLE
from datacore.server.serve import serve
from tests.server.harness import api_versions_request
from tests.server.malformed import valid_frame, valid_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBE = 99


async def answers_before_probe(port: int, frame: bytes) -> list[bytes] | None:
    """The answers to a frame, known to be all by that of a second request; None when closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found: list[bytes] = []
    try:
        writer.write(frame + api_versions_request(0, PROBE))
        while True:
            size, correlation_id = struct.unpack(">ii", await reader.readexactly(8))
            body = await reader.readexactly(size - 4)
            if correlation_id == PROBE:
                return found
            found.append(body)
    except asyncio.IncompleteReadError:
        return None
    finally:
        writer.close()
        await writer.wait_closed()


async def ask_all(requests: Sequence[tuple[ApiKey, int, bytes]]) -> list[str]:
    """What is wrong with the answers."""
    wrong: list[str] = []
    config = load_config(
        flags={
            "broker.port": 0,
            "storage.engine": "memory",
            "broker.auto_create_topics": False,
        }
    )
    async with serve(config) as broker:
        port = broker.listeners["PLAINTEXT"].port
        for key, version, body in requests:
            name = f"{key.name} version {version} {body[:80].hex()}"
            try:
                with anyio.fail_after(30):
                    found = await answers_before_probe(port, valid_frame(key, version, body))
            except TimeoutError:
                wrong.append(f"{name}: no answer")
                continue
            if key == ApiKey.PRODUCE and ProduceRequest.decode(body, version)[0].acks == 0:
                if found:
                    wrong.append(f"{name}: an answer to acks=0")
            elif found is None:
                wrong.append(f"{name}: closed")
            else:
                at = response_header_version(key, version)
                _, end = response_class(key).decode(found[0], version, at)
                if len(found) != 1 or end != len(found[0]):
                    wrong.append(f"{name}: {len(found)} answers, {len(found[0]) - end} bytes over")
    return wrong


@pytest.mark.parametrize("key", sorted(TABLE), ids=lambda key: key.name)
def test_every_request_gets_one_whole_answer_of_its_version(
    key: ApiKey, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [request for request in valid_requests() if request[0] == key]
    assert requests

    with caplog.at_level(logging.ERROR):
        wrong = anyio.run(ask_all, requests)

    assert wrong == []
    assert [record.getMessage() for record in caplog.records] == []


def test_requests_are_there_of_every_version_that_is_advertised() -> None:
    """Malformed frames, too, are made out of these requests."""
    advertised = {
        (key, version)
        for key, api in TABLE.items()
        for version in range(api.min_version, api.max_version + 1)
    }
    assert {(key, version) for key, version, _ in valid_requests()} == advertised
