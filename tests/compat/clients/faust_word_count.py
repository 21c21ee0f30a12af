"""Faust: counts the words of topic `lines` into topic `counts`, and tells in `seen` what it read.

    python -m tests.compat.clients.faust_word_count HOST:PORT FOLDER GUARANTEE

What it read is "partition offset" of each line. A worker that gives up, as when a broker dies, is
started again in this very process, as a supervisor would; its state comes back from its changelog
topic.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import faust

PARTITIONS = 2
# Between two commits; its default of 2.8 seconds would make few.
_COMMIT_S = 0.3
_BEGIN_ANEW_S = 0.2


def main(bootstrap: str, folder: str, guarantee: str) -> None:
    """Runs until the end of stdin."""
    leaving = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=[leaving], daemon=True).start()
    app = _application(bootstrap, folder, guarantee)
    worker = faust.Worker(app, loglevel="INFO", redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        sys.stderr.write(f"the worker has ended: {ended.code}\n")
    if leaving.is_set():
        os._exit(0)
    time.sleep(_BEGIN_ANEW_S)
    os.execv(sys.executable, sys.orig_argv)


def _application(bootstrap: str, folder: str, guarantee: str) -> Any:
    app = faust.App(
        "word-count",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=folder,
        processing_guarantee=guarantee,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=_COMMIT_S,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=0.3,
        autodiscover=False,
        web_enabled=False,
    )
    lines, words, counts, seen = (
        app.topic(name, key_serializer="raw", value_serializer="raw", partitions=PARTITIONS)
        for name in ("lines", "words", "counts", "seen")
    )
    table = app.Table("table", default=int, partitions=PARTITIONS)

    @app.agent(lines)  # type: ignore[untyped-decorator] # of a client that is not installed here
    async def split(stream: Any) -> AsyncIterator[None]:
        async for event in stream.events():
            for word in event.value.split():
                await words.send(key=word, value=b"")
            await seen.send(value=b"%d %d" % (event.message.partition, event.message.offset))
            yield

    @app.agent(words)  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> AsyncIterator[None]:
        async for event in stream.events():
            word = event.key.decode()
            table[word] += 1
            await counts.send(key=event.key, value=b"%d" % table[word])
            yield

    @app.task  # type: ignore[untyped-decorator]
    async def tell() -> None:
        sys.stdout.write("running\n")
        sys.stdout.flush()

    return app


def _wait_for_the_end(leaving: threading.Event) -> None:
    sys.stdin.read()
    leaving.set()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
