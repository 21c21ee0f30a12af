"""A script of requests, told to a shard and to Apache Kafka at once, answer compared with answer.

Messages name members by placeholders ("<a>"), since each side gives ids of its own: a placeholder
stands for the id that the side gave in its last answer to JoinGroup under that name. What is
compared is everything that the answers say, with ids put back to placeholders and lists that have
no order sorted.
"""

import itertools
import re
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from datacore._generated.api_keys import (
    request_class,
    request_header_version,
    response_class,
    response_header_version,
)
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.create_topics import CreatableTopic, CreateTopicsRequest
from datacore._generated.delete_topics import DeleteTopicsRequest
from datacore._generated.describe_groups import DescribeGroupsRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchTopic
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.heartbeat import HeartbeatRequest
from datacore._generated.join_group import JoinGroupRequest, JoinGroupResponse
from datacore._generated.list_groups import ListGroupsResponse
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from datacore._generated.request_header import RequestHeader
from datacore._generated.response_header import ResponseHeader
from datacore.coordinator.group.consumer.config import INT32_MAX, ConsumerGroupConfig
from datacore.coordinator.outcome import Record
from datacore.record.batch import iterate_headers
from datacore.record.records import iterate_records
from tests.coordinator.group.driver import Driver

ANSWER_TIMEOUT_S = 40.0
GENERATED_ID = re.compile(r"^.*-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

Handler = Callable[[Any, Any], Any]


class Wire:
    """One request on a connection of its own, as a parked request needs it."""

    def __init__(self, port: int, message: Any, version: int, client_id: str) -> None:
        self._response = response_class(message.api_key)
        self._version = version
        self._header_version = response_header_version(message.api_key, version)
        header_version = request_header_version(message.api_key, version)
        header = RequestHeader(
            request_api_key=message.api_key,
            request_api_version=version,
            correlation_id=1,
            client_id=client_id,
        )
        frame = header.encode(header_version) + message.encode(version)
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S)
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)

    def answer(self) -> Any:
        with self._socket:
            size = struct.unpack(">i", self._read(4))[0]
            frame = self._read(size)
        _, at = ResponseHeader.decode(frame, self._header_version)
        message, _ = self._response.decode(frame, self._version, at)
        return message

    def has_answer(self) -> bool:
        self._socket.setblocking(False)  # noqa: FBT003  # the socket module's way
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self._socket.settimeout(ANSWER_TIMEOUT_S)

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "Kafka closed the connection"
            data += part
        return bytes(data)


class Twin:
    """Both sides of a script."""

    def __init__(
        self, port: int, *, group_max_size: int, consumer_max_size: int = INT32_MAX
    ) -> None:
        self.port = port
        consumer = ConsumerGroupConfig(max_size=consumer_max_size)
        self.driver = Driver(consumer=consumer, group_max_size=group_max_size)
        self.waiting: dict[int, tuple[str, Wire | None]] = {}
        self.ours: dict[str, str] = {}
        self.theirs: dict[str, str] = {}
        self.groups: set[str] = set()
        """That are told of; Kafka has those of other scripts, too."""
        self.compared = 0
        self.expected: list[Any] = []
        """All that Kafka answered, in comparable form."""

    def ask(self, message: Any, version: int, *, name: str = "", client_id: str = "c") -> None:
        """Tells both; compares all answers that the shard gives by that."""
        ours = _named(message, version, self.ours)
        context = self.driver.context(version, client_id)
        shard = self.driver.shard
        if isinstance(ours, JoinGroupRequest):
            outcome = shard.join_group(ours, context, _uuid(self.driver.last_token))
        elif isinstance(ours, ConsumerGroupHeartbeatRequest):
            outcome = shard.consumer_group_heartbeat(ours, context, _uuid(self.driver.last_token))
        else:
            outcome = self._handler(ours)(ours, context)
        self.asked(message, version, name, client_id)
        self.driver.take(outcome)
        if self.driver.last_token not in self.driver.answers:
            self.wait_until_kafka_has_parked_it(ours.group_id)
        self._compare()

    def asked(self, message: Any, version: int, name: str, client_id: str) -> None:
        """Puts to Kafka what the shard was asked."""
        theirs = _named(message, version, self.theirs)
        wire = Wire(self.port, theirs, version, client_id)
        self.waiting[self.driver.last_token] = name, wire

    def advance(self, ms: int) -> None:
        """Lets time pass for the shard; Kafka's answers by that are waited for."""
        self.driver.advance(ms)
        self._compare()

    def make_topic(self, name: str, partitions: int) -> None:
        """Makes a topic; it has the id that Kafka gives it."""
        topic_id = self.kafka_makes_topic(name, partitions)
        self.driver.cluster.set_topic(name, partitions, topic_id)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic."""
        self.driver.cluster.delete_topic(name)
        self.kafka_deletes_topic(name)

    def kafka_makes_topic(self, name: str, partitions: int) -> bytes:
        """Makes it, and waits until Kafka's coordinator knows of it; its id."""
        topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=10_000)
        [made] = Wire(self.port, request, 7, "setup").answer().topics
        assert made.error_code == ErrorCode.NONE
        self._wait_until_kafka_assigns(name, topics=1)
        return bytes(made.topic_id)

    def kafka_deletes_topic(self, name: str) -> None:
        """Deletes it, and waits likewise."""
        request = DeleteTopicsRequest(topic_names=[name], timeout_ms=10_000)
        deleted = Wire(self.port, request, 5, "setup").answer()
        assert deleted.responses[0].error_code == ErrorCode.NONE
        self._wait_until_kafka_assigns(name, topics=0)

    def _wait_until_kafka_assigns(self, name: str, *, topics: int) -> None:
        # A group of its own each time: one that has members holds them to what they had.
        for number in itertools.count():
            joining = ConsumerGroupHeartbeatRequest(
                group_id=f"waits-for-{topics}-{name}-{number}",
                member_id="m",
                rebalance_timeout_ms=1_000,
                subscribed_topic_names=[name],
                topic_partitions=[],
            )
            answer = Wire(self.port, joining, 1, "setup").answer()
            if len(answer.assignment.topic_partitions) == topics:
                return

    def keep(self, name: str, kept: str) -> None:
        """Remembers a member's id under another name, before it gets a new one."""
        self.ours[kept], self.theirs[kept] = self.ours[name], self.theirs[name]

    def close(self) -> None:
        """Whoever waits in the shard must wait in Kafka too."""
        wires = [(name, wire) for name, wire in self.waiting.values() if wire is not None]
        early = [name for name, wire in wires if wire.has_answer()]
        for _, wire in wires:
            wire.close()
        assert not early, f"Kafka has answered {early}"

    def _handler(self, message: Any) -> Handler:
        name = type(message).__name__.removesuffix("Request")
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        handler: Handler = getattr(self.driver.shard, snake)
        return handler

    def wait_until_kafka_has_parked_it(self, group_id: str) -> None:
        """Connections have no order among them: the next request must not overtake this one."""
        group = self.driver.group(group_id)
        expected = group.state.value, len(group.members)
        ask_kafka_until(
            self.port,
            DescribeGroupsRequest(groups=[group_id]),
            5,
            lambda a: (a.groups[0].group_state, len(a.groups[0].members)) == expected,
        )

    def kafkas(self, answered: list[tuple[str, Any, Wire | None]]) -> list[Any]:
        """What Kafka says to those requests, in comparable form."""
        answers = []
        for name, ours, wire in answered:
            assert wire is not None
            theirs = wire.answer()
            if name and getattr(ours, "member_id", ""):
                self.theirs[name] = theirs.member_id
            self._keep_groups(theirs)
            answers.append(theirs)
        return [plain(theirs, self.theirs) for theirs in answers]

    def _compare(self) -> None:
        answered = []
        for token in [token for token in self.waiting if token in self.driver.answers]:
            name, wire = self.waiting.pop(token)
            ours = self.driver.answers[token]
            names_a_member = isinstance(ours, JoinGroupResponse | ConsumerGroupHeartbeatResponse)
            if name and names_a_member and ours.member_id:
                self.ours[name] = ours.member_id
            answered.append((name if names_a_member else "", ours, wire))
        for (_, ours, _), expected in zip(answered, self.kafkas(answered), strict=True):
            said = self.comparable(plain(ours, self.ours))
            assert said == expected, f"{said}, but Kafka says {expected}"
            self.expected.append(expected)
        self.compared += len(answered)

    def _keep_groups(self, answer: Any) -> None:
        if isinstance(answer, ListGroupsResponse):
            answer.groups = [each for each in answer.groups if each.group_id in self.groups]

    def comparable(self, said: Any) -> Any:
        """The form that Kafka's answers have."""
        return said


class RecordedTwin(Twin):
    """A shard, and what Apache Kafka answered to the same script once."""

    def __init__(
        self,
        recorded: list[Any],
        made_topics: Iterator[bytes],
        *,
        group_max_size: int,
        consumer_max_size: int,
    ) -> None:
        super().__init__(0, group_max_size=group_max_size, consumer_max_size=consumer_max_size)
        self.recorded = recorded
        self.made_topics = made_topics

    def asked(self, message: Any, version: int, name: str, client_id: str) -> None:
        """Nobody is asked."""
        del message, version, client_id
        self.waiting[self.driver.last_token] = name, None

    def wait_until_kafka_has_parked_it(self, group_id: str) -> None:
        """Nobody is waited for."""

    def kafka_makes_topic(self, name: str, partitions: int) -> bytes:
        """The id that it had."""
        del name, partitions
        return next(self.made_topics)

    def kafka_deletes_topic(self, name: str) -> None:
        """Nobody deletes it."""

    def keep(self, name: str, kept: str) -> None:
        """Kafka's ids are placeholders already."""
        self.ours[kept] = self.ours[name]

    def kafkas(self, answered: list[tuple[str, Any, Wire | None]]) -> list[Any]:
        """The next answers of the recording."""
        return [self.recorded[self.compared + place] for place in range(len(answered))]

    def comparable(self, said: Any) -> Any:
        """As it comes out of the file."""
        return msgspec.json.decode(msgspec.json.encode(said))


def ask_kafka_until(port: int, message: Any, version: int, is_good: Callable[[Any], bool]) -> None:
    """Asks until Kafka has made what the question is about: topics come a little later there."""
    for _ in range(20_000):
        if is_good(Wire(port, message, version, "setup").answer()):
            return
    raise AssertionError(f"Kafka never answered {type(message).__name__} well")


def prepare_kafka(port: int, topic: str) -> None:
    """Makes a topic, and the coordinator find its own."""
    metadata = MetadataRequest(
        topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=True
    )
    ask_kafka_until(port, metadata, 9, lambda answer: answer.topics[0].error_code == ErrorCode.NONE)
    find = FindCoordinatorRequest(key="g", key_type=0)
    ask_kafka_until(port, find, 2, lambda answer: answer.error_code == ErrorCode.NONE)
    knows = HeartbeatRequest(group_id="g", member_id="m", generation_id=1)
    ask_kafka_until(port, knows, 4, lambda a: a.error_code == ErrorCode.UNKNOWN_MEMBER_ID)


def kafkas_log(port: int) -> list[Record]:
    """All records of the only partition of Kafka's __consumer_offsets."""
    partition = FetchPartition(partition=0, partition_max_bytes=2**26)
    topics = [FetchTopic(topic="__consumer_offsets", partitions=[partition])]
    request = FetchRequest(max_bytes=2**26, topics=topics)
    answer = Wire(port, request, 11, "reader").answer()
    [answered] = answer.responses[0].partitions
    batches = bytes(answered.records)
    found = []
    for at, header in iterate_headers(batches):
        for record in iterate_records(batches[at:], header):
            assert record.key is not None
            found.append(Record(bytes(record.key), record.value))
    return found


def _named(message: Any, version: int, ids: dict[str, str]) -> Any:
    """The message with ids for placeholders: they have no other place than strings."""
    copy = request_class(message.api_key).decode(message.encode(version), version)[0]
    _replace(copy, {f"<{name}>": member_id for name, member_id in ids.items()})
    return copy


def _replace(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, list):
        return [_replace(item, texts) for item in value]
    for field in getattr(type(value), "__slots__", ()):
        setattr(value, field, _replace(getattr(value, field), texts))
    return value


def plain(value: Any, ids: dict[str, str]) -> Any:
    """An answer as dicts and sorted lists, ids as placeholders, errors by name."""
    if isinstance(value, str):
        names = {member_id: f"<{name}>" for name, member_id in reversed(ids.items())}
        return names.get(value, GENERATED_ID.sub("<not told yet>", value))
    if isinstance(value, list):
        return sorted((plain(item, ids) for item in value), key=str)
    if not hasattr(type(value), "__slots__"):
        return value
    fields = {field: plain(getattr(value, field), ids) for field in type(value).__slots__}
    if not fields.get("unknown_tagged_fields", True):
        del fields["unknown_tagged_fields"]
    if "error_code" in fields:
        fields["error_code"] = ErrorCode(fields["error_code"]).name
    return {"": type(value).__name__, **fields}


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"
