"""Whether a server orders conditional creates, found out before anything is trusted to it.

Rules: servers that ignore ``If-None-Match`` let everybody win, and those that look first and store
afterwards let two win who come at once; asked one at a time they seem right. So 16 writers race for
one key, ten times over; each time one must win, and what lies there must be that one's.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Final

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
    keys = [f"{PROBES}{uuid.uuid4().hex}" for _ in range(ROUNDS)]
    first = [str(writer).encode() for writer in range(WRITERS)]
    for key in keys:
        results = await asyncio.gather(
            *(bucket.create(key, data) for data in first), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        winners = [data for data, has_won in zip(first, results, strict=True) if has_won]
        # Where all were told of a conflict, nobody has won, and that is no mistake.
        expected = winners[0] if winners else None
        if len(winners) > 1 or await bucket.get(key) != expected:
            await bucket.delete(keys)
            message = (
                f"{bucket.place} cannot keep logs: of {WRITERS} conditional creates of one"
                f" object (If-None-Match: *) it let {len(winners)} succeed"
            )
            raise StorageError(message)
    await bucket.delete(keys)
