"""Sequences of requests: random ones, strewn into the lives that clients really lead.

A script is what a sequence looks like on paper: a line for each step, with the request's body at
its version, placeholders in place of what each broker names by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.alter_configs import AlterConfigsRequest
from datacore._generated.api_keys import ApiKey, request_class
from datacore._generated.write_txn_markers import WriteTxnMarkersRequest
from datacore.wire.errors import EncodeError
from datacore.wire.message import WireMessage, WireStruct
from tests.differential import admin_requests, config_requests
from tests.differential.field_values import requests_of
from tests.differential.lives import THEMES, Act

__all__ = ["CONNECTIONS", "Step", "VersionRanges", "read_script", "script", "sequences"]

VersionRanges = Mapping[ApiKey, range]
CONNECTIONS = 3
_STEPS_MIN, _STEPS_MAX = 5, 20


@dataclass(frozen=True, slots=True)
class Step:
    """One request on one of the connections."""

    connection: int
    version: int
    request: WireMessage
    is_about_the_cluster: bool = False
    """Of whose answer only the error codes are compared: it tells of all that there is."""

    @property
    def key(self) -> ApiKey:
        return ApiKey(self.request.api_key)

    def __repr__(self) -> str:
        return f"[{self.connection}] v{self.version} {self.request}"


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    connection: int
    api: str
    version: int
    body: str
    is_about_the_cluster: bool = False


def script(steps: Iterable[Step]) -> str:
    """The steps as lines of JSON."""
    return "\n".join(
        msgspec.json.encode(
            _Line(
                step.connection,
                step.key.name,
                step.version,
                step.request.encode(step.version).hex(),
                step.is_about_the_cluster,
            )
        ).decode()
        for step in steps
    )


def read_script(text: str) -> list[Step]:
    """The steps of a script."""
    lines = [msgspec.json.decode(line, type=_Line) for line in text.splitlines() if line.strip()]
    return [
        Step(
            line.connection,
            line.version,
            request_class(ApiKey[line.api]).decode(bytes.fromhex(line.body), line.version)[0],
            line.is_about_the_cluster,
        )
        for line in lines
    ]


# Asked with names of their own, mostly only to be validated: they change or tell of the cluster.
_A = ApiKey
_OF_THE_CLUSTER: dict[ApiKey, st.SearchStrategy[WireMessage]] = {
    _A.CREATE_TOPICS: config_requests.creations(),
    _A.INCREMENTAL_ALTER_CONFIGS: config_requests.increments(),
    _A.ALTER_CONFIGS: config_requests.replacements(),
    _A.DESCRIBE_CONFIGS: config_requests.descriptions(),
    _A.LIST_CONFIG_RESOURCES: config_requests.listings(),
    _A.ALTER_CLIENT_QUOTAS: config_requests.quota_alterations(),
    _A.DESCRIBE_CLIENT_QUOTAS: config_requests.quota_descriptions(),
}
_ONLY_OF_THE_CLUSTER = frozenset(
    {
        *(_A.ALTER_CLIENT_QUOTAS, _A.DESCRIBE_CLIENT_QUOTAS, _A.LIST_CONFIG_RESOURCES),
        *(_A.ELECT_LEADERS, _A.ALTER_PARTITION_REASSIGNMENTS, _A.LIST_PARTITION_REASSIGNMENTS),
        *(_A.ALTER_REPLICA_LOG_DIRS, _A.DESCRIBE_LOG_DIRS, _A.DESCRIBE_QUORUM),
        *(_A.UPDATE_FEATURES, _A.ADD_RAFT_VOTER, _A.REMOVE_RAFT_VOTER, _A.UNREGISTER_BROKER),
    }
)


@st.composite
def sequences(draw: st.DrawFn, served: VersionRanges, *, oldest: bool) -> list[Step]:
    """Steps that both brokers serve.

    Args:
        draw: Hypothesis'.
        served: The versions that both serve.
        oldest: Whether mostly the oldest versions are asked, which only an old release serves.
    """
    life, strewn = draw(st.sampled_from(THEMES))
    acts = [act for act in life if act.key in served and act.since < served[act.key].stop]
    choices = [key for key in strewn if key in served] * 3
    choices += [key for key in served if key not in _ONLY_OF_THE_CLUSTER]
    steps: list[Step] = []
    lived = 0
    for _ in range(draw(st.integers(_STEPS_MIN, _STEPS_MAX))):
        kind = draw(st.sampled_from((0, 0, 0, 0, 0, 1, 1, 2)))
        if kind == 0 and lived < len(acts):
            steps.append(draw(_acted(acts[lived], served, oldest=oldest)))
            lived += 1
        elif kind == 2 and not oldest:
            steps.append(draw(_about_the_cluster()))
        else:
            key = draw(st.sampled_from(choices))
            request = _answerable(draw(requests_of(key, odd=True)))
            steps.append(draw(_stepped(request, served[key], oldest=oldest)))
    return steps


def _answerable(request: WireMessage) -> WireMessage:
    """A request without what Apache Kafka never answers, at the price of its time limit."""
    if isinstance(request, AlterConfigsRequest):
        by_name = {(each.resource_type, each.resource_name): each for each in request.resources}
        request.resources = list(by_name.values())
    if isinstance(request, AddPartitionsToTxnRequest) and not request.transactions:
        request.transactions = [AddPartitionsToTxnTransaction()]
    if isinstance(request, WriteTxnMarkersRequest) and len(request.markers) > 1:
        request.markers = [
            marker
            for marker in request.markers
            if any(topic.partition_indexes for topic in marker.topics)
        ]
    return request


@st.composite
def _acted(draw: st.DrawFn, act: Act, served: VersionRanges, *, oldest: bool) -> Step:
    request = draw(requests_of(act.key, odd=False))
    _say(request, act.says)
    versions = served[act.key]
    few = range(max(versions.start, act.since), min(versions.stop, act.until + 1))
    return draw(_stepped(request, few, oldest=oldest))


def _say(struct: WireStruct, says: Mapping[str, Any]) -> None:
    """Puts values into all fields of those names, at whatever depth."""
    for name in struct.__slots__:
        value = getattr(struct, name)
        said = name if name in says else f"{type(struct).__name__}.{name}"
        if said in says:
            setattr(struct, name, says[said])
        elif isinstance(value, WireStruct):
            _say(value, says)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, WireStruct):
                    _say(each, says)


@st.composite
def _about_the_cluster(draw: st.DrawFn) -> Step:
    key = draw(st.sampled_from((None, *_OF_THE_CLUSTER)))
    if key is None:
        request, version = draw(admin_requests.requests())
    else:
        request = draw(_OF_THE_CLUSTER[key])
        version = request.latest_stable_version
    return Step(draw(_connections), version, request, is_about_the_cluster=True)


_connections = st.sampled_from((0, 0, 1, 2))


@st.composite
def _stepped(draw: st.DrawFn, request: WireMessage, versions: range, *, oldest: bool) -> Step:
    last = versions[-1]
    choice = [*[versions.start] * 3, *versions] if oldest else [last, *versions, last]
    version = draw(st.sampled_from(choice))
    return Step(draw(_connections), version, fitted(request, version))


def fitted(request: WireMessage, version: int) -> WireMessage:
    """A request without what its version cannot say."""
    while True:
        try:
            body = request.encode(version)
        except EncodeError as error:
            kind, _, field = str(error).partition(": ")[2].partition(" ")[0].partition(".")
            assert _reset(request, kind, field), f"{kind}.{field} cannot be said at all"
        else:
            return request.decode(body, version)[0]


def _reset(struct: WireStruct, kind: str, field: str) -> bool:
    """Puts a field's default into all structs of a class; whether any had something else."""
    is_changed = False
    if type(struct).__name__ == kind:
        default = getattr(type(struct)(), field)
        is_changed = getattr(struct, field) != default
        setattr(struct, field, default)
    for name in struct.__slots__:
        value = getattr(struct, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, WireStruct):
                is_changed |= _reset(each, kind, field)
    return is_changed
