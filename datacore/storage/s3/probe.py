"""Whether a server orders conditional creates, found out before anything is trusted to it.

Rules: servers that ignore ``If-None-Match`` let everybody win, and those that look first and store
afterwards let two win who come at once; asked one at a time they seem right. So 16 writers race for
one key, ten times over; each time one must win, and what lies there must be that one's. Each key is
deleted before the next is raced for, and whatever comes of it.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from datacore.storage.s3.bucket import Bucket

PROBES: Final = "probe/"
WRITERS: Final = 16
ROUNDS: Final = 10


async def probe(bucket: Bucket) -> None:
    """Races for keys of its own, and deletes them.

    Raises:
        StorageError: The server cannot be trusted with a journal, or cannot be reached.
    """
    for _ in range(ROUNDS):
        key = f"{PROBES}{uuid.uuid4().hex}"
        try:
            await _race(bucket, key)
        except StorageError:
            with suppress(StorageError):  # what was wrong first is what has to be told
                await bucket.delete([key])
            raise
        await bucket.delete([key])


async def _race(bucket: Bucket, key: str) -> None:
    results = await asyncio.gather(
        *(_create(bucket, key, str(writer).encode()) for writer in range(WRITERS))
    )
    refused = [each for each in results if isinstance(each, Unavailable)]
    if len(refused) == WRITERS:
        raise refused[0]
    winners = [str(at).encode() for at, each in enumerate(results) if each is True]
    # Where all were told of a conflict nobody has won, and that is no mistake; and who has no
    # answer may be the one.
    possible: list[bytes | None] = [*winners]
    if not winners:
        possible += [None]
        possible += [str(at).encode() for at, each in enumerate(results) if each is not False]
    if len(winners) > 1 or await bucket.get(key) not in possible:
        message = (
            f"{bucket.place} cannot keep logs: of {WRITERS} conditional creates of one"
            f" object (If-None-Match: *) it let {len(winners)} succeed"
        )
        raise StorageError(message)


async def _create(bucket: Bucket, key: str, data: bytes) -> bool | Unavailable:
    try:
        return await bucket.create(key, data)
    except Unavailable as error:
        return error
