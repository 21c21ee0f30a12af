"""What a log promises its clients, end to end, on the engines that share a store with others.

``test_what_a_log_promises`` has the same and more on the disk, where it looks at files.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.testing.broker import Broker
from tests.storage.s3_server import BUCKET, KEY, SECRET
from tests.test_what_a_log_promises import (
    HOUR_MS,
    MIB,
    TOPIC,
    await_that,
    read,
    start_offset,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.postgresql_server import PostgresqlServer
    from tests.storage.s3_server import S3Server


@pytest.fixture(params=["postgresql", "s3"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    kafka = {"log.retention.check.interval.ms": 50, "log.cleaner.backoff.ms": 50}
    settings: dict[str, Any]
    if request.param == "s3":
        s3_server: S3Server = request.getfixturevalue("s3_server")
        settings = {
            "s3_endpoint": s3_server.endpoint,
            "s3_bucket": BUCKET,
            "s3_prefix": f"features/{uuid.uuid4().hex}",
            "s3_access_key": KEY,
            "s3_secret_key": SECRET,
        }
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        settings = {
            "postgresql_host": server.host,
            "postgresql_schema": f"features_{uuid.uuid4().hex}",
        }
    with Broker(storage_engine=request.param, kafka=kafka, **settings) as running:
        yield running


@pytest.fixture
def cluster(broker: Broker) -> Iterator[Cluster]:
    with Cluster(broker.bootstrap_servers) as connected:
        yield connected


def test_retention_frees_whole_segments_also_after_a_restart(
    broker: Broker, cluster: Cluster
) -> None:
    configs = {"segment.bytes": str(MIB), "retention.ms": str(2 * HOUR_MS)}
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    write(cluster, *[bytes(600_000)] * 3, age_ms=3 * HOUR_MS)
    write(cluster, *[bytes(600_000)] * 2, age_ms=HOUR_MS)
    await_that(lambda: start_offset(cluster) == 3)
    broker.stop()
    broker.start()
    with Cluster(broker.bootstrap_servers) as again:
        assert [record.offset for record in read(again, 2)] == [3, 4]
        write(again, b"afterwards")
        assert [record.offset for record in read(again, 3)] == [3, 4, 5]


def test_compaction_keeps_the_last_record_of_each_key_also_after_a_restart(
    broker: Broker, cluster: Cluster
) -> None:
    configs = {
        "segment.bytes": str(MIB),
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.01",
    }
    admin.create_topic(cluster, TOPIC, partitions=1, configs=configs)
    for key in (b"a", b"b", b"a", b"a", b"c"):
        write(cluster, key + bytes(600_000), key=key)
    await_that(lambda: [record.offset for record in read(cluster, 3)[:3]] == [1, 3, 4])
    broker.stop()
    broker.start()
    with Cluster(broker.bootstrap_servers) as again:
        assert [record.key for record in read(again, 3)] == [b"b", b"a", b"c"]
        assert admin.list_offsets(again, TOPIC, admin.LATEST)[0].offset == 5


def test_a_deleted_topic_is_gone_and_its_name_is_free(broker: Broker, cluster: Cluster) -> None:
    admin.create_topic(cluster, TOPIC, partitions=3)
    write(cluster, b"before")
    admin.delete_topic(cluster, TOPIC)
    admin.create_topic(cluster, TOPIC, partitions=1)
    write(cluster, b"afterwards")
    assert [record.value for record in read(cluster, 1)] == [b"afterwards"]
    broker.stop()
    broker.start()
    with Cluster(broker.bootstrap_servers) as again:
        assert [record.value for record in read(again, 1)] == [b"afterwards"]
