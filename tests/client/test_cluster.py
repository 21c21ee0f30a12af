"""Leaders and coordinators are found, and patience has its limits."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore.client import admin
from datacore.client.cluster import Address, Cluster, parse_bootstrap
from datacore.client.errors import BrokerUnreachableError, ClientError
from datacore.protocol.errors import KafkaError
from datacore.testing import Broker


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a:1", [Address("a", 1)]),
        ("a", [Address("a", 9092)]),
        ("a:1, b:2,", [Address("a", 1), Address("b", 2)]),
        ("[::1]:3,[fe80::1]", [Address("::1", 3), Address("fe80::1", 9092)]),
    ],
)
def test_bootstrap_addresses_are_hosts_and_ports(text: str, addresses: list[Address]) -> None:
    assert parse_bootstrap(text) == addresses


@pytest.mark.parametrize("text", ["", ",", ":1", "a:", "a:x", "a:65536", "::1", "a b:1", "[]:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_bootstrap(text)


def test_a_retriable_error_is_retried_and_another_is_not() -> None:
    with Broker() as broker, Cluster(broker.bootstrap_servers) as cluster:
        codes = [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.INVALID_CONFIG]

        def attempt() -> None:
            raise KafkaError(codes.pop(0))

        with pytest.raises(KafkaError) as caught:
            cluster.retrying(attempt)
    assert caught.value.code == ErrorCode.INVALID_CONFIG
    assert codes == []


def test_a_retriable_error_is_raised_when_patience_is_over() -> None:
    def attempt() -> None:
        raise KafkaError(ErrorCode.NOT_COORDINATOR)

    with Cluster("127.0.0.1:1", retry_timeout_s=0) as cluster, pytest.raises(KafkaError) as caught:
        cluster.retrying(attempt)
    assert caught.value.code == ErrorCode.NOT_COORDINATOR


def test_an_unknown_topic_is_waited_for_only_where_it_is_expected() -> None:
    codes = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]

    def attempt() -> str:
        if codes:
            raise KafkaError(codes.pop())
        return "there"

    with Cluster("127.0.0.1:1") as cluster:
        with pytest.raises(KafkaError):
            cluster.retrying(attempt)
        assert cluster.retrying(attempt, expect_topic=True) == "there"


def test_bootstrap_brokers_that_never_answered_are_an_error_at_once() -> None:
    with (
        Cluster("127.0.0.1:1,127.0.0.1:2", retry_timeout_s=60) as cluster,
        pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1: .*127\.0\.0\.1:2: "),
    ):
        cluster.retrying(cluster.metadata)


def test_one_bootstrap_broker_that_answers_is_enough() -> None:
    with Broker() as broker, Cluster(f"127.0.0.1:1,{broker.bootstrap_servers}") as cluster:
        assert [each.port for each in cluster.metadata().brokers] == [broker.port]


def test_leader_controller_and_coordinator_are_found() -> None:
    with Broker() as broker, Cluster(broker.bootstrap_servers) as cluster:
        admin.create_topic(cluster, "t", partitions=2)
        assert cluster.leader_id("t", 1) == 1
        addresses = {
            cluster.leader("t", 0).address,
            cluster.controller().address,
            cluster.group_coordinator("g").address,
        }
        assert addresses == {broker.bootstrap_servers}
        with pytest.raises(ClientError, match="topic t has no partition 2: it has 2"):
            cluster.leader("t", 2)
        with pytest.raises(ClientError, match="no broker 9"):
            cluster.broker(9)


def test_an_advertised_address_that_leads_nowhere_is_told_as_such() -> None:
    with (
        Broker(advertised_listeners="PLAINTEXT://127.0.0.1:1") as broker,
        Cluster(broker.bootstrap_servers, retry_timeout_s=0) as cluster,
    ):
        cluster.metadata()
        with pytest.raises(BrokerUnreachableError, match="see its advertised listeners"):
            cluster.controller()


def test_a_restarted_broker_is_connected_to_again() -> None:
    with Broker() as broker, Cluster(broker.bootstrap_servers) as cluster:
        cluster.metadata()
        broker.stop()
        broker.start()
        assert cluster.retrying(cluster.metadata).brokers
