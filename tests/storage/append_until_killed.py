"""A process that appends to a log on disk and says what is durable, until somebody kills it.

``python -m tests.storage.append_until_killed DATA_DIR SYNC``: one line "offset size" for each
batch, as soon as the engine calls it durable.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.testing.batches import pack_batch
from datacore.testing.engine_harness import LOG

if TYPE_CHECKING:
    from datacore.storage.pending import Pending


def payload_of(offset: int) -> bytes:
    """What the batch at an offset holds, whoever appends it."""
    return offset.to_bytes(8, "big") * (offset * 7919 % 500)


def say(offset: int, _: Pending[None] | None = None) -> None:
    """One line, past every buffer of this process."""
    os.write(1, f"{offset}\n".encode())


async def main(data_dir: Path, *, sync: bool) -> None:
    """Appends without end."""
    config = DiskConfig(
        data_dir=data_dir, sync=sync, segment_bytes=1 << 18, checkpoint_bytes=1 << 17
    )
    engine = DiskEngine(config)
    await engine.start()
    log = await engine.open_log(LOG, epoch=0)
    say(-log.end_offset)
    while True:
        pending = None
        for _ in range(10):
            offset = log.end_offset
            pending = log.append(
                pack_batch(offset, payload_of(offset)),
                base_offset=offset,
                next_offset=offset + 1,
                max_timestamp_ms=offset,
            )
            if pending is None:
                say(offset)
            else:
                pending.then(functools.partial(say, offset))
        if pending is not None:
            await pending


if __name__ == "__main__":
    anyio.run(functools.partial(main, Path(sys.argv[1]), sync=sys.argv[2] == "sync"))
