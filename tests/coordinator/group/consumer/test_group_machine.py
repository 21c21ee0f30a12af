"""Random lives of a group: consumers of both protocols, topics that change, and coordinators.

What holds, whatever happens: a partition is read by one member at a time, as far as members obey;
a member reads nothing that the coordinator does not know it to own; epochs never go back; a
replayed shard is the live one; every heartbeat is answered at once; and when all go on sending
heartbeats, all partitions that somebody subscribes to have one reader.

A life that once failed is written down as a test with a name, by ``step``.
"""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.classic import GroupState
from datacore.coordinator.group.consumer.config import ConsumerGroupConfig
from datacore.coordinator.group.consumer.group import ConsumerGroup, ConsumerGroupState
from datacore.coordinator.group.consumer.member import MemberState
from datacore.coordinator.group.state import MEMBER_TIMERS, Timer, TimerKind
from datacore.protocol.names import GroupId, MemberId, TopicName
from tests.coordinator import lives
from tests.coordinator.group.consumer.classic_client import ClassicClient
from tests.coordinator.group.consumer.driver import Consumer, ConsumerDriver, Held

GROUP = GroupId("g")
TOPICS = ["t1", "t2", "u1"]
SUBSCRIPTIONS: list[tuple[list[str], str]] = [
    (["t1"], ""),
    (["t1", "t2"], ""),
    (["u1", "t1"], ""),
    ([], "t.*"),
    ([], "t.*"),
    (["u1"], "t1|none"),
    ([], ""),
]
INSTANCES = [None, None, None, "i1", "i2"]
CLASSIC_INSTANCES = [None, "i2", None]
LONGEST_SESSION_MS = 45_000
SETTLING_ROUNDS = 100
"""Of a second each: whoever is gone is out by then, and those who waited for it have gone on."""


STEPS = 15_000
"""By a seed, in each run of the tests; with the other two machines, more than 100,000."""


class GroupMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.driver = ConsumerDriver()
        self.consumers: list[Consumer] = []
        self.classics: list[ClassicClient] = []
        self.epoch: tuple[ConsumerGroup | None, int] = None, 0
        self.names = 0

    @lives.initialize(max_size=lives.sampled_from([100, 100, 3]))
    def begin(self, max_size: int) -> None:
        self.driver = ConsumerDriver(consumer=ConsumerGroupConfig(max_size=max_size))
        self.driver.cluster.set_topic("t1", 3)
        self.driver.cluster.set_topic("u1", 2)
        self.consumers = [
            Consumer(self.driver, f"c{index}", instance=instance)
            for index, instance in enumerate(INSTANCES)
        ]
        self.classics = [
            ClassicClient(self.driver, f"k{index}", frozenset({"t1"}), instance=instance)
            for index, instance in enumerate(CLASSIC_INSTANCES)
        ]

    @property
    def everybody(self) -> list[Consumer | ClassicClient]:
        return [*self.consumers, *self.classics]

    # What consumers of the new protocol do.

    @lives.rule(
        index=lives.integers(0, len(INSTANCES) - 1),
        subscription=lives.sampled_from(SUBSCRIPTIONS),
        assignor=lives.sampled_from([None, None, "range", "uniform"]),
        rebalance_timeout_ms=lives.sampled_from([30_000, 30_000, 5_000]),
        is_slow=lives.sampled_from([False, False, True]),
        is_same=lives.booleans(),
    )
    def join(
        self,
        index: int,
        subscription: tuple[list[str], str],
        assignor: str | None,
        rebalance_timeout_ms: int,
        is_slow: bool,  # noqa: FBT001  # a drawn value
        is_same: bool,  # noqa: FBT001  # a drawn value
    ) -> None:
        consumer = self.consumers[index]
        if not is_same:
            # Another process: it knows nothing of the one before, which reads nothing any more.
            self.names += 1
            consumer.member_id = f"c{index}.{self.names}"
        consumer.topics, consumer.regex = frozenset(subscription[0]), subscription[1]
        consumer.assignor, consumer.is_slow = assignor, is_slow
        consumer.rebalance_timeout_ms = rebalance_timeout_ms
        consumer.assigned = set()
        consumer.join()
        assert consumer.error in {
            ErrorCode.NONE,
            ErrorCode.FENCED_MEMBER_EPOCH,
            ErrorCode.UNRELEASED_INSTANCE_ID,
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            ErrorCode.GROUP_ID_NOT_FOUND,
        }

    @lives.rule(
        index=lives.integers(0, len(INSTANCES) - 1),
        says_owned=lives.sampled_from([True, True, False]),
    )
    def heartbeat(self, index: int, says_owned: bool) -> None:  # noqa: FBT001  # a drawn value
        consumer = self.consumers[index]
        if consumer.epoch > 0:
            consumer.beat(says_owned=says_owned)

    @lives.rule(index=lives.integers(0, len(INSTANCES) - 1))
    def heartbeat_whose_answer_is_lost(self, index: int) -> None:
        consumer = self.consumers[index]
        if consumer.epoch > 0:
            consumer.beat_unheard()

    @lives.rule(index=lives.integers(0, len(INSTANCES) - 1))
    def give_up(self, index: int) -> None:
        self.consumers[index].give_up()

    @lives.rule(
        index=lives.integers(0, len(INSTANCES) - 1), subscription=lives.sampled_from(SUBSCRIPTIONS)
    )
    def subscribe(self, index: int, subscription: tuple[list[str], str]) -> None:
        consumer = self.consumers[index]
        if consumer.epoch > 0:
            consumer.subscribe(*subscription[0], regex=subscription[1])

    @lives.rule(index=lives.integers(0, len(INSTANCES) - 1), for_a_while=lives.booleans())
    def leave(self, index: int, for_a_while: bool) -> None:  # noqa: FBT001  # a drawn value
        consumer = self.consumers[index]
        if consumer.epoch > 0:
            consumer.leave(-2 if for_a_while and consumer.instance is not None else -1)

    # What consumers of the classic protocol do.

    @lives.rule(index=lives.integers(0, len(CLASSIC_INSTANCES) - 1))
    def classic_goes_on(self, index: int) -> None:
        self.classics[index].go_on(partial(self.assignments, self.classics[index]))

    @lives.rule(index=lives.integers(0, len(CLASSIC_INSTANCES) - 1))
    def classic_leaves(self, index: int) -> None:
        client = self.classics[index]
        if client.waiting is None and client.syncing is None and client.member_id:
            client.leave()

    @lives.rule(
        index=lives.integers(0, len(CLASSIC_INSTANCES) - 1),
        topics=lives.sampled_from([{"t1"}, {"t1", "u1"}]),
    )
    def classic_subscribes(self, index: int, topics: set[str]) -> None:
        client = self.classics[index]
        if client.waiting is None and client.syncing is None:
            client.topics = frozenset(topics)
            client.rejoin()

    def assignments(self, leader: ClassicClient, members: list[str]) -> dict[str, Held]:
        """A leader's round robin."""
        assigned: dict[str, Held] = {member: set() for member in members}
        partitions = [
            (name, index)
            for name, topic in self.driver.cluster.topics.items()
            if name in leader.topics
            for index in topic.partitions
        ]
        for place, partition in enumerate(partitions):
            assigned[members[place % len(members)]].add(partition)
        return assigned

    # What happens to them.

    @lives.rule(name=lives.sampled_from(TOPICS), partitions=lives.integers(1, 5))
    def topic_is_made_or_grows(self, name: str, partitions: int) -> None:
        known = self.driver.cluster.topics.get(TopicName(name))
        if known is None or len(known.partitions) < partitions:
            self.driver.cluster.set_topic(name, partitions)

    @lives.rule(name=lives.sampled_from(TOPICS))
    def topic_is_deleted(self, name: str) -> None:
        if TopicName(name) in self.driver.cluster.topics:
            self.driver.cluster.delete_topic(name)

    @lives.rule(ms=lives.sampled_from([0, 1, 1_000, 1_000, 5_000, 20_000, 46_000]))
    def time_passes(self, ms: int) -> None:
        self.driver.advance(ms)

    @lives.rule()
    def coordinator_restarts(self) -> None:
        self.driver.restart()

    @lives.rule(index=lives.integers(0, len(INSTANCES) - 1), offset=lives.integers(0, 9))
    def commit(self, index: int, offset: int) -> None:
        consumer = self.consumers[index]
        group = self.driver.shard.state.consumer_groups.get(GROUP)
        [code] = self.driver.commit(
            {("t1", 0): offset}, member_id=consumer.member_id, generation=consumer.epoch
        ).values()
        if code == ErrorCode.NONE:
            assert group is not None
            assert group.members[MemberId(consumer.member_id)].epoch == consumer.epoch

    @lives.rule()
    def everybody_goes_on(self) -> None:
        for consumer in self.consumers:
            consumer.give_up()
            self.heartbeat(self.consumers.index(consumer), says_owned=True)
        for index in range(len(self.classics)):
            self.classic_goes_on(index)

    # What holds.

    @lives.invariant()
    def who_reads_is_known_to_own(self) -> None:
        """Of those that the coordinator would still listen to."""
        group = self.driver.shard.state.consumer_groups.get(GROUP)
        if group is None:
            return
        names = self.driver.cluster.names
        for consumer in self.consumers:
            member = group.members.get(MemberId(consumer.member_id))
            if member is None or consumer.epoch <= 0 or member.is_away:
                continue
            if consumer.epoch in {member.epoch, member.previous_epoch}:
                known = {(names[topic_id], index) for topic_id, index in member.owned()}
                assert consumer.owned <= known

    @lives.invariant()
    def a_partition_has_one_owner(self) -> None:
        for group in self.driver.shard.state.consumer_groups.values():
            owned = Counter(p for member in group.members.values() for p in member.owned())
            assert all(count == 1 for count in owned.values())
            assert group.owners == {
                partition: member.member_id
                for member in group.members.values()
                for partition in member.owned()
            }

    @lives.invariant()
    def a_group_is_whole(self) -> None:
        state = self.driver.shard.state
        assert not state.groups.keys() & state.consumer_groups.keys()
        for group in state.consumer_groups.values():
            assert group.target_epoch <= group.epoch
            assert group.targets.keys() <= group.members.keys()
            assert group.static_member_ids == {
                member.instance_id: member.member_id
                for member in group.members.values()
                if member.instance_id is not None
            }
            for member in group.members.values():
                check_member(state.timers, group, member.member_id)
        for timer in state.timers._due_ms:
            if timer.kind in MEMBER_TIMERS:
                assert timer.member_id in state.consumer_groups[timer.group_id].members

    @lives.invariant()
    def epochs_never_go_back(self) -> None:
        group = self.driver.shard.state.consumer_groups.get(GROUP)
        before, epoch = self.epoch
        if group is not None and group is before:
            assert group.epoch >= epoch
        self.epoch = group, 0 if group is None else group.epoch

    @lives.invariant()
    def a_replayed_shard_is_the_live_shard(self) -> None:
        live, replayed = self.driver.shard.state, self.driver.replayed().state
        assert replayed.consumer_groups == live.consumer_groups
        assert replayed.images == live.images
        assert replayed.offsets == live.offsets

    def teardown(self) -> None:
        if not self.consumers:
            return
        self.driver.advance(0)
        for _ in range(SETTLING_ROUNDS):
            self.driver.advance(1_000)
            self.everybody_goes_on()
        self.everything_has_one_reader()
        for client in self.classics:
            client.look_for_assignment()
            assert client.look()
            assert client.syncing is None
        self.driver.advance(2 * LONGEST_SESSION_MS)
        for group in self.driver.shard.state.consumer_groups.values():
            assert not group.members
        for classic_group in self.driver.shard.state.groups.values():
            assert classic_group.state is GroupState.EMPTY

    def everything_has_one_reader(self) -> None:
        group = self.driver.shard.state.consumer_groups.get(GROUP)
        if group is None or not group.members:
            return
        gone = {m.member_id for m in group.members.values() if self.is_gone(m.member_id)}
        if gone:
            # Their partitions stay theirs until their sessions end.
            return
        assert group.state is ConsumerGroupState.STABLE, group
        names = self.driver.cluster.names
        labels = {name: names[t.topic_id] for name, t in self.driver.cluster.topics.items()}
        readers = Counter(
            (labels.get(TopicName(topic), topic), index)
            for client in self.everybody
            if client.member_id in group.members
            for topic, index in client.owned
            # A topic that was deleted while the group was classic is no news to the consumer group
            # that it becomes by a member without a subscription, as in Apache Kafka (recorded, see
            # tests/golden): nobody tells a client that reads nothing by it.
            if isinstance(client, Consumer) or TopicName(topic) in labels
        )
        expected = {
            (names[topic.topic_id], index)
            for name, topic in self.driver.cluster.topics.items()
            if group.is_subscribed(name)
            for index in topic.partitions
        }
        assert readers == Counter(expected)

    def is_gone(self, member_id: str) -> bool:
        """Whether nobody sends heartbeats for a member."""
        return all(client.member_id != member_id for client in self.everybody) or any(
            consumer.member_id == member_id and consumer.epoch <= 0 for consumer in self.consumers
        )

    def step(self, act: Callable[..., None], **drawn: object) -> None:
        """One step of a life that is written down; what holds is looked at as after any."""
        act(**drawn)
        self.who_reads_is_known_to_own()
        self.a_partition_has_one_owner()
        self.a_group_is_whole()
        self.epochs_never_go_back()
        self.a_replayed_shard_is_the_live_shard()


def check_member(timers: object, group: ConsumerGroup, member_id: MemberId) -> None:
    member = group.members[member_id]
    running = {
        kind
        for kind in TimerKind
        if Timer(kind, group.group_id, member_id) in timers  # type: ignore[operator]  # Timers
    }
    assert TimerKind.CONSUMER_SESSION in running
    is_revoking = member.state is MemberState.UNREVOKED_PARTITIONS and not member.is_away
    if member.classic is None:
        assert (TimerKind.REVOCATION in running) is is_revoking
    else:
        assert TimerKind.REVOCATION not in running


def test_life_of_a_static_member_that_comes_back_under_its_id() -> None:
    life = GroupMachine()
    life.step(life.begin, max_size=100)
    joining = {
        "index": 3,
        "subscription": (["t1"], ""),
        "assignor": None,
        "rebalance_timeout_ms": 30_000,
        "is_slow": False,
    }
    life.step(life.join, **joining, is_same=False)
    life.step(life.coordinator_restarts)
    life.step(life.leave, index=3, for_a_while=True)
    life.step(life.join, **joining, is_same=True)
    life.teardown()


def test_random_lives_of_a_group() -> None:
    """The same lives every time, so that no change fails for a bug that it did not cause."""
    run_state_machine_as_test(
        GroupMachine,
        settings=settings(
            max_examples=40, stateful_step_count=50, deadline=None, derandomize=True, database=None
        ),
    )


@pytest.mark.timeout(600)
def test_lives_of_a_group_by_a_seed() -> None:
    """Many more than Hypothesis can afford, and the same every time."""
    lives.live(GroupMachine, steps=STEPS, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_million_steps_of_a_group_by_a_seed() -> None:
    """Other lives every time; the seed of one that fails is in the failure."""
    lives.live(GroupMachine, steps=1_000_000, seed=time.time_ns())


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_many_random_lives_of_a_group() -> None:
    """Other lives every time; one that fails here is shrunk and becomes a test of its own above."""
    run_state_machine_as_test(
        GroupMachine,
        settings=settings(max_examples=1_500, stateful_step_count=100, deadline=None),
    )
