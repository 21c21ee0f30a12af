"""A transactional producer and a consumer of librdkafka on a topic that is compacted meanwhile."""

import time
from random import Random

import pytest
from confluent_kafka import Consumer, Producer

from datacore.client.admin import create_topic
from datacore.client.cluster import Address, Cluster
from datacore.testing.broker import Broker

pytestmark = [pytest.mark.compat, pytest.mark.slow, pytest.mark.timeout(180)]

TRANSACTIONS = 150
RECORDS = 20
KEYS = 100
CONFIGS = {
    "cleanup.policy": "compact",
    "segment.ms": "50",
    "min.cleanable.dirty.ratio": "0",
    "delete.retention.ms": "100",
    "compression.type": "lz4",
}
CLEANER = {"log.cleaner.backoff.ms": 50}


def read_all(broker: Broker, group: str) -> tuple[int, dict[str, str]]:
    """How many records a consumer under read_committed meets, and what it then knows."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe(["t"])
    count = 0
    known: dict[str, str] = {}
    try:
        while True:
            message = consumer.poll(30)
            assert message is not None
            if message.error() is not None:
                return count, known
            count += 1
            key, value = message.key(), message.value()
            assert isinstance(key, bytes)
            if value is None:
                known.pop(key.decode(), None)
            else:
                known[key.decode()] = value.decode()
    finally:
        consumer.close()


def test_a_consumer_knows_what_was_committed_last() -> None:
    random = Random(1)
    committed: dict[str, str | None] = {}
    with Broker(storage_engine="disk", kafka=CLEANER) as broker:
        with Cluster([Address(broker.host, broker.port)]) as cluster:
            create_topic(cluster, "t", configs=CONFIGS)
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "transactional.id": "writer",
                "compression.type": "zstd",
            }
        )
        producer.init_transactions()
        for _ in range(TRANSACTIONS):
            written: dict[str, str | None] = {}
            producer.begin_transaction()
            for _ in range(RECORDS):
                key = f"key-{random.randrange(KEYS)}"
                value = None if random.random() < 0.1 else str(random.random())
                producer.produce("t", key=key, value=value)
                written[key] = value
            producer.flush()
            if random.random() < 0.4:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
                committed.update(written)
        wanted = {key: value for key, value in committed.items() if value is not None}
        deadline = time.monotonic() + 120
        count = TRANSACTIONS * RECORDS
        attempts = 0
        while count >= TRANSACTIONS * RECORDS / 10:
            assert time.monotonic() < deadline
            count, known = read_all(broker, f"reader-{attempts}")
            assert known == wanted
            attempts += 1
