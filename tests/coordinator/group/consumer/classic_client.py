"""A consumer of the classic protocol that behaves: it joins, syncs, heartbeats and gives up."""

from collections.abc import Callable
from dataclasses import dataclass, field

from datacore._generated import consumer_protocol_assignment as assignment
from datacore._generated import consumer_protocol_subscription as subscription
from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.leave_group import MemberIdentity
from datacore._generated.sync_group import SyncGroupResponse
from tests.coordinator.group.consumer.driver import ConsumerDriver, Held
from tests.coordinator.group.driver import GROUP

VERSION_BYTES = 2


def subscribed(topics: frozenset[str], owned: Held) -> bytes:
    """What a cooperative consumer says: topics, and what it owns (version 1)."""
    by_topic: dict[str, list[int]] = {}
    for topic, index in sorted(owned):
        by_topic.setdefault(topic, []).append(index)
    message = subscription.ConsumerProtocolSubscription(
        topics=sorted(topics),
        owned_partitions=[
            subscription.TopicPartition(topic=topic, partitions=indexes)
            for topic, indexes in by_topic.items()
        ],
    )
    return b"\0\1" + message.encode(1)


def read_assignment(data: bytes) -> Held:
    if not data:
        return set()
    read, _ = assignment.ConsumerProtocolAssignment.decode(data, 0, VERSION_BYTES)
    return {(each.topic, index) for each in read.assigned_partitions for index in each.partitions}


def write_assignment(held: Held) -> bytes:
    by_topic: dict[str, list[int]] = {}
    for topic, index in sorted(held):
        by_topic.setdefault(topic, []).append(index)
    message = assignment.ConsumerProtocolAssignment(
        assigned_partitions=[
            assignment.TopicPartition(topic=topic, partitions=indexes)
            for topic, indexes in by_topic.items()
        ]
    )
    return b"\0\0" + message.encode(0)


@dataclass
class ClassicClient:
    """A cooperative consumer. ``owned`` is what it reads."""

    driver: ConsumerDriver
    name: str
    topics: frozenset[str] = frozenset({"t"})
    group: str = GROUP
    instance: str | None = None
    protocol: str = "cooperative-sticky"
    session_timeout_ms: int = 10_000
    rebalance_timeout_ms: int = 30_000
    member_id: str = ""
    generation: int = -1
    owned: Held = field(default_factory=set)
    waiting: int | None = None
    syncing: int | None = None
    is_leader: bool = False
    others: list[str] = field(default_factory=list)
    error: int = 0

    def join(self, version: int = 9) -> None:
        """Sends JoinGroup, twice where it must; its answer may come later."""
        for _ in range(2):
            self.waiting = self.driver.ask_join(
                self.member_id,
                version=version,
                group=self.group,
                protocols={self.protocol: subscribed(self.topics, self.owned)},
                session_timeout_ms=self.session_timeout_ms,
                rebalance_timeout_ms=self.rebalance_timeout_ms,
                instance=self.instance,
                client_id=self.name,
            )
            self.look()
            if self.error != ErrorCode.MEMBER_ID_REQUIRED:
                return

    def look(self) -> bool:
        """Takes the answer to JoinGroup, if it is there; tells whether it waits no more."""
        if self.waiting is None or self.waiting not in self.driver.answers:
            return self.waiting is None
        answer = self.driver.answer(self.waiting, JoinGroupResponse)
        self.waiting = None
        self.error = answer.error_code
        if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answer.member_id
        elif answer.error_code == ErrorCode.NONE:
            self.member_id = answer.member_id
            self.generation = answer.generation_id
            self.is_leader = answer.leader == answer.member_id
            self.others = [member.member_id for member in answer.members]
        elif answer.error_code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}:
            self.forget()
        return True

    def sync(self, assignments: dict[str, Held] | None = None) -> None:
        """Sends SyncGroup; where it is answered, the assignment is what is read from then on."""
        token = self.driver.ask_sync(
            self.member_id,
            self.generation,
            {member: write_assignment(held) for member, held in (assignments or {}).items()},
            group=self.group,
            instance=self.instance,
            protocol=self.protocol,
        )
        self.error = -1
        self.syncing = token
        self.look_for_assignment()

    def look_for_assignment(self) -> None:
        """Takes the answer to SyncGroup, if it is there."""
        if self.syncing is None or self.syncing not in self.driver.answers:
            return
        answer = self.driver.answer(self.syncing, SyncGroupResponse)
        self.syncing = None
        self.error = answer.error_code
        if answer.error_code == ErrorCode.NONE:
            self.owned = read_assignment(answer.assignment)
        elif answer.error_code == ErrorCode.UNKNOWN_MEMBER_ID:
            self.forget()

    def beat(self) -> int:
        """Sends Heartbeat; joins and syncs again where it is told to."""
        self.error = self.driver.heartbeat(
            self.member_id, self.generation, group=self.group, instance=self.instance
        )
        if self.error == ErrorCode.REBALANCE_IN_PROGRESS:
            self.rejoin()
        elif self.error in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}:
            self.forget()
        return self.error

    def go_on(self, assign: Callable[[list[str]], dict[str, Held]]) -> None:
        """The next thing to do: wait, sync, assign as a leader, or send a heartbeat."""
        self.look_for_assignment()
        if self.syncing is not None:
            return
        if self.waiting is None and self.generation >= 0:
            self.error = self.driver.heartbeat(
                self.member_id, self.generation, group=self.group, instance=self.instance
            )
            if self.error == ErrorCode.NONE:
                return
            if self.error in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}:
                self.forget()
        if self.waiting is None:
            self.join()
        if self.look() and self.error == ErrorCode.NONE and self.generation >= 0:
            self.sync(assign(self.others) if self.is_leader else None)

    def rejoin(self) -> None:
        self.join()
        if self.waiting is None and self.error == ErrorCode.NONE:
            self.sync()

    def forget(self) -> None:
        self.member_id, self.generation, self.owned = "", -1, set()
        self.is_leader, self.others = False, []

    def leave(self) -> int:
        identity = MemberIdentity(member_id=self.member_id, group_instance_id=self.instance)
        left = self.driver.leave(identity, group=self.group)
        self.forget()
        return left.members[0].error_code


def stable_classic_group(driver: ConsumerDriver, **owned: Held) -> list[ClassicClient]:
    """A Stable classic group: each client has what it is said to have; the first one leads."""
    clients = [ClassicClient(driver, name) for name in owned]
    for client in clients:
        client.join()
        for other in clients:
            if other is not client and other.member_id and other.waiting is None:
                other.join()
    for client in clients:
        client.look()
    leader = next(client for client in clients if client.is_leader)
    assignments = {client.member_id: owned[client.name] for client in clients}
    leader.sync(assignments)
    for client in clients:
        if client is not leader:
            client.sync()
        assert client.error == ErrorCode.NONE
        assert client.owned == owned[client.name]
    return clients
