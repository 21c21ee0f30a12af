"""Producers' transactions live the same lives with Apache Kafka 4.1.1 and with DataCore.

What Kafka answered is recorded, too (tests/golden), so that ``make test`` asks without Java.
"""

import shutil
from collections.abc import Iterator

import pytest

from datacore.testing.broker import Broker
from tests.differential.transaction_lives import ONE_SHARD, REPLICAS, differences, lives
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    with ApacheKafka("4.1.1", properties=ONE_SHARD | REPLICAS, heap="512m") as kafka:
        yield kafka


def test_transactions_live_the_same_life_in_every_version(kafka: ApacheKafka) -> None:
    with Broker(kafka=ONE_SHARD) as broker:
        ours = lives(broker.port)
    assert differences(ours, lives(kafka.port)) == ""
    print(f"{len(ours)} answers alike")
