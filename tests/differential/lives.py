"""What clients do one after the other: the backbone of generated sequences.

An act says what matters in some fields, wherever they stand in the request; chance chooses the
version and all other fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datacore._generated.api_keys import ApiKey
from tests.differential.field_values import PRODUCERS
from tests.differential.record_specs import RecordSpec

__all__ = ["THEMES", "Act"]


@dataclass(frozen=True, slots=True)
class Act:
    """A request of a life: what it says in certain fields; chance chooses the others."""

    key: ApiKey
    says: Mapping[str, Any]
    since: int = 0
    until: int = 99


def _act(api: ApiKey, /, since: int = 0, until: int = 99, **says: Any) -> Act:
    return Act(api, says, since, until)


def _batch(sequence: int, *, transactional: bool = False, producer: int = PRODUCERS) -> bytes:
    is_known = producer >= 0
    spec = RecordSpec(
        producer=producer,
        epoch=0 if is_known else -1,
        sequence=sequence if is_known else -1,
        transactional=transactional,
    )
    return spec.placed()


_A = ApiKey
_PLAIN: dict[str, Any] = {"acks": -1, "transactional_id": None, "records": _batch(-1, producer=-1)}
_FETCH = _act(_A.FETCH, fetch_offset=0, partition_max_bytes=1 << 20, max_bytes=1 << 20)
_RECORDS = (
    _act(_A.METADATA, name="<t0>"),
    _act(_A.PRODUCE, **_PLAIN),
    _act(_A.PRODUCE, acks=-1, transactional_id=None),
    _act(_A.LIST_OFFSETS),
    _FETCH,
    _act(_A.OFFSET_FOR_LEADER_EPOCH),
    _act(_A.DELETE_RECORDS),
    _act(_A.LIST_OFFSETS, timestamp=-2),
    _act(_A.FETCH),
)
_IDEMPOTENT = (
    _act(_A.INIT_PRODUCER_ID, transactional_id=None, producer_id=-1, producer_epoch=-1),
    *(
        _act(_A.PRODUCE, since=3, acks=-1, transactional_id=None, records=_batch(number))
        for number in (0, 1, 1, 2)
    ),
    _act(_A.DESCRIBE_PRODUCERS, name="<t0>"),
    _FETCH,
)
_OF_X: dict[str, Any] = {
    "transactional_id": "<x0>",
    "v3_and_below_transactional_id": "<x0>",
    "producer_id": PRODUCERS,
    "v3_and_below_producer_id": PRODUCERS,
    "producer_epoch": 0,
    "v3_and_below_producer_epoch": 0,
    "verify_only": False,
}
_TRANSACTION = (
    _act(_A.FIND_COORDINATOR, since=1, key="<x0>", key_type=1, coordinator_keys=["<x0>"]),
    _act(
        _A.INIT_PRODUCER_ID,
        transactional_id="<x0>",
        transaction_timeout_ms=60_000,
        producer_id=-1,
        producer_epoch=-1,
    ),
    _act(_A.ADD_PARTITIONS_TO_TXN, **_OF_X),
    _act(
        _A.PRODUCE,
        since=3,
        acks=-1,
        transactional_id="<x0>",
        records=_batch(0, transactional=True),
    ),
    _act(_A.ADD_OFFSETS_TO_TXN, **_OF_X, group_id="<g0>"),
    _act(
        _A.TXN_OFFSET_COMMIT,
        **_OF_X,
        group_id="<g0>",
        generation_id=-1,
        member_id="",
        group_instance_id=None,
    ),
    _act(_A.DESCRIBE_TRANSACTIONS, transactional_ids=["<x0>"]),
    _act(_A.LIST_OFFSETS, since=2, isolation_level=1, timestamp=-1),
    _act(_A.OFFSET_FETCH, group_id="<g0>", name="<t0>"),
    _act(_A.END_TXN, **_OF_X),
    _act(_A.FETCH, since=4, fetch_offset=0, isolation_level=1),
    _act(_A.OFFSET_FETCH, group_id="<g0>", name="<t0>"),
    _act(_A.INIT_PRODUCER_ID, transactional_id="<x0>"),
)
_MEMBER: dict[str, Any] = {
    "group_id": "<g0>",
    "member_id": "<m0>",
    "group_instance_id": None,
    "generation_id": 1,
}
_JOIN: dict[str, Any] = {
    "group_id": "<g0>",
    "session_timeout_ms": 300_000,
    "group_instance_id": None,
    "protocol_type": "consumer",
}
_CLASSIC_GROUP = (
    _act(_A.FIND_COORDINATOR, key="<g0>", key_type=0, coordinator_keys=["<g0>"]),
    _act(_A.JOIN_GROUP, **_JOIN, member_id=""),
    _act(_A.JOIN_GROUP, **_JOIN, member_id="<m0>"),
    _act(_A.SYNC_GROUP, **_MEMBER, protocol_type="consumer", protocol_name="range"),
    _act(_A.HEARTBEAT, **_MEMBER),
    _act(_A.OFFSET_COMMIT, **_MEMBER, generation_id_or_member_epoch=1),
    _act(_A.OFFSET_FETCH, group_id="<g0>", member_id=None, member_epoch=-1),
    _act(_A.DESCRIBE_GROUPS, groups=["<g0>"]),
    _act(_A.LEAVE_GROUP, group_id="<g0>", member_id="<m0>"),
    _act(_A.DELETE_GROUPS, groups_names=["<g0>"]),
)
_BEAT: dict[str, Any] = {
    "group_id": "<g0>",
    "member_id": "made-a",
    "instance_id": None,
    "rebalance_timeout_ms": 300_000,
    "subscribed_topic_names": ["<t0>"],
    "subscribed_topic_regex": None,
    "server_assignor": None,
}
_CONSUMER_GROUP = (
    _act(_A.CONSUMER_GROUP_HEARTBEAT, since=1, **_BEAT, member_epoch=0, topic_partitions=[]),
    _act(_A.CONSUMER_GROUP_HEARTBEAT, since=1, **_BEAT, member_epoch=1, topic_partitions=None),
    _act(
        _A.OFFSET_COMMIT,
        since=9,
        group_id="<g0>",
        member_id="made-a",
        generation_id_or_member_epoch=1,
    ),
    _act(_A.OFFSET_FETCH, since=9, group_id="<g0>", member_id="made-a", member_epoch=1),
    _act(_A.CONSUMER_GROUP_DESCRIBE, group_ids=["<g0>"]),
    _act(_A.CONSUMER_GROUP_HEARTBEAT, since=1, **_BEAT, member_epoch=-1),
)
_NEW: dict[str, Any] = {"CreatableTopic.name": "<t2>"}
_TOPICS = (
    _act(
        _A.CREATE_TOPICS,
        **_NEW,
        num_partitions=1,
        replication_factor=1,
        configs=[],
        validate_only=False,
    ),
    _act(_A.METADATA, name="<t2>"),
    _act(_A.INCREMENTAL_ALTER_CONFIGS, resource_name="<t0>"),
    _act(_A.DESCRIBE_CONFIGS, resource_name="<t0>"),
    _act(_A.PRODUCE, **_PLAIN),
    _act(_A.CREATE_PARTITIONS, name="<t0>", count=2),
    _act(_A.DESCRIBE_TOPIC_PARTITIONS, name="<t0>"),
    _act(_A.ALTER_CONFIGS, resource_name="<t0>"),
    _act(_A.DELETE_TOPICS, name="<t2>", topic_names=["<t2>"]),
    _act(_A.METADATA, name="<t2>"),
)

# A life, and the APIs out of which chance strews requests into it.
THEMES: tuple[tuple[tuple[Act, ...], tuple[ApiKey, ...]], ...] = (
    (_RECORDS, (_A.PRODUCE, _A.FETCH, _A.LIST_OFFSETS, _A.DELETE_RECORDS)),
    (_IDEMPOTENT, (_A.PRODUCE, _A.INIT_PRODUCER_ID, _A.FETCH, _A.DESCRIBE_PRODUCERS)),
    (
        _TRANSACTION,
        (
            *(_A.INIT_PRODUCER_ID, _A.ADD_PARTITIONS_TO_TXN, _A.PRODUCE, _A.END_TXN, _A.FETCH),
            *(_A.ADD_OFFSETS_TO_TXN, _A.TXN_OFFSET_COMMIT, _A.OFFSET_FETCH, _A.LIST_OFFSETS),
            *(_A.DESCRIBE_TRANSACTIONS, _A.LIST_TRANSACTIONS, _A.DESCRIBE_PRODUCERS),
        ),
    ),
    (
        _CLASSIC_GROUP,
        (
            *(_A.JOIN_GROUP, _A.SYNC_GROUP, _A.HEARTBEAT, _A.LEAVE_GROUP, _A.OFFSET_COMMIT),
            *(_A.OFFSET_FETCH, _A.DESCRIBE_GROUPS, _A.LIST_GROUPS, _A.DELETE_GROUPS),
            *(_A.OFFSET_DELETE, _A.FIND_COORDINATOR),
        ),
    ),
    (
        _CONSUMER_GROUP,
        (
            *(_A.CONSUMER_GROUP_HEARTBEAT, _A.CONSUMER_GROUP_DESCRIBE, _A.OFFSET_COMMIT),
            *(_A.OFFSET_FETCH, _A.DELETE_GROUPS, _A.LIST_GROUPS, _A.DESCRIBE_GROUPS),
        ),
    ),
    (_TOPICS, (_A.METADATA, _A.CREATE_TOPICS, _A.DESCRIBE_CONFIGS, _A.PRODUCE, _A.FETCH)),
)
