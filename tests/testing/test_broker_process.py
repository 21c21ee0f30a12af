"""A broker as a process: ready, stopped, killed, started again."""

import pytest

from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.testing import BrokerError, BrokerProcess


def test_a_process_answers_and_ends_in_order() -> None:
    with BrokerProcess(storage_engine="memory") as broker:
        with Cluster(broker.bootstrap_servers) as cluster:
            assert cluster.metadata().brokers
        assert broker.start_up_s > 0
        assert broker.stop() == 0
        with pytest.raises(BrokerError, match="not running"):
            broker.stop()


def test_what_was_acknowledged_survives_a_kill() -> None:
    with BrokerProcess() as broker:
        address = broker.bootstrap_servers
        with Cluster(address) as cluster:
            admin.create_topic(cluster, "t", partitions=2)
        broker.kill()
        broker.start()
        assert broker.bootstrap_servers == address
        with Cluster(address) as cluster:
            assert len(cluster.topic("t").partitions) == 2
        assert broker.data_dir.is_dir()
    assert not broker.data_dir.exists()


def test_a_process_that_does_not_start_says_its_last_words() -> None:
    broker = BrokerProcess(storage_engine="memory", kafka={"no.such.setting": 1})
    with pytest.raises(BrokerError, match=r"ended with status 2: Error: .*no\.such\.setting"):
        broker.start()
    broker.close()
