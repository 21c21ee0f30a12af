"""A broker in a thread: quick, many at once, and startable again."""

import threading
from pathlib import Path

import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection
from datacore.config import ConfigError
from datacore.testing import Broker, BrokerError


def test_a_broker_answers_at_its_bootstrap_servers() -> None:
    with Broker() as broker, Connection(broker.host, broker.port) as connection:
        assert broker.bootstrap_servers == f"127.0.0.1:{broker.port}"
        assert connection.versions()


def test_many_brokers_live_side_by_side() -> None:
    brokers = [Broker(broker_id=number) for number in range(8)]
    starting = [threading.Thread(target=broker.start) for broker in brokers]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    try:
        assert len({broker.port for broker in brokers}) == len(brokers)
        for number, broker in enumerate(brokers):
            with Cluster(broker.bootstrap_servers) as cluster:
                admin.create_topic(cluster, f"topic-{number}")
                assert [topic.name for topic in admin.list_topics(cluster)] == [f"topic-{number}"]
                assert cluster.metadata().controller_id == number
    finally:
        for broker in brokers:
            broker.close()


def test_settings_go_by_their_flags_their_names_and_kafkas_names() -> None:
    with (
        Broker(
            num_partitions=2,
            broker_auto_create_topics=False,
            kafka={"log.retention.ms": 1000},
        ) as broker,
        Cluster(broker.bootstrap_servers) as cluster,
    ):
        admin.create_topic(cluster, "t")
        assert len(cluster.topic("t").partitions) == 2
        configs = admin.describe_configs(cluster, admin.TOPIC_RESOURCE, "t")
        assert {each.name: each.value for each in configs}["retention.ms"] == "1000"


def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATACORE_BROKER__NUM_PARTITIONS", "7")
    with Broker() as broker, Cluster(broker.bootstrap_servers) as cluster:
        admin.create_topic(cluster, "t")
        assert len(cluster.topic("t").partitions) == 1


def test_a_setting_that_is_wrong_is_told_before_anything_starts() -> None:
    with pytest.raises(
        TypeError, match="unknown setting 'partitions': expected one of broker_host"
    ):
        Broker(partitions=1)
    with pytest.raises(ConfigError, match="--storage-engine: expected one of memory, disk"):
        Broker(storage_engine="floppy")


def test_a_broker_that_cannot_start_says_why_and_may_start_later() -> None:
    with Broker() as first:
        second = Broker(port=first.port)
        with pytest.raises(BrokerError, match=f"did not start: .*{first.port}"):
            second.start()
    with second:
        assert second.bootstrap_servers


def test_a_broker_is_not_started_twice_and_is_stopped_twice_without_harm() -> None:
    with Broker() as broker:
        with pytest.raises(BrokerError, match="running already"):
            broker.start()
        broker.stop()
        broker.stop()
        with pytest.raises(BrokerError, match="not running"):
            _ = broker.bootstrap_servers


def test_a_restart_keeps_the_port_and_on_disk_the_data() -> None:
    with Broker(storage_engine="disk") as broker:
        address = broker.bootstrap_servers
        with Cluster(address) as cluster:
            admin.create_topic(cluster, "t", partitions=3)
        broker.stop()
        broker.start()
        assert broker.bootstrap_servers == address
        with Cluster(address) as cluster:
            assert len(cluster.topic("t").partitions) == 3


def test_data_stays_where_it_was_put(tmp_path: Path) -> None:
    def topics_after_creating(name: str) -> list[str | None]:
        with (
            Broker(storage_engine="disk", data_dir=tmp_path) as broker,
            Cluster(broker.bootstrap_servers) as cluster,
        ):
            admin.create_topic(cluster, name)
            return [topic.name for topic in admin.list_topics(cluster)]

    assert topics_after_creating("a") == ["a"]
    assert topics_after_creating("b") == ["a", "b"]
