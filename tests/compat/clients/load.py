"""Produces as fast as a client can for some time, and prints what was acknowledged when.

    python -m tests.compat.clients.load kafka-python|librdkafka BOOTSTRAP TOPIC SECONDS

One line of JSON: the bytes of acknowledged values, and the seconds until the last of them.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

VALUE = bytes(10_000)
_QUEUED_BYTES = 2_000_000  # few, so that little is left to be acknowledged at the end


def _kafka_python(bootstrap: str, topic: str, is_over: Callable[[], bool]) -> int:
    from kafka import KafkaProducer  # noqa: PLC0415  # one client is imported

    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, batch_size=100_000
    )
    sent = 0
    unacknowledged: deque[Any] = deque()
    while not is_over():
        unacknowledged.append(producer.send(topic, VALUE))
        sent += 1
        if len(unacknowledged) * len(VALUE) > _QUEUED_BYTES:
            unacknowledged.popleft().get(timeout=60)
    producer.flush()
    producer.close()
    return sent


def _librdkafka(bootstrap: str, topic: str, is_over: Callable[[], bool]) -> int:
    from confluent_kafka import Producer  # noqa: PLC0415  # one client is imported

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "queue.buffering.max.kbytes": _QUEUED_BYTES // 1000,
            "linger.ms": 5,
        }
    )
    sent = 0
    while not is_over():
        try:
            producer.produce(topic, VALUE)
            sent += 1
            producer.poll(0)
        except BufferError:
            producer.poll(0.05)
    producer.flush()
    return sent


def main() -> None:
    """Runs one client."""
    client, bootstrap, topic, seconds = sys.argv[1:]
    produce = {"kafka-python": _kafka_python, "librdkafka": _librdkafka}[client]
    began_s = time.monotonic()
    sent = produce(bootstrap, topic, lambda: time.monotonic() - began_s > float(seconds))
    took_s = time.monotonic() - began_s
    print(json.dumps({"bytes": sent * len(VALUE), "seconds": took_s}))


if __name__ == "__main__":
    main()
