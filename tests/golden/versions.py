"""What Apache Kafka answers to one usual request of every version that we advertise.

    python -m tests.golden.versions     # asks 3.9.1 and 4.1.1 again (needs java and Maven)

The requests are made by reflection over the handler table, so a version that is newly advertised
has no answer here until it has been put to Apache Kafka: `test_versions.py` fails then. They go to
a broker in the order of their keys and versions, after `answers.prepare` has made the topics.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from datacore._generated.api_keys import API_NAMES, ApiKey
from datacore._generated.find_coordinator import FindCoordinatorRequest
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore.handlers.table import TABLE
from datacore.wire.message import WireMessage, WireStruct
from tests.differential.field_values import LEFT_ALONE, PRODUCERS, STRANGER_ID, plain_request
from tests.differential.record_specs import RecordSpec
from tests.differential.sequences import fitted
from tests.golden import answers
from tests.golden.questions.question import Question
from tests.handlers.record_sets import produced_magic

__all__ = ["PROPERTIES", "STORED", "UNANSWERED", "pairs_answered", "version_questions"]

PROPERTIES = answers.PROPERTIES | {"min.insync.replicas": "1"}
STORED = Path(__file__).with_name("versions.jsonl")
UNANSWERED: dict[tuple[ApiKey, int], str] = {}
"""Advertised pairs that neither release answers, and why."""
_NAMES = {"<t0>": "golden", "<t1>": "untouched"}
# What a broker tells of itself, or of all that earlier questions have left.
_OF_ONE_BROKER = {
    ApiKey.DESCRIBE_LOG_DIRS: ("results",),
    ApiKey.DESCRIBE_PRODUCERS: ("last_timestamp",),
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: ("eligible_leader_replicas", "last_known_elr"),
    ApiKey.CREATE_TOPICS: ("configs",),
    ApiKey.DESCRIBE_CONFIGS: ("documentation",),
    ApiKey.GET_TELEMETRY_SUBSCRIPTIONS: ("client_instance_id", "subscription_id"),
    ApiKey.JOIN_GROUP: ("member_id", "leader"),
    ApiKey.LIST_GROUPS: ("groups",),
    ApiKey.LIST_OFFSETS: ("leader_epoch",),
    ApiKey.LIST_TRANSACTIONS: ("transaction_states",),
    ApiKey.PRODUCE: ("base_offset", "log_append_time_ms"),
}


def version_questions() -> tuple[Question, ...]:
    """One question for each advertised version of each API, behind records for them to find."""
    return (
        Question.of("Produce of what others read", 7, _records_to("golden", 7)),
        *(
            _question(key, version)
            for key in sorted(TABLE)
            for version in range(TABLE[key].min_version, TABLE[key].max_version + 1)
        ),
    )


def _records_to(topic: str, version: int) -> WireMessage:
    """Records in the format of a version's time."""
    content = RecordSpec(count=3, magic=produced_magic(version)).made(-1)
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(records=content)])
    return ProduceRequest(acks=-1, timeout_ms=5_000, topic_data=[data])


def pairs_answered() -> set[tuple[ApiKey, int]]:
    """Advertised pairs that Apache Kafka has answered, in either release."""
    recorded = answers.answers(STORED)
    return {
        (ApiKey(question.api_key), question.version)
        for question in version_questions()
        if any(
            (found := recorded.get((release, question.name))) is not None and found.answer
            for release in answers.RELEASES
        )
    }


def _question(key: ApiKey, version: int) -> Question:
    request: Any = fitted(plain_request(key), version)
    _name(request, f"{key.name.lower().replace('_', '-')}-{version}")
    if key is ApiKey.PRODUCE:  # where nobody reads: releases take different numbers of them
        request = fitted(_records_to("untouched", version), version)
    if key is ApiKey.DESCRIBE_CONFIGS:
        request.resources[0].configuration_keys = ["retention.ms"]
    if key is ApiKey.FIND_COORDINATOR and version:
        request = FindCoordinatorRequest(
            key=request.key, key_type=version % 2, coordinator_keys=request.coordinator_keys
        )  # of transactions, too: asked for, their coordinator begins its work
    if key in (ApiKey.CREATE_TOPICS, ApiKey.DELETE_TOPICS):
        _name(request, f"made-{version}")
    name = f"{API_NAMES[key]} v{version}"
    return Question.of(name, version, request, *_OF_ONE_BROKER.get(key, ()))


def _name(struct: WireStruct, label: str) -> None:
    """Puts names in the place of placeholders; what is made is made once for each version."""
    for field in struct.__slots__:
        if field not in LEFT_ALONE:
            setattr(struct, field, _named(getattr(struct, field), field, label))


def _named(value: Any, field: str, label: str) -> Any:
    if isinstance(value, WireStruct):
        _name(value, label)
    if isinstance(value, list):
        return [_named(each, field, label) for each in value]
    if field == "records" and value is not None and bytes(value).startswith(b"<"):
        return RecordSpec.of(value).made(-1)
    if isinstance(value, str) and value.startswith("<"):
        return _NAMES.get(value, label)
    if isinstance(value, int) and value == PRODUCERS:
        return STRANGER_ID
    return value


def _recorded() -> Iterator[answers.Answer]:
    for release in answers.RELEASES:
        yield from answers.asked_of(release, version_questions(), PROPERTIES)


@click.command()
def main() -> None:
    """Ask Apache Kafka every version's question and store its answers."""
    found = list(_recorded())
    STORED.write_bytes(b"".join(msgspec.json.encode(answer) + b"\n" for answer in found))
    pairs = len(version_questions())
    click.echo(f"{pairs} questions, {len(pairs_answered())} of them answered")


if __name__ == "__main__":
    main()
