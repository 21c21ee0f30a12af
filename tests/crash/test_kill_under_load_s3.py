"""kill -9 of a broker whose logs are in a bucket, and what it leaves there.

The checker is that of ``test_kill_under_load.py``. Beside it, whatever a broker leaves in a bucket
that dies between two requests must be gone a grace later: the bucket is listed, and everything in
it that neither a start nor a log needs is an orphan.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest

from datacore.storage.s3.bucket import open_bucket
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.engine import SWEEPS_PER_GRACE, S3Engine
from datacore.testing.broker_process import BrokerProcess
from tests.crash.test_kill_under_load import KILLS_QUICK, KILLS_THOROUGH, kill_under_load
from tests.storage.s3_orphans import older_than, orphans, sweep_all
from tests.storage.s3_proxy import running_proxy
from tests.storage.s3_server import BUCKET, KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.storage.s3_server import S3Server

GRACE_S: Final = 60.0
"""The shortest there is."""
IS_THOROUGH = bool(os.environ.get("DATACORE_HYPOTHESIS"))


def config_of(server: S3Server) -> S3Config:
    return S3Config(
        endpoint=server.endpoint,
        bucket=BUCKET,
        prefix=f"kill/{uuid.uuid4().hex}",
        access_key=KEY,
        secret_key=SECRET,
        grace_s=GRACE_S,
    )


def as_broker_settings(config: S3Config) -> dict[str, Any]:
    return {
        "storage_engine": "s3",
        "s3_endpoint": config.endpoint,
        "s3_bucket": config.bucket,
        "s3_prefix": config.prefix,
        "s3_access_key": config.access_key,
        "s3_secret_key": config.secret_key,
        "s3_grace_ms": int(config.grace_s * 1000),
        "s3_rewrite_interval_ms": 1000,
    }


async def left_after_a_sweep(config: S3Config) -> Sequence[str]:
    """What still lies there when all that can go has gone, but for the sweeper's own sign."""
    engine = S3Engine(config)
    await engine.start()
    await sweep_all(engine)
    left = [each.key for each in await orphans(engine.bucket) if each.key != engine.liveness.key]
    await engine.close()
    return left


def test_nothing_is_lost_and_nothing_stays_for_good_when_the_broker_is_killed(
    s3_server: S3Server,
) -> None:
    config = config_of(s3_server)
    kill_under_load(as_broker_settings(config), KILLS_QUICK)
    assert asyncio.run(left_after_a_sweep(config)) == []


@pytest.mark.timeout(900)
def test_nothing_is_lost_when_the_broker_is_killed_behind_a_network_that_loses_answers(
    s3_server: S3Server,
) -> None:
    config = config_of(s3_server)
    with running_proxy(s3_server.endpoint, rate=0.05) as proxy:
        settings = {**as_broker_settings(config), "s3_endpoint": proxy.endpoint}
        kill_under_load(settings, KILLS_THOROUGH if IS_THOROUGH else 1)
    assert len(proxy.met) > 2
    print({trouble.value: count for trouble, count in proxy.met.items()})
    assert asyncio.run(left_after_a_sweep(config)) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_broker_that_goes_on_leaves_no_orphan_older_than_the_grace(s3_server: S3Server) -> None:
    config = config_of(s3_server)
    settings = as_broker_settings(config)
    kill_under_load(settings, KILLS_THOROUGH)
    with BrokerProcess(start_timeout_s=60, **settings) as broker:
        before = asyncio.run(aged(config, 0))
        assert before, "a broker that was killed so often has left nothing"
        deadline_s = time.monotonic() + 4 * GRACE_S
        allowed_s = GRACE_S + 2 * GRACE_S / SWEEPS_PER_GRACE
        while (left := asyncio.run(aged(config, 0))) and set(left) & set(before):
            assert time.monotonic() < deadline_s
            time.sleep(GRACE_S / 30)
        assert asyncio.run(aged(config, allowed_s)) == []
        assert broker.stop() == 0
    print(f"{len(before)} orphans of {KILLS_THOROUGH} kills were deleted")


async def aged(config: S3Config, age_s: float) -> Sequence[str]:
    """Orphans that are older than this, but for what shows that an engine lives."""
    bucket = open_bucket(config, {})
    found = [each for each in await orphans(bucket) if not each.key.startswith("alive/")]
    signs = await bucket.list("alive/")
    return older_than(found, age_s, max(each.modified for each in signs))
