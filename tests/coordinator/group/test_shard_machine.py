"""Random lives of a shard: clients join, sync, commit and vanish, and coordinators restart.

What holds, whatever happens: an assignment reaches exactly the member it was made for; generations
never go back; a replayed shard is the live one; whoever waits is answered in bounded time; a
committed offset stays until it is committed again.

A life that once failed is written down as a test with a name, by ``step``.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from datacore._generated.errors import ErrorCode
from datacore._generated.join_group import JoinGroupResponse
from datacore._generated.leave_group import MemberIdentity
from datacore._generated.sync_group import SyncGroupResponse
from datacore.coordinator.group.classic import ClassicGroup, GroupState
from datacore.coordinator.group.shard import GroupShard
from datacore.coordinator.group.state import Timer, TimerKind
from datacore.protocol.names import GroupId
from tests.coordinator import lives
from tests.coordinator.group.driver import Driver

GROUPS = ["g", "h"]
CLIENTS = 6
"""Three a group: one is dynamic, two are static."""
JOIN_VERSIONS = [3, 5, 8, 9]
"""Without instances, with them, with a reason, and with a leader that does not assign."""
SESSION_TIMEOUTS_MS = [6_000, 20_000]
REBALANCE_TIMEOUTS_MS = [30_000, 30_000, 500, 0]
NEW_MEMBER_JOIN_TIMEOUT_MS = 40_000
LONGEST_WAIT_MS = 30_000 + 3_000
INSTANCES = [None, "i1", "i2"]
PROTOCOLS = [
    {"range": b"1"},
    {"range": b"2"},
    {"range": b"1", "sticky": b"1"},
    {"sticky": b"1", "range": b"1"},
    {"sticky": b"2"},
]


@dataclass
class Client:
    """What a client knows of itself; all but the first two are as its last answers said."""

    group: str
    instance: str | None
    member_id: str = ""
    generation: int = -1
    protocol: str | None = None
    is_leader: bool = False
    members: dict[str, str | None] | None = None
    """Whom a leader assigns to: id -> instance, or None where the version does not say."""


Then = Callable[[int], None]


STEPS = 20_000
"""By a seed, in each run of the tests; with the other two machines, more than 100,000."""


class ShardMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver()
        self.clients: list[Client] = []
        self.waiting: dict[int, tuple[int, Then]] = {}
        self.instances: dict[str, str] = {}
        self.assigned: dict[tuple[str, int], dict[str, bytes]] = {}
        self.committed: dict[str, dict[tuple[str, int], int]] = {group: {} for group in GROUPS}
        self.generations: dict[int, tuple[ClassicGroup, int]] = {}

    @lives.initialize(
        delay_ms=lives.sampled_from([0, 3_000]), max_size=lives.sampled_from([100, 100, 2])
    )
    def begin(self, delay_ms: int, max_size: int) -> None:
        self.driver = Driver(
            group_initial_rebalance_delay_ms=delay_ms,
            group_max_size=max_size,
            new_member_join_timeout_ms=NEW_MEMBER_JOIN_TIMEOUT_MS,
            offsets_retention_check_interval_ms=60_000,
        )
        self.clients = [
            Client(GROUPS[index % 2], INSTANCES[index // 2]) for index in range(CLIENTS)
        ]

    # What clients do.

    @lives.rule(
        index=lives.integers(0, CLIENTS - 1),
        version=lives.sampled_from(JOIN_VERSIONS),
        protocols=lives.sampled_from(PROTOCOLS),
        session_timeout_ms=lives.sampled_from(SESSION_TIMEOUTS_MS),
        rebalance_timeout_ms=lives.sampled_from(REBALANCE_TIMEOUTS_MS),
        has_forgotten=lives.sampled_from([False] * 5 + [True]),
    )
    def join(
        self,
        index: int,
        version: int,
        protocols: dict[str, bytes],
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        has_forgotten: bool,  # noqa: FBT001  # a drawn value
    ) -> None:
        client = self.clients[index]
        if has_forgotten:
            client.member_id = ""
        instance = client.instance if version >= 5 else None
        token = self.driver.ask_join(
            client.member_id,
            version=version,
            group=client.group,
            protocols=protocols,
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            instance=instance,
        )
        self.wait(token, lambda answered: self.joined(client, instance, answered))

    @lives.rule(
        group=lives.sampled_from(GROUPS),
        protocols=lives.sampled_from(PROTOCOLS),
        order=lives.permutations(range(CLIENTS // 2)),
        versions=lives.lists(
            lives.sampled_from([9, *JOIN_VERSIONS]), min_size=CLIENTS // 2, max_size=CLIENTS // 2
        ),
        session_timeout_ms=lives.sampled_from(SESSION_TIMEOUTS_MS),
        sync_order=lives.permutations(range(CLIENTS // 2)),
        syncing=lives.sampled_from([3, 3, 3, 2, 1]),
    )
    def all_join_and_sync(
        self,
        group: str,
        protocols: dict[str, bytes],
        order: list[int],
        versions: list[int],
        session_timeout_ms: int,
        sync_order: list[int],
        syncing: int,
    ) -> None:
        """What clients do when little goes wrong, so that it is not left to chance."""
        indexes = [i for i, client in enumerate(self.clients) if client.group == group]
        for place in order * 2:
            index = indexes[place]
            if self.clients[index].member_id not in self.waiting_in(group):
                version = versions[place]
                self.join(
                    index, version, protocols, session_timeout_ms, 30_000, has_forgotten=False
                )
                self.who_waits_is_answered_in_bounded_time()
        for place in sync_order[:syncing]:
            self.sync(indexes[place], forgets_last=False)
            self.who_waits_is_answered_in_bounded_time()

    def waiting_in(self, group: str) -> set[str]:
        live = self.driver.shard.state.groups.get(GroupId(group))
        members = live.members.values() if live is not None else ()
        return {member.member_id for member in members if member.parked_join is not None}

    def joined(self, client: Client, instance: str | None, token: int) -> None:
        response = self.driver.answer(token, JoinGroupResponse)
        match response.error_code:
            case ErrorCode.NONE:
                client.member_id = response.member_id
                client.generation = response.generation_id
                client.protocol = response.protocol_name
                client.is_leader = response.leader == response.member_id
                client.is_leader &= not response.skip_assignment
                client.members = {
                    member.member_id: member.group_instance_id for member in response.members
                }
                if instance is not None:
                    # It stays so for as long as this id is a member, whatever it joins by later.
                    self.instances[response.member_id] = instance
                assert client.is_leader is bool(response.members) or response.skip_assignment
            case ErrorCode.MEMBER_ID_REQUIRED:
                client.member_id = response.member_id
            case ErrorCode.UNKNOWN_MEMBER_ID | ErrorCode.GROUP_MAX_SIZE_REACHED:
                client.member_id = ""
            case ErrorCode.FENCED_INSTANCE_ID:
                client.member_id = ""
            case _:
                assert response.error_code in {
                    ErrorCode.REBALANCE_IN_PROGRESS,
                    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
                    ErrorCode.NOT_COORDINATOR,
                }

    @lives.rule(index=lives.integers(0, CLIENTS - 1), forgets_last=lives.booleans())
    def sync(self, index: int, forgets_last: bool) -> None:  # noqa: FBT001  # a drawn value
        client = self.clients[index]
        if not client.member_id:
            return
        assignments, by_identity = {}, {}
        if client.is_leader and client.members is not None:
            told = list(client.members.items())
            for member_id, instance in told[:-1] if forgets_last and len(told) > 1 else told:
                assert instance in {None, self.instances.get(member_id)}
                identity = self.identity_of(member_id)
                assignment = f"{identity}@{client.generation}".encode()
                assignments[member_id] = by_identity[identity] = assignment
        group = self.driver.shard.state.groups.get(GroupId(client.group))
        is_awaited = group is not None and group.state is GroupState.COMPLETING_REBALANCE
        generation, member_id = client.generation, client.member_id
        token = self.driver.ask_sync(
            member_id,
            generation,
            assignments,
            group=client.group,
            instance=self.instance_of(client),
            protocol=client.protocol,
        )
        has_answer = token in self.driver.answers
        if client.is_leader and is_awaited and has_answer and not self.driver.error_of(token):
            self.assigned[client.group, generation] = by_identity
        identity = self.identity_of(member_id)
        self.wait(token, lambda answered: self.synced(client.group, generation, identity, answered))

    def synced(self, group: str, generation: int, identity: str, token: int) -> None:
        response = self.driver.answer(token, SyncGroupResponse)
        if response.error_code == ErrorCode.NONE:
            expected = self.assigned[group, generation].get(identity, b"")
            assert response.assignment == expected

    @lives.rule(index=lives.integers(0, CLIENTS - 1))
    def heartbeat(self, index: int) -> None:
        client = self.clients[index]
        error_code = self.driver.heartbeat(
            client.member_id,
            client.generation,
            group=client.group,
            instance=self.instance_of(client),
        )
        if error_code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}:
            client.member_id = ""
        if error_code == ErrorCode.NONE:
            assert self.driver.group(client.group).generation == client.generation

    @lives.rule(indexes=lives.lists(lives.integers(0, CLIENTS - 1), min_size=1, max_size=3))
    def leave(self, indexes: list[int]) -> None:
        group = self.clients[indexes[0]].group
        leaving = [self.clients[index] for index in indexes if self.clients[index].group == group]
        identities = [
            MemberIdentity(member_id=client.member_id, group_instance_id=self.instance_of(client))
            for client in leaving
        ]
        for client, left in zip(
            leaving, self.driver.leave(*identities, group=group).members, strict=True
        ):
            if left.error_code == ErrorCode.NONE:
                client.member_id = ""

    @lives.rule(
        index=lives.integers(0, CLIENTS - 1),
        partition=lives.integers(0, 2),
        offset=lives.integers(0, 1_000),
        as_member=lives.sampled_from([True, True, False]),
    )
    def commit(
        self,
        index: int,
        partition: int,
        offset: int,
        as_member: bool,  # noqa: FBT001  # a drawn value
    ) -> None:
        client = self.clients[index]
        group = self.driver.shard.state.groups.get(GroupId(client.group))
        [code] = self.driver.commit(
            {("t", partition): offset},
            group=client.group,
            member_id=client.member_id if as_member else "",
            generation=client.generation if as_member else -1,
            instance=self.instance_of(client) if as_member else None,
        ).values()
        if code != ErrorCode.NONE:
            return
        self.committed[client.group]["t", partition] = offset
        if as_member and client.generation >= 0:
            assert group is not None
            assert client.member_id in group.members
            assert client.generation == group.generation
        else:
            assert group is None or group.state is GroupState.EMPTY

    @lives.rule(group=lives.sampled_from(GROUPS))
    def delete_group(self, group: str) -> None:
        [code] = self.driver.delete(group)
        if code == ErrorCode.NONE:
            self.committed[group].clear()
            assert not self.driver.has_group(group)

    @lives.rule(group=lives.sampled_from(GROUPS), partition=lives.integers(0, 2))
    def delete_offset(self, group: str, partition: int) -> None:
        response = self.driver.delete_offsets(("t", partition), group=group)
        for topic in response.topics:
            if topic.partitions[0].error_code == ErrorCode.NONE:
                self.committed[group].pop((topic.name, partition), None)

    # What happens to them.

    @lives.rule(ms=lives.sampled_from([0, 1, 400, 400, 3_000, 3_000, 7_000, 40_000]))
    def time_passes(self, ms: int) -> None:
        self.driver.advance(ms)

    @lives.rule()
    def coordinator_restarts(self) -> None:
        self.driver.restart()
        self.generations.clear()
        assert all(token in self.driver.answers for token in self.waiting)

    # What holds.

    @lives.invariant()
    def who_waits_is_answered_in_bounded_time(self) -> None:
        for token, (since_ms, then) in list(self.waiting.items()):
            if token in self.driver.answers:
                del self.waiting[token]
                then(token)
            else:
                assert self.driver.now_ms - since_ms <= LONGEST_WAIT_MS

    @lives.invariant()
    def generations_never_go_back(self) -> None:
        for group in self.driver.shard.state.groups.values():
            _, last = self.generations.get(id(group), (group, 0))
            assert group.generation >= last
            self.generations[id(group)] = (group, group.generation)
            image = self.driver.shard.state.images.get(group.group_id)
            assert image is None or group.generation >= image.generation

    @lives.invariant()
    def committed_offsets_stay(self) -> None:
        for group, expected in self.committed.items():
            found = self.driver.fetch(None, group=group)
            assert {name: offset for name, (offset, _, _) in found.items()} == expected

    @lives.invariant()
    def a_replayed_shard_is_the_live_shard(self) -> None:
        live, replayed = self.driver.shard, self.driver.replayed()
        assert replayed.state.images == live.state.images
        assert replayed.state.offsets == live.state.offsets
        replayed.load(self.driver.now_ms)
        for group_id, group in replayed.state.groups.items():
            other = live.state.groups[group_id]
            if other.state in {GroupState.STABLE, GroupState.EMPTY}:
                assert durable_view(group) == durable_view(other)
        for group_id, group in live.state.groups.items():
            if group.state is GroupState.STABLE:
                assert group_id in replayed.state.groups

    @lives.invariant()
    def groups_are_whole(self) -> None:
        for group in self.driver.shard.state.groups.values():
            check_group(self.driver.shard, group)

    def teardown(self) -> None:
        self.driver.advance(LONGEST_WAIT_MS)
        assert all(token in self.driver.answers for token in self.waiting)
        self.driver.advance(600_000)
        for group in self.driver.shard.state.groups.values():
            assert group.state is GroupState.EMPTY
            assert not group.pending_members

    def step(self, rule: Callable[..., None], **drawn: object) -> None:
        """One step of a life that is written down; what holds is looked at as after any."""
        rule(**drawn)
        self.who_waits_is_answered_in_bounded_time()
        self.generations_never_go_back()
        self.committed_offsets_stay()
        self.a_replayed_shard_is_the_live_shard()
        self.groups_are_whole()

    def wait(self, token: int, then: Then) -> None:
        self.waiting[token] = (self.driver.now_ms, then)

    def identity_of(self, member_id: str) -> str:
        """What an assignment is made for: an instance, which outlives its ids, or else an id."""
        return self.instances.get(member_id, member_id)

    def instance_of(self, client: Client) -> str | None:
        """A static client that first joined by an old version is a dynamic member."""
        group = self.driver.shard.state.groups.get(GroupId(client.group))
        if group is not None and client.instance in group.static_member_ids:
            return client.instance
        return None


def durable_view(group: ClassicGroup) -> object:
    """What a new coordinator must know of a group that is at rest."""
    return (
        group.state,
        group.generation,
        group.protocol_type,
        group.protocol_name,
        group.leader_id,
        group.state_timestamp_ms if group.members or group.protocol_type else None,
        group.subscribed_topics,
        group.static_member_ids,
        {
            member.member_id: (
                member.group_instance_id,
                member.client_id,
                member.client_host,
                member.session_timeout_ms,
                member.rebalance_timeout_ms,
                member.protocols[group.protocol_name or ""],
                member.assignment,
            )
            for member in group.members.values()
        },
    )


def check_group(shard: GroupShard, group: ClassicGroup) -> None:
    members = group.members.values()
    waiting = [member for member in members if member.parked_join is not None]
    assert group.parked_joins == len(waiting)
    assert +group._supporters == Counter(name for member in members for name in member.protocols)
    assert group.static_member_ids == {
        member.group_instance_id: member.member_id
        for member in members
        if member.group_instance_id is not None
    }
    assert group.pending_sync <= group.members.keys()
    assert not group.pending_members & group.members.keys()
    assert (group.leader_id in group.members) or not group.members
    timers = shard.state.timers
    awaited = {member.member_id for member in members if not member.is_excused_from_heartbeat}
    for member_id in awaited | group.pending_members:
        assert Timer(TimerKind.SESSION, group.group_id, member_id) in timers
    has_join_timer = Timer(TimerKind.JOIN, group.group_id) in timers
    assert has_join_timer is (group.state is GroupState.PREPARING_REBALANCE)
    has_sync_timer = Timer(TimerKind.SYNC, group.group_id) in timers
    assert has_sync_timer is bool(group.pending_sync)
    match group.state:
        case GroupState.EMPTY:
            assert not members
        case GroupState.PREPARING_REBALANCE:
            assert not any(member.parked_sync for member in members)
        case GroupState.COMPLETING_REBALANCE:
            assert members
            assert not waiting
            assert group.leader_id in group.pending_sync
        case GroupState.STABLE:
            assert members
            assert not waiting
            assert not any(member.parked_sync for member in members)
        case GroupState.DEAD:
            pytest.fail("a dead group is not there")


def test_life_of_a_static_leader_that_joined_by_a_version_without_instances() -> None:
    life = ShardMachine()
    life.step(life.begin, delay_ms=0, max_size=100)
    life.step(
        life.all_join_and_sync,
        group="g",
        protocols={"range": b"1"},
        order=[0, 1, 2],
        versions=[9, 9, 9],
        session_timeout_ms=20_000,
        sync_order=[0, 2, 1],
        syncing=3,
    )
    life.step(
        life.join,
        index=4,
        version=3,
        protocols={"range": b"2"},
        session_timeout_ms=6_000,
        rebalance_timeout_ms=30_000,
        has_forgotten=False,
    )
    life.step(life.leave, indexes=[0])
    life.step(life.leave, indexes=[2])
    life.step(life.sync, index=4, forgets_last=False)
    assert life.driver.group().state is GroupState.STABLE
    assert life.driver.group().static_member_ids.keys() == {"i2"}
    life.teardown()


def test_random_lives_of_a_shard() -> None:
    """The same lives every time, so that no change fails for a bug that it did not cause.

    New ones are looked for below.
    """
    run_state_machine_as_test(
        ShardMachine,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, derandomize=True, database=None
        ),
    )


@pytest.mark.timeout(600)
def test_lives_of_a_shard_by_a_seed() -> None:
    """Many more than Hypothesis can afford, and the same every time."""
    lives.live(ShardMachine, steps=STEPS, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_million_steps_of_a_shard_by_a_seed() -> None:
    """Other lives every time; the seed of one that fails is in the failure."""
    lives.live(ShardMachine, steps=1_000_000, seed=time.time_ns())


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_random_lives_of_a_shard() -> None:
    """Other lives every time; one that fails here is shrunk and becomes a test of its own above."""
    run_state_machine_as_test(
        ShardMachine,
        settings=settings(max_examples=1_500, stateful_step_count=100, deadline=None),
    )
