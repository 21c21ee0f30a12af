"""Errors as people read them: one sentence, what to do next, and the exit status."""

from typing import Final

import click

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

_NEXT_STEPS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "`datacore topic list` shows those that exist",
    ErrorCode.UNKNOWN_TOPIC_ID: "`datacore topic list -o json` shows the ids that exist",
    ErrorCode.TOPIC_ALREADY_EXISTS: "`datacore topic describe` shows what it is like",
    ErrorCode.GROUP_ID_NOT_FOUND: "`datacore group list` shows those that exist",
    ErrorCode.NON_EMPTY_GROUP: "stop its members first, `datacore group describe --members`",
    ErrorCode.UNKNOWN_MEMBER_ID: "stop the group's members first",
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC: "stop the members that read this topic first",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "use letters, digits, '.', '_' and '-', 249 at most",
    ErrorCode.INVALID_PARTITIONS: "a topic's number of partitions can only grow",
    ErrorCode.INVALID_REPLICATION_FACTOR: "at most one replica a broker: see `cluster describe`",
    ErrorCode.INVALID_CONFIG: "`datacore config describe --all` shows names and values",
    ErrorCode.OFFSET_OUT_OF_RANGE: "`datacore offset list` shows where partitions begin and end",
    ErrorCode.MESSAGE_TOO_LARGE: "raise max.message.bytes of the topic, or send less at a time",
    ErrorCode.TRANSACTIONAL_ID_NOT_FOUND: "`datacore transaction list` shows those that exist",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "ask for the right to this topic",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "ask for the right to this group",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "ask for the right to administer this cluster",
}


class Failure(click.ClickException):
    """Something of the cluster or the machine stands in the way."""

    exit_code = 1


class Mistake(click.ClickException):
    """An argument or the configuration is not usable; no usage line, for the sentence says it."""

    exit_code = 2


def explain(error: KafkaError) -> str:
    """A broker's refusal as one sentence that says what to do next, where that is known."""
    message = " ".join((error.message or "").split()).rstrip(".")
    said = f"{error.code.name}: {message}" if message else error.code.name
    next_step = _NEXT_STEPS.get(error.code)
    return f"{said}: {next_step}" if next_step else said
