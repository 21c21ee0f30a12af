"""What an S3 engine says of its requests, which is what its bucket costs."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from datacore.testing.engine_harness import LOG, append_durably, on_loop, read, running
from tests.storage.test_s3 import StoreHarness
from tests.storage.troubled_bucket import troubled

if TYPE_CHECKING:
    import pytest


def counts_of(line: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


@on_loop
async def test_requests_and_bytes_are_told_when_it_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = StoreHarness()
    with caplog.at_level(logging.INFO, "datacore.storage.s3"):
        async with running(harness) as engine:
            data = await append_durably(await engine.open_log(LOG, epoch=0), 1000, 2000)
        first = counts_of(caplog.messages[-1])
        async with running(harness) as engine:
            assert await read(await engine.open_log(LOG, epoch=0), 0) == data
        second = counts_of(caplog.messages[-1])
    assert first["appended_bytes"] == first["stored_bytes"] == second["stored_bytes"] == len(data)
    assert first["written_bytes"] > len(data)
    assert second["read_bytes"] > len(data)
    assert second["appended_bytes"] == first["failed"] == 0
    assert all(first[name] for name in ("puts", "gets", "lists", "deletes"))


@on_loop
async def test_requests_are_told_now_and_then_and_failures_are_among_them(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacore.storage.s3.engine.COUNTS_INTERVAL_S", 0.01)
    engine, bucket = troubled(StoreHarness())
    told = asyncio.Event()

    def look(_: logging.LogRecord) -> bool:
        told.set()
        return True

    logging.getLogger("datacore.storage.s3").addFilter(look)
    with caplog.at_level(logging.INFO, "datacore.storage.s3"):
        await engine.start()
        bucket.requests.failed = 7
        await told.wait()
        await engine.close()
    logging.getLogger("datacore.storage.s3").removeFilter(look)
    assert counts_of(caplog.messages[0])["failed"] == 7
