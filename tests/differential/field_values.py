"""What a generated request says in each of its fields, by the field's name.

Every request class is drawn by reflection: a field takes its values from the pool of its name, so
an API that is newly served is asked about at once, and a name without a pool takes what its type
allows. Names of topics, groups and transactional ids are placeholders ("<t0>"), as are ids that
only a broker can tell; each side of a conversation puts its own in their place.
"""

import sys
import typing
from functools import cache
from typing import Any

from hypothesis import strategies as st

from datacore._generated.api_keys import ApiKey, request_class
from datacore.wire.message import WireMessage, WireStruct
from tests.differential.record_specs import RecordSpec, record_specs

__all__ = [
    "BROKEN_NAMES",
    "LEFT_ALONE",
    "PRODUCERS",
    "SESSIONS",
    "STRANGER_ID",
    "plain_request",
    "requests_of",
    "topic_id_placeholder",
]

BROKEN_NAMES = ("", "a b", ".", "n" * 250, "ü")
PRODUCERS = 8_000_000_000
"""The placeholder of the first producer id that a broker told; the next ones follow."""
STRANGER_ID = 999_999
SESSIONS = 70_000_000
"""As above, of fetch sessions."""


def topic_id_placeholder(name: str) -> bytes:
    """Stands for the id that a broker gave to a topic."""
    return name.encode().ljust(16, b"\x01")


_TOPICS = (("<t0>", "<t0>", "<t1>"), ("<t2>", "<t3>", *BROKEN_NAMES))
_GROUPS = (("<g0>",), ("<g1>", "", "<g1>ü"))
_TRANSACTIONS = (("<x0>",), ("<x1>", "<x1>ü"))
_PARTITIONS = ((0,), (1, 2, -1, 2**31 - 1))
_MEMBERS = (("<m0>", "<m0>", "<m1>", ""), ("nobody", "made-a"))
_INSTANCES = ((None, None, None, "instance-a"), ("instance-b", ""))
_PRODUCERS = ((PRODUCERS,), (PRODUCERS + 1, STRANGER_ID, -1))
_PRODUCER_EPOCHS = ((0, 0, 0, 1), (2, -1, 32_767))
_LEADER_EPOCHS = ((-1, 0), (1, 7, -2))
_OFFSETS = ((0, 0, 1, 2, 3), (-1, -2, 17, 2**63 - 1))
_TEXTS = ((None, "text"), ("", "x" * 300))
_IDS = (
    tuple(map(topic_id_placeholder, ("<t0>", "<t0>", "<t1>"))),
    (topic_id_placeholder("<t2>"), bytes(16), bytes(range(16))),
)
_TIMEOUT = ((5_000,), ())
_BROKERS = ((1,), (2, -1))
_CONFIGS = (
    ("retention.ms", "max.message.bytes", "cleanup.policy", "message.timestamp.type"),
    ("segment.bytes", "no.such", "min.insync.replicas", "compression.type", ""),
)
_CONFIG_VALUES = (
    ("100000", "1000", "delete", "compact", "LogAppendTime", "CreateTime"),
    ("-1", "0", "x", "", None, "gzip", "delete,compact", "200"),
)

# What consumers say of themselves; Kafka's coordinator reads it, and hangs where it cannot.
_SUBSCRIPTION = b"\0\0\0\0\0\1\0\5topic\xff\xff\xff\xff"
_SUBSCRIPTION_TO_NOTHING = b"\0\1\0\0\0\0\xff\xff\xff\xff\0\0\0\0"

# By the name of a field, or of its class and itself: values that make sense, and odd ones.
_POOLS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "acks": ((-1, -1, 1), (0, 2, -2)),
    "allow_auto_topic_creation": ((False,), (True,)),
    "assignment": ((b"assigned",), (b"",)),
    "broker_ids": (([1],), ([], [2], [1, 1])),
    "client_software_name": (("tester",), ("", "-bad-")),
    "client_software_version": (("1.0",), ("", " ")),
    "cluster_id": ((None,), ("another",)),
    "commit_timestamp": ((-1,), (0,)),
    "committed_leader_epoch": _LEADER_EPOCHS,
    "committed_metadata": (("", "note"), (None, "x" * 5_000)),
    "committed_offset": ((0, 1, 42), (-1, -7, 2**63 - 1)),
    "compression_type": ((0,), (1, 4, 9)),
    "configuration_keys": ((None, ["retention.ms"], ["max.message.bytes"]), ([], ["no.such"])),
    "config_operation": ((0, 0, 1), (2, 3, 9)),
    "coordinator_epoch": ((0,), (7, -1)),
    "coordinator_keys": ((["<g0>"], ["<x0>"]), ([], ["<g0>", "<g1>"], [""])),
    "count": ((2, 3), (0, 1, -1)),
    "current_leader_epoch": _LEADER_EPOCHS,
    "duration_filter": ((-1,), (0, 10**9)),
    "election_type": ((0,), (1, 7)),
    "enable2_pc": ((False,), ()),
    "endpoint_type": ((1,), (2, 9)),
    "fetch_offset": _OFFSETS,
    "FetchPartition.log_start_offset": ((-1,), (0,)),
    "FetchPartition.high_watermark": ((2**63 - 1,), ()),
    "generation_id": ((1, 1, 2), (-1, 0, 3)),
    "generation_id_or_member_epoch": ((-1, 1, 1, 2), (0, 3)),
    "group_id": _GROUPS,
    "group_ids": ((["<g0>"],), ([], ["<g0>", "<g1>"], ["<g0>", "<g0>"], [""])),
    "group_instance_id": _INSTANCES,
    "groups": ((["<g0>"],), ([], ["<g0>", "<g1>"], [""])),
    "groups_names": ((["<g0>"],), ([], ["<g0>", "<g1>"], [""])),
    "index": _PARTITIONS,
    "instance_id": _INSTANCES,
    "isolation_level": ((0, 1), (2, -1)),
    "keep_prepared_txn": ((False,), ()),
    "FindCoordinatorRequest.key": (("<g0>", "<x0>"), ("", "ü")),
    "key_type": ((0, 1), (2, 9)),
    "last_fetched_epoch": _LEADER_EPOCHS,
    "leader_epoch": ((0, -1), (1, 7, -2)),
    "max_bytes": ((1 << 20,), (1, 0, -1)),
    "max_num_offsets": ((1, 2), (0, 10)),
    "max_wait_ms": ((0,), ()),
    "member_epoch": ((0, 0, 1, 2), (-1, -2, 3)),
    "member_id": _MEMBERS,
    "ConsumerGroupHeartbeatRequest.member_id": (("made-a", "made-a", "<m0>"), ("made-b", "")),
    "JoinGroupRequest.member_id": (("", "<m0>", "<m1>"), ("nobody",)),
    "metadata": ((_SUBSCRIPTION,), (_SUBSCRIPTION_TO_NOTHING,)),
    "metrics": ((b"",), (b"\xff",)),
    "min_bytes": ((0, 1), (1 << 20,)),
    "name": _TOPICS,
    "num_partitions": ((1, 2), (0, -1, -2)),
    "offset": ((0, 1, 2, -1), (-2, 17)),
    "partition": _PARTITIONS,
    "partition_index": _PARTITIONS,
    "partition_indexes": (([0],), ([0, 1], [], [0, 0], [7], None)),
    "partition_max_bytes": ((1 << 20,), (1, 0, 100, -1)),
    "partitions": (([0],), ([0, 1], [], [7], [-1])),
    "path": (("/no/such",), ("", "x")),
    "producer_epoch": _PRODUCER_EPOCHS,
    "producer_id": _PRODUCERS,
    "InitProducerIdRequest.producer_id": ((-1, -1, -1, PRODUCERS), (STRANGER_ID,)),
    "InitProducerIdRequest.producer_epoch": ((-1, -1, -1, 0), (1, 7)),
    "InitProducerIdRequest.transactional_id": (("<x0>", "<x0>", None), ("<x1>", "")),
    "ProduceRequest.transactional_id": ((None, None, "<x0>"), ("<x1>", "")),
    "producer_id_filters": (([],), ([PRODUCERS], [7])),
    "protocol_name": (("range",), ("other", None, "")),
    "JoinGroupRequest.protocol_type": (("consumer",), ("connect", "")),
    "protocol_type": (("consumer",), ("connect", None, "")),
    "JoinGroupRequestProtocol.name": (("range",), ("other", "")),
    "rack_id": ((None,), ("",)),
    "FetchRequest.rack_id": (("",), ("rack",)),
    "reason": _TEXTS,
    "JoinGroupRequest.rebalance_timeout_ms": ((300_000,), (600_000,)),
    "ConsumerGroupHeartbeatRequest.rebalance_timeout_ms": ((300_000, 300_000, -1), (0, -2)),
    "replica_directory_id": ((bytes(16),), ()),
    "replica_epoch": ((-1,), ()),
    "replica_id": ((-1,), ()),
    "replicas": ((None, [1]), ([], [2])),
    "replication_factor": ((1,), (-1, 2, 0)),
    "CreatableTopic.assignments": (([],), ()),
    "CreatePartitionsTopic.assignments": ((None,), ()),
    "CreatableTopic.name": (("<t2>", "<t2>", "<t3>"), ("<t0>", *BROKEN_NAMES)),
    "resource_name": (("<t0>", "<t0>", "<t1>"), ("<t3>", "", "a b")),
    "resource_type": ((2,), ()),
    "retention_time_ms": ((-1,), (0, 10**6)),
    "server_assignor": ((None, "range", "uniform"), ("other", "")),
    "session_epoch": ((-1,), (0, 1)),
    "session_id": ((0,), (SESSIONS, 7)),
    "session_timeout_ms": ((300_000,), (1, 2**31 - 1, 400_000)),
    "state_filters": (([],), (["Ongoing"], ["CompleteCommit", "No"])),
    "states_filter": (([],), (["Stable"], ["stable", "Empty"], ["No"])),
    "subscribed_topic_names": ((["<t0>"], None, ["<t0>", "<t1>"]), ([], ["<t3>"], [""])),
    "subscribed_topic_regex": ((None,), ("", "<t0>|none", "(")),
    "timeout_ms": _TIMEOUT,
    "timestamp": ((-1, -2, 1_700_000_000_000), (-3, -4, -5, -6, 0, 2**63 - 1)),
    "topic": _TOPICS,
    "topic_id": _IDS,
    "topic_name": _TOPICS,
    "topic_names": ((["<t2>"],), (["<t0>"], [], ["<t3>"], ["a b"])),
    "DeleteTopicState.name": (("<t2>", "<t2>", None), ("<t0>", "<t3>", "a b")),
    "DeleteTopicState.topic_id": ((bytes(16),), (topic_id_placeholder("<t1>"), bytes(range(16)))),
    "MetadataRequestTopic.topic_id": ((bytes(16),), _IDS[0]),
    "MetadataRequestTopic.name": (("<t0>", "<t1>"), ("<t2>", *BROKEN_NAMES, None)),
    "ConsumerGroupHeartbeatRequest.topic_partitions": ((None, []), ()),
    "transaction_timeout_ms": ((60_000,), (0, -1, 900_001)),
    "transactional_id": _TRANSACTIONS,
    "transactional_id_pattern": ((None,), ("", "<x0>", "(")),
    "transactional_ids": ((["<x0>"],), ([], ["<x0>", "<x1>"], [""])),
    "types_filter": (([],), (["classic"], ["Consumer"], ["no"])),
    "v3_and_below_producer_epoch": _PRODUCER_EPOCHS,
    "v3_and_below_producer_id": _PRODUCERS,
    "v3_and_below_transactional_id": _TRANSACTIONS,
    "validate_only": ((False,), (True,)),
    "verify_only": ((False,), (True,)),
    "AlterableConfig.name": _CONFIGS,
    "AlterableConfig.value": _CONFIG_VALUES,
    "CreatableTopicConfig.name": _CONFIGS,
    "CreatableTopicConfig.value": _CONFIG_VALUES,
}
_BY_TYPE: dict[object, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    bool: ((False, True), ()),
    int: ((0, 1), (-1, 99)),
    float: ((1.0,), (0.0, -1.0)),
    str: (("x",), ("",)),
    bytes: ((b"",), (b"x",)),
}
LEFT_ALONE = ("return", "unknown_tagged_fields", "replica_state")
"""Followers and their replicas are nothing that one broker knows."""
_PLAIN_PER_ODD = 9


@cache
def requests_of(key: ApiKey, *, odd: bool) -> st.SearchStrategy[WireMessage]:
    """Requests of an API: of sense in every field, or with an odd value here and there."""
    return typing.cast("st.SearchStrategy[WireMessage]", _structs(request_class(key), odd=odd))


def plain_request(key: ApiKey) -> WireMessage:
    """The one request that says in every field what is most usual there."""
    return typing.cast("WireMessage", _plain(request_class(key)))


def _plain(kind: type[WireStruct]) -> WireStruct:
    fields: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        struct = _struct_in(hint)
        if name == "records":
            fields[name] = RecordSpec().placed()
        elif struct is not None and f"{kind.__name__}.{name}" not in _POOLS:
            if _is_list(hint):
                fields[name] = [_plain(struct)]
        else:
            fields[name] = _pool(kind, name, hint)[0][0]
    return kind(**fields)


def _hints(kind: type[WireStruct]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind.__init__, vars(sys.modules[kind.__module__]))
    return {name: hint for name, hint in hints.items() if name not in LEFT_ALONE}


def _is_list(hint: Any) -> bool:
    return any(typing.get_origin(each) is list for each in (hint, *typing.get_args(hint)))


def _pool(kind: type[WireStruct], name: str, hint: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    pool = _POOLS.get(f"{kind.__name__}.{name}") or _POOLS.get(name) or _pool_of_type(hint)
    if type(None) in typing.get_args(hint):
        return pool
    sensible, strange = pool
    return sensible, tuple(each for each in strange if each is not None)


def _structs(kind: type[WireStruct], *, odd: bool) -> st.SearchStrategy[WireStruct]:
    fields = {name: _values(kind, name, hint, odd=odd) for name, hint in _hints(kind).items()}
    return st.builds(kind, **fields)


def _values(kind: type[WireStruct], name: str, hint: Any, *, odd: bool) -> st.SearchStrategy[Any]:
    if name == "records":
        return record_specs(odd=odd)
    struct = _struct_in(hint)
    if struct is not None and f"{kind.__name__}.{name}" not in _POOLS:
        return _nested(struct, hint, odd=odd)
    sensible, strange = _pool(kind, name, hint)
    if odd:
        times = max(1, _PLAIN_PER_ODD * len(strange) // len(sensible))
        return st.sampled_from(sensible * times + strange)
    return st.sampled_from(sensible)


def _nested(struct: type[WireStruct], hint: Any, *, odd: bool) -> st.SearchStrategy[Any]:
    elements = _structs(struct, odd=odd)
    may_be_null = type(None) in typing.get_args(hint)
    if not _is_list(hint):
        return st.none() | elements if may_be_null else elements
    one = st.lists(elements, min_size=1, max_size=1)
    if not odd:
        return one
    # Mostly one: what an answer is about stays plain to see.
    others = st.lists(elements, max_size=2)
    several = [one] * 7 + [others] + ([st.none()] if may_be_null else [])
    return st.sampled_from(several).flatmap(lambda strategy: strategy)


def _struct_in(hint: Any) -> type[WireStruct] | None:
    if isinstance(hint, type) and issubclass(hint, WireStruct):
        return hint
    return next(filter(None, map(_struct_in, typing.get_args(hint))), None)


def _pool_of_type(hint: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    if typing.get_origin(hint) is list:
        sensible, strange = _pool_of_type(typing.get_args(hint)[0])
        return tuple([each] for each in sensible), ([], *([each] for each in strange))
    for option in (hint, *typing.get_args(hint)):
        if option in _BY_TYPE:
            return _BY_TYPE[option]
    raise TypeError(f"no values for {hint}")
