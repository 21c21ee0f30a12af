"""Two that fight for one log over one store: one wins each append, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from datacore.storage.engine import Fenced
from datacore.storage.s3.config import S3Config
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG, on_loop, read, running
from tests.storage import test_postgresql, test_s3

if TYPE_CHECKING:
    from datacore.storage.postgresql.config import PostgresqlConfig
    from datacore.testing.engine_harness import EngineHarness
    from tests.storage.postgresql_server import PostgresqlServer
    from tests.storage.s3_server import S3Server

FIGHTS: Final = 200 if os.environ.get("DATACORE_HYPOTHESIS") else 40


class Shared(NamedTuple):
    """A store that several engines use, and how another process is told of it."""

    harness: EngineHarness
    config: PostgresqlConfig | S3Config


@pytest.fixture(params=["postgresql", "s3"])
def shared(request: pytest.FixtureRequest) -> Shared:
    if request.param == "s3":
        s3_server: S3Server = request.getfixturevalue("s3_server")
        of_s3 = test_s3.config_of(s3_server)
        return Shared(test_s3.ServerHarness(of_s3), of_s3)
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    of_postgresql = test_postgresql.config_of(server)
    return Shared(test_postgresql.PostgresqlHarness(of_postgresql), of_postgresql)


@on_loop
async def test_two_engines_that_fight_for_a_log_lose_nothing_and_give_no_offset_twice(
    shared: Shared,
) -> None:
    async with running(shared.harness) as first, running(shared.harness) as second:
        engines = [first, second]
        owner = await first.open_log(LOG, epoch=1)
        acknowledged: list[tuple[int, bytes]] = []
        for epoch in range(2, FIGHTS + 2):
            batch = pack_batch(owner.end_offset, str(epoch).encode())
            offset = owner.end_offset
            pending = owner.append(
                batch, base_offset=offset, next_offset=offset + 1, max_timestamp_ms=0
            )
            assert pending is not None
            challenger = await engines[(epoch + 1) % 2].open_log(LOG, epoch=epoch)
            try:
                await pending
            except Fenced:
                assert challenger.end_offset == offset
            else:
                acknowledged.append((offset, batch))
                assert challenger.end_offset == offset + 1
            owner = challenger
        stored = await read(owner, 0)
        assert stored == b"".join(batch for _, batch in acknowledged)
        assert [offset for offset, _ in acknowledged] == list(range(owner.end_offset))


@pytest.mark.timeout(600)
def test_two_processes_that_fight_for_a_log_lose_nothing_and_give_no_offset_twice(
    shared: Shared,
) -> None:
    kind = "s3" if isinstance(shared.config, S3Config) else "postgresql"
    settings = json.dumps(asdict(shared.config))
    fighter = [sys.executable, "-m", "tests.storage.fight_for_log", kind, settings]
    fighters = [
        subprocess.Popen(
            [*fighter, str(epoch), str(FIGHTS // 2)], stdout=subprocess.PIPE, text=True
        )
        for epoch in (1, 2)
    ]
    acknowledged: dict[int, bytes] = {}
    for process in fighters:
        said, _ = process.communicate(timeout=500)
        assert process.returncode == 0
        for line in said.splitlines():
            offset, payload = line.split()
            assert int(offset) not in acknowledged
            acknowledged[int(offset)] = pack_batch(int(offset), payload.encode())

    async def everything() -> bytes:
        async with running(shared.harness) as engine:
            log = await engine.open_log(LOG, epoch=1 << 30)
            assert log.end_offset == len(acknowledged)
            return await read(log, 0)

    assert asyncio.run(everything()) == b"".join(
        acknowledged[offset] for offset in sorted(acknowledged)
    )
    print(f"{kind}: {FIGHTS} fights, {len(acknowledged)} appends acknowledged")
