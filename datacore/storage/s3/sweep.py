"""Deletes the objects that nothing needs, a grace after they were written.

Rules:

- Needed is what the state behind the journal's end refers to, the newest state that is written
  down, and every object of the journal behind that one.
- An object younger than the grace stays: it may be on its way into the journal. All times are the
  server's; its "now" is when this engine's own sign of life was last written.
- What no engine can have written is not touched: a bucket may hold other things.
- Whatever a writer left behind that died between two requests is found here, too.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from datacore.storage.s3.journal import STATE, WAL, is_ours, state_key, wal_key

if TYPE_CHECKING:
    from datacore.storage.s3.bucket import Bucket
    from datacore.storage.s3.journal import Journal
    from datacore.storage.s3.liveness import Liveness

logger = logging.getLogger("datacore.storage.s3")


async def sweep(bucket: Bucket, journal: Journal, liveness: Liveness, grace_s: float) -> int:
    """Deletes what can go.

    Returns:
        How many objects went.

    Raises:
        Unavailable: The bucket does not answer.
    """
    await journal.catch_up()
    needed = journal.state.referenced()
    listed = [each for each in await bucket.list() if is_ours(each.key)]
    now = next((each.modified for each in listed if each.key == liveness.key), None)
    newest = max((each.key for each in listed if each.key.startswith(STATE)), default=state_key(0))
    behind = wal_key(int(newest.removeprefix(STATE)))
    if now is None:
        return 0
    before = now - timedelta(seconds=grace_s)
    gone = [
        each.key
        for each in listed
        if each.modified < before
        and each.key not in needed
        and each.key not in {newest, liveness.key}
        and not (each.key.startswith(WAL) and each.key > behind)
    ]
    await bucket.delete(gone)
    if gone:
        logger.info("%d objects that nothing needs were deleted", len(gone))
    return len(gone)
