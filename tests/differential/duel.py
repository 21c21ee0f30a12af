"""Two brokers that are told the same sequence, and where their answers part.

Rules: a request that may wait for another member (JoinGroup, SyncGroup) is left waiting when
DataCore has not answered it within a moment, and its connection is passed over until it has. What
Apache Kafka does a little later than it says (topics, configs, markers) is waited for before the
next step; an answer that only says "not yet" is asked for again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from datacore._generated.api_keys import ApiKey
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from datacore._generated.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.client.connection import Connection
from tests.differential.conversation import PREFIX, Conversation, error_codes
from tests.differential.sequences import Step

__all__ = ["Difference", "Duel"]

_MAY_WAIT = frozenset({ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP})
_MOMENT_S = 0.15
_PATIENCE_S = 10.0
_A_WHILE_S = 1.0
_POLL_S = 0.01
_NOT_YET = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.CONCURRENT_TRANSACTIONS,
    }
)
_CHANGES_TOPICS = frozenset(
    {
        *(ApiKey.CREATE_TOPICS, ApiKey.DELETE_TOPICS, ApiKey.CREATE_PARTITIONS),
        *(ApiKey.ALTER_CONFIGS, ApiKey.INCREMENTAL_ALTER_CONFIGS),
    }
)
_MAY_END_TRANSACTIONS = frozenset(
    {ApiKey.END_TXN, ApiKey.INIT_PRODUCER_ID, ApiKey.WRITE_TXN_MARKERS}
)
_TOPICS = ("<t0>", "<t1>", "<t2>", "<t3>")
_NO_ANSWER = "still waiting"
_DYNAMIC_TOPIC_CONFIG = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One value in which two answers to a step differ."""

    step: Step
    path: str
    theirs: Any
    ours: Any

    @property
    def field(self) -> str:
        """The last field's name in the path."""
        return self.path.rpartition(".")[2].partition("[")[0]

    def __str__(self) -> str:
        return f"{self.step}\n  {self.path}: Apache Kafka {self.theirs!r}, DataCore {self.ours!r}"


class Duel:
    """One sequence, at both brokers."""

    def __init__(self, theirs: Conversation, ours: Conversation) -> None:
        self._theirs = theirs
        self._ours = ours
        self._waiting: dict[int, tuple[Step, int, int]] = {}
        self.requests = 0

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()

    def differences(self, step: Step) -> list[Difference]:
        """Puts a step to both; returns how the answers to it, or to earlier ones, differ."""
        found = list(self._answers_that_came(0.0))
        if step.connection in self._waiting:
            return found
        self.requests += 1
        ours, theirs = self._ours.ask(step), self._theirs.ask(step)
        if step.key in _MAY_WAIT and not self._ours.has_answer(step, _MOMENT_S):
            self._waiting[step.connection] = step, theirs, ours
            return found
        found += _differences(
            step, "", self._taken(step, theirs, self._theirs), self._taken(step, ours, self._ours)
        )
        found += self._answers_that_came(0.0)
        self._settle(step)
        return found

    def last_differences(self) -> list[Difference]:
        """Of answers that came late, or did not come from one of the two."""
        found = list(self._answers_that_came(_MOMENT_S))
        for step, _, _ in self._waiting.values():
            if self._theirs.has_answer(step, _MOMENT_S):
                found.append(Difference(step, "", "an answer", _NO_ANSWER))
        return found

    def _answers_that_came(self, timeout_s: float) -> Iterator[Difference]:
        for number, (step, theirs, ours) in list(self._waiting.items()):
            if self._ours.has_answer(step, timeout_s):
                del self._waiting[number]
                told = self._taken(step, theirs, self._theirs)
                yield from _differences(step, "", told, self._taken(step, ours, self._ours))

    def _taken(self, step: Step, correlation_id: int, side: Conversation) -> Any:
        """The answer, asked for again while it is "not yet"."""
        deadline_s = time.monotonic() + _PATIENCE_S
        if step.key in _MAY_WAIT and not side.has_answer(step, _PATIENCE_S):
            return _NO_ANSWER
        answer = side.take(step, correlation_id)
        while _NOT_YET.intersection(error_codes(answer)) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)  # another process, which tells nobody when it is ready
            answer = side.take(step, side.ask(step))
        return answer

    # --- what Kafka does a little later

    def _settle(self, step: Step) -> None:
        if step.key in _CHANGES_TOPICS and not step.is_about_the_cluster:
            _wait_until(lambda: self._topics(self._theirs) == self._topics(self._ours))
            _wait_until(lambda: self._assignable(self._theirs) == self._assignable(self._ours))
        if step.key in _MAY_END_TRANSACTIONS:
            _wait_until(lambda: not self._is_ending(self._theirs))
            _wait_until(lambda: _ends(self._theirs) == _ends(self._ours), _A_WHILE_S)
        if step.key == ApiKey.LEAVE_GROUP:
            # Without members, the wait for who has an id and does not join is one of no time.
            _wait_until(
                lambda: _group_states(self._theirs) == _group_states(self._ours), _A_WHILE_S
            )

    def _topics(self, side: Conversation) -> object:
        names = [side.name(each) for each in _TOPICS]
        with Connection("127.0.0.1", side.port) as connection:
            asked = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in names])
            topics = connection.send(asked, MetadataResponse, 8).topics
            resources = [
                DescribeConfigsResource(resource_type=2, resource_name=name) for name in names
            ]
            told = connection.send(
                DescribeConfigsRequest(resources=resources), DescribeConfigsResponse, 3
            )
        configs = [
            sorted(
                (each.name, each.value)
                for each in result.configs
                if each.config_source == _DYNAMIC_TOPIC_CONFIG
            )
            for result in told.results
        ]
        states = sorted(
            (topic.name, topic.error_code, sorted(each.error_code for each in topic.partitions))
            for topic in topics
        )
        return states, configs

    def _assignable(self, side: Conversation) -> int:
        """How many partitions of the sequence's topics the coordinator of groups knows of."""
        return assignable(side.port, [side.name(each) for each in _TOPICS])

    def _is_ending(self, side: Conversation) -> bool:
        ids = [side.name("<x0>"), side.name("<x1>")]
        with Connection("127.0.0.1", side.port) as connection:
            told = connection.send(
                DescribeTransactionsRequest(transactional_ids=ids), DescribeTransactionsResponse, 0
            )
        return any(each.transaction_state.startswith("Prepare") for each in told.transaction_states)


def _ends(side: Conversation) -> object:
    """Where the logs of the sequence's topics end, for readers of each isolation level."""
    topics = [
        ListOffsetsTopic(
            name=side.name(topic),
            partitions=[
                ListOffsetsPartition(partition_index=index, timestamp=-1)
                for index in range(partitions)
            ],
        )
        for topic, partitions in (("<t0>", 1), ("<t1>", 2))
    ]
    with Connection("127.0.0.1", side.port) as connection:
        return [
            sorted(
                (topic.name, each.partition_index, each.offset)
                for topic in connection.send(
                    ListOffsetsRequest(isolation_level=level, topics=topics), ListOffsetsResponse, 2
                ).topics
                for each in topic.partitions
            )
            for level in (0, 1)
        ]


def _group_states(side: Conversation) -> list[str]:
    """The states of the sequence's groups."""
    request = DescribeGroupsRequest(groups=[side.name("<g0>"), side.name("<g1>")])
    with Connection("127.0.0.1", side.port) as connection:
        told = connection.send(request, DescribeGroupsResponse, 0).groups
    return [each.group_state for each in told]


def assignable(port: int, topics: list[str]) -> int:
    """How many partitions of topics a group of one consumer is given."""
    request = ConsumerGroupHeartbeatRequest(
        group_id=f"{PREFIX}-asking-{uuid4()}",
        member_id="asking",
        member_epoch=0,
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=topics,
        topic_partitions=[],
    )
    with Connection("127.0.0.1", port) as connection:
        version = connection.version(ConsumerGroupHeartbeatRequest)
        told = connection.send(request, ConsumerGroupHeartbeatResponse, version)
        request.member_epoch = -1
        connection.send(request, ConsumerGroupHeartbeatResponse, version)
    assert told.error_code == 0, told
    given = told.assignment.topic_partitions if told.assignment else []
    return sum(len(each.partitions) for each in given)


def _wait_until(is_so: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
    """Returns when it is so, or when patience is over: the next answers tell then."""
    deadline_s = time.monotonic() + patience_s
    while not is_so() and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)  # as above


def _differences(step: Step, path: str, theirs: Any, ours: Any) -> list[Difference]:
    if theirs == ours:
        return []
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        return [
            each
            for name in theirs
            for each in _differences(step, f"{path}.{name}", theirs[name], ours[name])
        ]
    if path.endswith(".configs"):
        theirs, ours = ({each["name"]: each for each in side or []} for side in (theirs, ours))
        return [
            each
            for name in sorted(theirs.keys() | ours.keys())
            for each in _differences(step, f"{path}[{name}]", theirs.get(name), ours.get(name))
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [
            each
            for place, (one, other) in enumerate(zip(theirs, ours, strict=True))
            for each in _differences(step, f"{path}[{place}]", one, other)
        ]
    return [Difference(step, path, theirs, ours)]
