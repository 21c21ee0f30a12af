"""Groups of real clients by either protocol: scaled, killed, restarted, migrated (KIP-848).

A broker of its own: sessions and heartbeats are the broker's in the consumer protocol, and Kafka's
default of 45 s would make a killed member a long story.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

import pytest

from datacore.testing.broker_process import BrokerProcess
from tests.compat.clients.contract import Record
from tests.compat.console_tools import ConsoleTools
from tests.compat.driver import Driver, Member, eventually
from tests.compat.environments import NotRunError, Program
from tests.compat.matrix import CLIENTS, CONSOLE_TOOLS, Client
from tests.compat.raw_requests import create_topic

PARTITIONS = 10
MEMBER_DEADLINE_S = 600.0
CONSUMER = {"group.protocol": "consumer"}
NAMED = {str(client): client for client in (*CLIENTS, *CONSOLE_TOOLS)}
WITH_CONSUMER_PROTOCOL = ["confluent-kafka-2.16.1", "java-4.1.1"]
CLASSIC_ONLY = ["kafka-python-3.0.12", "aiokafka-0.14.0", "franz-go-1.22.2", "sarama-1.61.1"]
STRATEGY = "partition.assignment.strategy"
JAVA_ASSIGNORS = "org.apache.kafka.clients.consumer"
JAVA = ["java-2.8.2", "java-3.9.1", "java-4.1.1"]
COOPERATIVE = {
    **{name: {STRATEGY: f"{JAVA_ASSIGNORS}.CooperativeStickyAssignor"} for name in JAVA},
    "confluent-kafka-2.16.1": {STRATEGY: "cooperative-sticky"},
}
EAGER = {
    **{name: {STRATEGY: f"{JAVA_ASSIGNORS}.RangeAssignor"} for name in JAVA},
    "confluent-kafka-2.16.1": {STRATEGY: "range"},
}

pytestmark = [pytest.mark.compat, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    quick = {
        "group.consumer.min.session.timeout.ms": 6_000,
        "group.consumer.session.timeout.ms": 6_000,
        "group.consumer.min.heartbeat.interval.ms": 300,
        "group.consumer.heartbeat.interval.ms": 300,
        "offsets.topic.num.partitions": 4,
    }
    with BrokerProcess(kafka=quick) as broker:
        yield broker
        assert broker.stop() == 0, broker.log()


def prepared(client: Client) -> Program:
    try:
        return client.environment.prepare(client.family, client.version)
    except NotRunError as missing:
        pytest.skip(f"{client} not run: {missing}")


class Crowd:
    """Members of one group and a topic, and what they were given."""

    def __init__(self, client: Client, bootstrap: str, topic: str, group: str) -> None:
        self.program = prepared(client)
        self.bootstrap, self.topic, self.group = bootstrap, topic, group
        self.members: list[Member] = []
        self.gone: list[Member] = []
        self.sent: Counter[tuple[int, int]] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        create_topic(self.bootstrap, self.topic, partitions=PARTITIONS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, config: dict[str, str], *, pattern: str | None = None) -> Member:
        variables = [*self.program.variables, ("DATACORE_COMPAT_CONFIG", json.dumps(config))]
        if pattern is not None:
            variables.append(("DATACORE_COMPAT_PATTERN", pattern))
        program = replace(self.program, variables=tuple(variables))
        driver = Driver(program, self.bootstrap, deadline_s=MEMBER_DEADLINE_S)
        member = self._stack.enter_context(driver.join(self.topic, self.group))
        self.members.append(member)
        return member

    def leave(self, member: Member) -> None:
        member.leave()
        self.members.remove(member)
        self.gone.append(member)

    def kill(self, member: Member) -> None:
        member.process.kill()
        self.members.remove(member)
        self.gone.append(member)

    def produce(self) -> None:
        records = [
            Record(partition, "none", None, b"v", [], None)
            for partition in range(PARTITIONS)
            for _ in range(3)
        ]
        driver = Driver(self.program, self.bootstrap)
        self.sent.update(driver.produce(self.topic, records))

    def expect_shares(self, *shares: int) -> None:
        def is_shared() -> bool:
            owned = [member.partitions or set() for member in self.members]
            whole = sorted(p for partitions in owned for p in partitions)
            return whole == [*range(PARTITIONS)] and sorted(map(len, owned)) == sorted(shares)

        eventually(is_shared, f"members share by {shares}", self.members)

    def expect_all_read(self) -> None:
        """Nothing is lost; what members that went did not commit is read again."""

        def is_read() -> bool:
            return self.sent.keys() <= self.read().keys()

        eventually(is_read, "all that was sent is read", self.members)

    def read(self) -> Counter[tuple[int, int]]:
        everybody: Sequence[Member] = [*self.members, *self.gone]
        return Counter(place for member in everybody for place in member.offsets())

    def commit(self) -> None:
        ends = Counter(partition for partition, _ in self.sent)
        for member in self.members:
            if member.partitions:
                member.commit({partition: ends[partition] for partition in member.partitions})


@pytest.fixture
def crowd(
    request: pytest.FixtureRequest, broker: BrokerProcess, topic: str, group: str
) -> Iterator[Crowd]:
    client = NAMED[request.param]
    with Crowd(client, broker.bootstrap_servers, topic, group) as crowd:
        yield crowd


@pytest.mark.parametrize("crowd", WITH_CONSUMER_PROTOCOL, indirect=True)
def test_a_consumer_group_grows_shrinks_and_loses_nothing(
    crowd: Crowd, broker: BrokerProcess
) -> None:
    grow_and_shrink(crowd, broker, CONSUMER)


@pytest.mark.parametrize(
    ("crowd", "config"),
    [
        *((name, {}) for name in CLASSIC_ONLY),
        *(pytest.param(name, EAGER[name], id=f"{name}-eager") for name in EAGER),
        *(pytest.param(name, COOPERATIVE[name], id=f"{name}-cooperative") for name in COOPERATIVE),
    ],
    indirect=["crowd"],
)
def test_a_classic_group_grows_shrinks_and_loses_nothing(
    crowd: Crowd, broker: BrokerProcess, config: dict[str, str]
) -> None:
    grow_and_shrink(crowd, broker, config)


def grow_and_shrink(crowd: Crowd, broker: BrokerProcess, config: dict[str, str]) -> None:
    """One member, five, a broker that begins anew, one killed, two of them: each record once."""
    crowd.produce()
    first = crowd.start(config)
    crowd.expect_shares(10)
    crowd.expect_all_read()
    crowd.commit()
    for _ in range(4):
        crowd.start(config)
    crowd.expect_shares(2, 2, 2, 2, 2)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    broker.stop()
    broker.start()
    crowd.produce()
    crowd.expect_all_read()
    crowd.expect_shares(2, 2, 2, 2, 2)
    crowd.commit()
    crowd.kill(crowd.members[-1])
    crowd.expect_shares(2, 2, 3, 3)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    for member in [m for m in crowd.members if m is not first][:2]:
        crowd.leave(member)
    crowd.expect_shares(5, 5)
    crowd.produce()
    crowd.expect_all_read()
    assert set(crowd.read().values()) == {1}, "and nothing twice"


@pytest.mark.parametrize("crowd", WITH_CONSUMER_PROTOCOL, indirect=True)
def test_members_subscribe_by_a_regular_expression(crowd: Crowd) -> None:
    crowd.start(CONSUMER, pattern=f"{crowd.topic[:-1]}.")
    crowd.start(CONSUMER, pattern=f"{crowd.topic[:-1]}.")
    crowd.expect_shares(5, 5)
    crowd.produce()
    crowd.expect_all_read()


@pytest.mark.parametrize("crowd", WITH_CONSUMER_PROTOCOL, indirect=True)
def test_a_static_member_comes_back_to_its_partitions(crowd: Crowd) -> None:
    static = CONSUMER | {"group.instance.id": "i1"}
    first = crowd.start(static)
    crowd.start(CONSUMER)
    crowd.expect_shares(5, 5)
    had = first.partitions
    crowd.leave(first)
    back = crowd.start(static)
    crowd.expect_shares(5, 5)
    assert back.partitions == had


@pytest.mark.parametrize("crowd", WITH_CONSUMER_PROTOCOL, indirect=True)
@pytest.mark.parametrize("classic", [EAGER, COOPERATIVE], ids=["eager", "cooperative"])
def test_a_live_group_is_upgraded_and_downgraded_member_by_member(
    request: pytest.FixtureRequest, crowd: Crowd, classic: dict[str, dict[str, str]]
) -> None:
    config = classic[request.node.callspec.params["crowd"]]
    old = [crowd.start(config), crowd.start(config)]
    crowd.expect_shares(5, 5)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    new = [crowd.start(CONSUMER)]
    crowd.expect_shares(3, 3, 4)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    crowd.leave(old[0])
    new.append(crowd.start(CONSUMER))
    crowd.expect_shares(3, 3, 4)
    crowd.commit()
    crowd.leave(old[1])
    crowd.expect_shares(5, 5)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    crowd.start(config)
    crowd.expect_shares(3, 3, 4)
    crowd.leave(new[0])
    crowd.expect_shares(5, 5)
    crowd.commit()
    crowd.leave(new[1])
    crowd.expect_shares(10)
    crowd.produce()
    crowd.expect_all_read()


@pytest.mark.parametrize("crowd", ["java-2.8.2", "java-3.9.1", "java-4.1.1"], indirect=True)
def test_classic_members_of_java_are_static_and_cooperative(crowd: Crowd) -> None:
    cooperative = COOPERATIVE["java-4.1.1"]
    first = crowd.start(cooperative | {"group.instance.id": "i1"})
    crowd.start(cooperative | {"group.instance.id": "i2"})
    crowd.expect_shares(5, 5)
    crowd.produce()
    crowd.expect_all_read()
    crowd.commit()
    had = first.partitions
    crowd.kill(first)
    back = crowd.start(cooperative | {"group.instance.id": "i1"})
    crowd.expect_shares(5, 5)
    assert back.partitions == had
    crowd.start(cooperative)
    crowd.expect_shares(3, 3, 4)
    crowd.produce()
    crowd.expect_all_read()
    assert set(crowd.read().values()) == {1}


@pytest.mark.parametrize("crowd", ["java-4.1.1"], indirect=True)
def test_kafkas_tools_describe_list_and_delete_a_consumer_group(crowd: Crowd) -> None:
    tools = ConsoleTools(prepared(NAMED["console-tools-4.1.1"]), crowd.bootstrap)
    crowd.produce()
    member = crowd.start(CONSUMER)
    crowd.expect_all_read()
    crowd.commit()
    state = tools.groups("--describe", "--state", "--group", crowd.group)
    assert "Stable" in state
    assert "uniform" in state
    described = tools.groups("--describe", "--members", "--verbose", "--group", crowd.group)
    assert f"{crowd.topic}:0,1,2,3,4,5,6,7,8,9" in described
    lag = tools.groups("--describe", "--group", crowd.group)
    assert len([line for line in lag.splitlines() if crowd.topic in line]) == PARTITIONS
    listed = tools.groups("--list", "--type")
    assert any(crowd.group in line and "Consumer" in line for line in listed.splitlines())
    crowd.leave(member)
    assert "successful" in tools.groups("--delete", "--group", crowd.group)
