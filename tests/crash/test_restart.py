"""What a broker knows after a restart: everything, whether it was stopped or killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from datacore._generated.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.producer import Producer
from datacore.client.subscription import TopicPartition
from datacore.record.records import Record
from datacore.testing.broker import BrokerError
from datacore.testing.broker_process import BrokerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOPIC = "orders"
GROUP = "billing"
TOPIC_RESOURCE = 2


@dataclass(frozen=True)
class Known:
    """What a client can learn of a broker's state."""

    cluster_id: str | None
    topic_id: bytes
    partitions: int
    retention_ms: str | None
    offsets: dict[TopicPartition, int]
    end_offsets: list[int]
    groups: list[str]


def known(cluster: Cluster) -> Known:
    (topic,) = (topic for topic in admin.list_topics(cluster) if topic.name == TOPIC)
    configs = {c.name: c.value for c in admin.describe_configs(cluster, TOPIC_RESOURCE, TOPIC)}
    return Known(
        cluster.metadata().cluster_id,
        topic.topic_id,
        len(topic.partitions),
        configs["retention.ms"],
        admin.group_offsets(cluster, GROUP),
        [each.offset for each in admin.list_offsets(cluster, TOPIC, admin.LATEST)],
        [group.group_id for group in admin.list_groups(cluster)],
    )


def commit(cluster: Cluster, partition: int, offset: int) -> None:
    request = OffsetCommitRequest(
        group_id=GROUP,
        topics=[
            OffsetCommitRequestTopic(
                name=TOPIC,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition,
                        committed_offset=offset,
                        committed_metadata="so far",
                    )
                ],
            )
        ],
    )
    answer = cluster.group_coordinator(GROUP).send(request, OffsetCommitResponse, 7)
    assert answer.topics[0].partitions[0].error_code == 0


def stop(broker: BrokerProcess) -> None:
    assert broker.stop() == 0


@pytest.mark.parametrize("end", [stop, BrokerProcess.kill], ids=["stopped", "killed"])
def test_topics_configs_records_groups_and_offsets_outlive_the_process(
    end: Callable[[BrokerProcess], None],
) -> None:
    with BrokerProcess() as broker:
        with Cluster(broker.bootstrap_servers) as cluster:
            admin.create_topic(cluster, TOPIC, partitions=2, configs={"retention.ms": "123456"})
            admin.create_topic(cluster, "gone")
            admin.create_partitions(cluster, TOPIC, 3)
            admin.delete_topic(cluster, "gone")
            producer = Producer(cluster, TOPIC, partition=2)
            producer.write([Record(0, 1000 + n, b"k", b"v%d" % n, []) for n in range(5)])
            commit(cluster, 2, 3)
            before = known(cluster)
        end(broker)
        broker.start()
        with Cluster(broker.bootstrap_servers) as cluster:
            assert known(cluster) == before
            assert before.partitions == 3
            assert before.retention_ms == "123456"
            assert before.offsets == {TopicPartition(TOPIC, 2): 3}
            assert sum(before.end_offsets) == 5
            assert before.groups == [GROUP]
            assert "gone" not in {topic.name for topic in admin.list_topics(cluster)}


def test_a_broker_does_not_start_on_the_data_of_another_broker_id(tmp_path: Path) -> None:
    with BrokerProcess(data_dir=str(tmp_path), broker_id=1) as broker:
        with Cluster(broker.bootstrap_servers) as cluster:
            admin.create_topic(cluster, TOPIC)
        stop(broker)
    with (
        BrokerProcess(data_dir=str(tmp_path), broker_id=1) as same,
        Cluster(same.bootstrap_servers) as cluster,
    ):
        assert TOPIC in {topic.name for topic in admin.list_topics(cluster)}
    other = BrokerProcess(data_dir=str(tmp_path), broker_id=2)
    with pytest.raises(BrokerError, match="belongs to broker 1"):
        other.start()
    other.close()
