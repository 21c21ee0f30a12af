"""Quix Streams: counts the words of topic `lines` into topic `counts`, exactly once.

    python -m tests.compat.clients.quix_word_count HOST:PORT FOLDER

It ends with whatever its client raises when a broker dies, so it is built anew, as a supervisor
would start it again; its state comes back from its changelog topic.
"""

import sys
import threading
import time
import traceback
from typing import Any

from quixstreams import Application
from quixstreams.models import TopicConfig

# Between two transactions; its default of five seconds would make few.
_COMMIT_S = 0.3
_BEGIN_ANEW_S = 0.2


def main(bootstrap: str, folder: str) -> None:
    """Runs until the end of stdin."""
    leaving = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=[leaving], daemon=True).start()
    while not leaving.is_set():
        try:
            _run(bootstrap, folder, leaving)
        except Exception:  # noqa: BLE001 - the counts are judged, not what it went through
            traceback.print_exc()
            time.sleep(_BEGIN_ANEW_S)


def _run(bootstrap: str, folder: str, leaving: threading.Event) -> None:
    application = Application(
        broker_address=bootstrap,
        consumer_group="word-count",
        state_dir=folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=_COMMIT_S,
        consumer_extra_config={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 300},
        loglevel="INFO",
    )
    config = TopicConfig(num_partitions=2, replication_factor=1)
    lines = application.topic("lines", value_deserializer="str", config=config)
    counts = application.topic(
        "counts", key_serializer="str", value_serializer="str", config=config
    )
    words = application.dataframe(lines).apply(lambda line: line.split(), expand=True)
    words = words.group_by(
        lambda word: word,
        name="word",
        key_serializer="str",
        key_deserializer="str",
        value_serializer="str",
        value_deserializer="str",
    )
    words.apply(_count, stateful=True).to_topic(counts)
    threading.Thread(target=_stop, args=[application, leaving], daemon=True).start()
    sys.stdout.write("running\n")
    sys.stdout.flush()
    application.run()


def _count(_word: str, state: Any) -> str:
    count = state.get("count", 0) + 1
    state.set("count", count)
    return str(count)


def _wait_for_the_end(leaving: threading.Event) -> None:
    sys.stdin.read()
    leaving.set()


def _stop(application: Application, leaving: threading.Event) -> None:
    leaving.wait()
    application.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
