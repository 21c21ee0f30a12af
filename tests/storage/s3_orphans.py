"""What lies in a bucket and nothing refers to, found without the engine that deletes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.storage.s3.config import S3Config
from datacore.storage.s3.journal import NEWEST, STATE, WAL, Journal
from datacore.storage.s3.sweep import sweep

if TYPE_CHECKING:
    from datetime import datetime

    from datacore.storage.s3.bucket import Bucket, Listed
    from datacore.storage.s3.engine import S3Engine

A_SECOND_AHEAD = -1.0
"""As a grace: servers tell whole seconds, so what this one wrote is not before now."""


async def sweep_all(engine: S3Engine) -> None:
    """Deletes all that can go, however young it is."""
    await sweep(engine.bucket, engine.journal, engine.liveness, grace_s=A_SECOND_AHEAD)


async def orphans(bucket: Bucket) -> list[Listed]:
    """Every object but those that a start would read, or a log of the journal's end refers to."""
    journal = Journal(bucket, S3Config())
    await journal.catch_up()
    listed = await bucket.list()
    newest = int(await bucket.get(NEWEST) or b"0")
    needed = {*journal.state.referenced()} | ({NEWEST, f"{STATE}{newest:020}"} if newest else set())
    needed |= {f"{WAL}{number:020}" for number in range(newest + 1, journal.state.number + 1)}
    lost = needed - {each.key for each in listed}
    assert lost == set(), "the bucket lacks what logs refer to"
    return [each for each in listed if each.key not in needed]


def older_than(listed: list[Listed], age_s: float, now: datetime) -> list[str]:
    """Keys of those that were written so long ago, by the server's clock."""
    return [each.key for each in listed if (now - each.modified).total_seconds() > age_s]
