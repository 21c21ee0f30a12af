"""What Apache Kafka answers to the questions, as committed data.

    python -m tests.golden.answers      # asks 3.9.1 and 4.1.1 again (needs java and Maven)

Answers bear ids and addresses of the broker that gave them, so asking again changes the file;
`question.comparable` leaves those out. The questions go to a broker in their order, one connection
each, after `prepare` has made the topics.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from datacore._generated.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore.wire.message import WireMessage
from tests.golden.questions import cluster, configs, groups, records, topics, transactions, wire
from tests.golden.questions.question import Question, ask, comparable
from tests.oracle.apache_kafka import ApacheKafka

__all__ = ["QUESTIONS", "RELEASES", "Answer", "answers", "asked_of", "prepare"]

RELEASES = ("3.9.1", "4.1.1")
QUESTIONS: tuple[Question, ...] = (
    *wire.QUESTIONS,
    *topics.QUESTIONS,
    *records.QUESTIONS,
    *groups.QUESTIONS,
    *cluster.QUESTIONS,
    *configs.QUESTIONS,
    *transactions.QUESTIONS,
)
PROPERTIES = {"auto.create.topics.enable": "false"}
_STORED = Path(__file__).with_name("answers.jsonl")
_TOPICS: dict[str, dict[str, str]] = {
    "golden": {},
    "untouched": {},
    "spoiled": {},
    "with.dot": {},
    "compacted": {"cleanup.policy": "compact"},
    "small": {"max.message.bytes": "80"},
}
_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05
# COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
_LOADING = frozenset({14, 15, 16})


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one release answered: hex of the body behind the header; null: it hung up."""

    release: str
    question: str
    answer: str | None

    @property
    def body(self) -> bytes | None:
        """The answer's body, None where the connection was closed."""
        return None if self.answer is None else bytes.fromhex(self.answer)


def answers(stored: Path = _STORED) -> dict[tuple[str, str], Answer]:
    """Every recorded answer by release and question."""
    lines = stored.read_bytes().splitlines()
    read = [msgspec.json.decode(line, type=Answer) for line in lines]
    return {(each.release, each.question): each for each in read}


def prepare(host: str, port: int) -> None:
    """Make the topics that the questions are about; return when they and the groups are ready."""
    made = _ask(host, port, "make the topics", 5, _creation())
    assert made is not None
    created, _ = CreateTopicsResponse.decode(made, 5)
    assert [topic.error_code for topic in created.topics] == [0] * len(_TOPICS)
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while not (_has_leaders(host, port) and _has_coordinator(host, port)):
        assert time.monotonic() < deadline_s
        time.sleep(_POLL_S)


def _creation() -> CreateTopicsRequest:
    asked = [
        CreatableTopic(
            name=name,
            num_partitions=1,
            replication_factor=1,
            configs=[CreatableTopicConfig(name=key, value=text) for key, text in configs.items()],
        )
        for name, configs in _TOPICS.items()
    ]
    return CreateTopicsRequest(topics=asked)


def _has_leaders(host: str, port: int) -> bool:
    named = [MetadataRequestTopic(name=name) for name in _TOPICS]
    told = _ask(host, port, "topics", 1, MetadataRequest(topics=named))
    assert told is not None
    metadata, _ = MetadataResponse.decode(told, 1)
    return all(topic.error_code == 0 for topic in metadata.topics)


def _has_coordinator(host: str, port: int) -> bool:
    request = FindCoordinatorRequest(key=groups.GROUP)
    told = _ask(host, port, "coordinator", 0, request)
    assert told is not None
    return FindCoordinatorResponse.decode(told, 0)[0].error_code == 0


def _ask(host: str, port: int, name: str, version: int, request: WireMessage) -> bytes | None:
    return ask(host, port, Question.of(name, version, request))


def _settled(host: str, port: int, question: Question) -> bytes | None:
    """Kafka's answer once its coordinators have loaded what they need."""
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while _is_loading(comparable(question, body := ask(host, port, question))):
        assert time.monotonic() < deadline_s, question.name
        time.sleep(_POLL_S)
    return body


def _is_loading(answer: Any) -> bool:
    if isinstance(answer, list):
        return any(map(_is_loading, answer))
    if not isinstance(answer, dict):
        return False
    return answer.get("error_code") in _LOADING or any(map(_is_loading, answer.values()))


def asked_of(
    release: str, questions: Iterable[Question], properties: Mapping[str, str]
) -> Iterator[Answer]:
    """What a fresh broker of a release answers to questions, in their order."""
    with ApacheKafka(release, properties=properties, start_timeout_s=300.0) as kafka:
        host, _, port = kafka.bootstrap.rpartition(":")
        prepare(host, int(port))
        for question in questions:
            body = _settled(host, int(port), question)
            yield Answer(release, question.name, None if body is None else body.hex())


@click.command()
def main() -> None:
    """Ask Apache Kafka every question and store its answers."""
    names = [question.name for question in QUESTIONS]
    assert len(names) == len(set(names)), "two questions have one name"
    found = [answer for release in RELEASES for answer in asked_of(release, QUESTIONS, PROPERTIES)]
    _STORED.write_bytes(b"".join(msgspec.json.encode(answer) + b"\n" for answer in found))
    click.echo(f"{len(QUESTIONS)} questions, {len(found)} answers")


if __name__ == "__main__":
    main()
