"""Lets librdkafka push its metrics: produces for some time, then ends.

python -m tests.compat.clients.telemetry BOOTSTRAP TOPIC SECONDS
"""

import sys
import time

from confluent_kafka import Producer


def main() -> None:
    """Runs the producer."""
    bootstrap, topic, seconds = sys.argv[1:]
    producer = Producer({"bootstrap.servers": bootstrap, "enable.metrics.push": True})
    ends_s = time.monotonic() + float(seconds)
    while time.monotonic() < ends_s:
        producer.produce(topic, b"value")
        producer.poll(0.05)
    producer.flush()


if __name__ == "__main__":
    main()
