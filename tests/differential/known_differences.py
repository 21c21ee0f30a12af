"""Reads known_differences.toml."""

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from datacore._generated.add_partitions_to_txn import AddPartitionsToTxnRequest
from datacore._generated.api_keys import ApiKey
from datacore._generated.list_offsets import ListOffsetsRequest
from datacore._generated.produce import ProduceRequest
from datacore.wire.message import WireMessage
from tests.differential.duel import Difference

_FILE = Path(__file__).with_suffix(".toml")


def known_differences(release: str) -> dict[tuple[str, int], str]:
    """The reason of each known difference to a release, by request and version."""
    entries = tomllib.loads(_FILE.read_text()).get(release, [])
    return {
        (entry["request"], version): entry["reason"]
        for entry in entries
        for version in range(entry["versions"][0], entry["versions"][1] + 1)
    }


class ConfigDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of request about configs that 4.1.1 and DataCore answer otherwise.

    Attributes:
        reason: Why.
        api: Which API, by its name in ``ApiKey``; None is each.
        resource: The type of resource; None is each.
        config: Pattern of a config's whole name.
        value: Pattern of its whole value.
        operation: The numbers of the operations.
        theirs: The codes that Apache Kafka may answer.
        ours: The codes that DataCore may answer in their place.
    """

    reason: str
    api: str | None = None
    resource: int | None = None
    config: str = ".*"
    value: str = ".*"
    operation: list[int] = []
    theirs: set[int]
    ours: set[int]

    def is_about(self, request: WireMessage, theirs: list[int], ours: list[int]) -> bool:
        """Whether a request is of this kind, and its answers as codes differ only in this way."""
        if self.api is not None and ApiKey[self.api] != request.api_key:
            return False
        if not (_only_in(theirs, ours) <= self.theirs and _only_in(ours, theirs) <= self.ours):
            return False
        holders: list[Any] = [
            *getattr(request, "resources", []),
            *getattr(request, "topics", []),
        ]
        return any(
            self._is_about(holder, config)
            for holder in holders
            for config in getattr(holder, "configs", [])
        )

    def _is_about(self, holder: Any, config: Any) -> bool:
        if self.resource is not None and self.resource != getattr(holder, "resource_type", 2):
            return False
        if self.operation and getattr(config, "config_operation", 0) not in self.operation:
            return False
        return bool(
            re.fullmatch(self.config, config.name)
            and re.fullmatch(self.value, config.value or "", re.DOTALL)
        )


def _only_in(codes: list[int], others: list[int]) -> set[int]:
    """Those that are there more often than in the others."""
    return set(Counter(codes) - Counter(others))


@cache
def config_differences() -> list[ConfigDifference]:
    """Every known difference of requests about configs."""
    entries = tomllib.loads(_FILE.read_text()).get("configs", [])
    return msgspec.convert(entries, list[ConfigDifference])


class AdminDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of request about the cluster that 4.1.1 and DataCore answer otherwise.

    Attributes:
        reason: Why.
        api: Which API, by its name in ``ApiKey``.
        theirs: The code that Apache Kafka answers.
        ours: The code that DataCore answers in its place.
    """

    reason: str
    api: str
    theirs: int
    ours: int

    def is_about(self, request: WireMessage, theirs: Any, ours: Any) -> bool:
        """Whether two answers, as sorted codes, differ in this way and in no other."""
        if ApiKey[self.api] != request.api_key or "closed" in (theirs, ours):
            return False
        swapped = sorted(self.ours if code == self.theirs else code for code in theirs)
        return bool(swapped == ours != theirs)


@cache
def admin_differences() -> list[AdminDifference]:
    """Every known difference of requests about the cluster."""
    entries = tomllib.loads(_FILE.read_text()).get("admin", [])
    return msgspec.convert(entries, list[AdminDifference])


class SequenceDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value that the two tell differently in the course of a sequence.

    Attributes:
        reason: Why.
        api: Pattern of the API's whole name in ``ApiKey``.
        path: Pattern of the value's whole path in the answer.
        theirs: Pattern of what Apache Kafka says, whole.
        ours: Pattern of what DataCore says in its place, whole.
        request: Pattern of something in the request.
        names_twice: Whether the request must name a partition, or a transaction, twice.
        versions: The first and the last version.
        release: Of Apache Kafka; None is each.
        ends: Whether the two go separate ways from there on, so that nothing is compared any more.
        script: Steps that show the difference.
    """

    reason: str
    api: str
    path: str = ".*"
    theirs: str = ".*"
    ours: str = ".*"
    request: str = ""
    names_twice: bool = False
    versions: tuple[int, int] = (0, 99)
    release: str | None = None
    ends: bool = False
    script: str

    def is_about(self, release: str, difference: Difference) -> bool:
        """Whether a difference is of this kind."""
        step = difference.step
        return (
            re.fullmatch(self.api, step.key.name) is not None
            and self.release in (None, release)
            and self.versions[0] <= step.version <= self.versions[1]
            and re.fullmatch(self.path, difference.path) is not None
            and re.fullmatch(self.theirs, str(difference.theirs), re.DOTALL) is not None
            and re.fullmatch(self.ours, str(difference.ours), re.DOTALL) is not None
            and re.search(self.request, str(step.request)) is not None
            and (not self.names_twice or _names_twice(step.request))
        )


def _names_twice(request: WireMessage) -> bool:
    """Whether a request names a partition, or a transaction, twice."""
    named: list[object] = []
    match request:
        case ProduceRequest(topic_data=topics):
            named += [
                (topic.name, topic.topic_id, partition.index)
                for topic in topics
                for partition in topic.partition_data
            ]
        case ListOffsetsRequest(topics=topics):
            named += [
                (topic.name, partition.partition_index)
                for topic in topics
                for partition in topic.partitions
            ]
        case AddPartitionsToTxnRequest(transactions=transactions):
            named += [transaction.transactional_id for transaction in transactions]
    return len(set(named)) < len(named)


@cache
def sequence_differences() -> list[SequenceDifference]:
    """Every known difference in sequences of requests."""
    entries = tomllib.loads(_FILE.read_text()).get("sequences", [])
    return msgspec.convert(entries, list[SequenceDifference])


def all_differences() -> list[tuple[str, str]]:
    """What is asked, in words, and why it is answered otherwise: for people."""
    told: dict[tuple[str, str], None] = {}
    for kind, entries in tomllib.loads(_FILE.read_text()).items():
        for entry in entries:
            asked = entry.get("request") if kind[0].isdigit() else entry.get("api")
            where = f" (to {kind})" if kind[0].isdigit() else ""
            words = (asked or "configs").replace("|", ", ")
            told[f"{words}{where}", entry["reason"]] = None
    return list(told)
