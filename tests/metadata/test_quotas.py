"""Whom a quota is about, and which one a client meets."""

from __future__ import annotations

import pytest

from datacore.metadata.quotas import (
    Entity,
    InvalidQuota,
    check_quota,
    entity_of,
    met_by,
    met_by_address,
)

RATE = "producer_byte_rate"
BY_RANK: list[Entity] = [
    (("client-id", "c"), ("user", "u")),
    (("client-id", None), ("user", "u")),
    (("user", "u"),),
    (("client-id", "c"), ("user", None)),
    (("client-id", None), ("user", None)),
    (("user", None),),
    (("client-id", "c"),),
    (("client-id", None),),
]
SHARERS = [
    ("u", "c"),
    ("u", "c"),
    ("u", ""),
    ("u", "c"),
    ("u", "c"),
    ("u", ""),
    ("", "c"),
    ("", "c"),
]


@pytest.mark.parametrize("rank", range(len(BY_RANK)))
def test_the_most_specific_quota_wins(rank: int) -> None:
    quotas = {entity: {RATE: float(at)} for at, entity in enumerate(BY_RANK) if at >= rank}
    met = met_by(quotas, RATE, "u", "c")
    assert met == (float(rank), SHARERS[rank])


def test_who_is_not_meant_meets_no_quota() -> None:
    quotas: dict[Entity, dict[str, float]] = {
        (("user", "u"),): {"consumer_byte_rate": 1.0},
        (("client-id", "other"),): {RATE: 1.0},
    }
    assert met_by(quotas, RATE, "u", "c") is None


def test_an_address_meets_its_own_quota_or_that_of_all() -> None:
    quotas: dict[Entity, dict[str, float]] = {
        (("ip", "10.0.0.1"),): {"connection_creation_rate": 1.0},
        (("ip", None),): {"connection_creation_rate": 2.0},
    }
    assert met_by_address(quotas, "10.0.0.1") == 1.0
    assert met_by_address(quotas, "10.0.0.2") == 2.0
    assert met_by_address({}, "10.0.0.2") is None


def test_an_entity_has_one_form() -> None:
    assert entity_of([("user", None), ("client-id", "c")]) == (("client-id", "c"), ("user", None))


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("group", "g")],
        [("user", "")],
        [("ip", "10.0.0.1"), ("user", "u")],
        [("ip", "nowhere.invalid")],
    ],
)
def test_what_is_no_entity_is_refused(pairs: list[tuple[str, str | None]]) -> None:
    with pytest.raises(InvalidQuota):
        entity_of(pairs)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("user", RATE, 0.0),
        ("user", RATE, 1.5),
        ("user", RATE, 1e19),
        ("user", RATE, float("nan")),
        ("user", "request_percentage", -1.0),
        ("user", "connection_creation_rate", 1.0),
        ("ip", RATE, 1.0),
        ("ip", "connection_creation_rate", 2.0**31),
    ],
)
def test_what_is_no_quota_is_refused(kind: str, key: str, value: float) -> None:
    with pytest.raises(InvalidQuota):
        check_quota(((kind, "10.0.0.1"),), key, value)
