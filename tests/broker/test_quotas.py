"""Quotas altered, kept, and met."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.context import RequestContext, Session
from datacore.broker.quotas import RATES_MAX, ClientRates
from datacore.protocol.errors import KafkaError
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import running

if TYPE_CHECKING:
    from datacore.broker.broker import Broker
    from datacore.metadata.quotas import Entity

pytestmark = pytest.mark.anyio

ALICE: Entity = (("user", "alice"),)

Altered: TypeAlias = "tuple[list[tuple[str, str | None]], list[tuple[str, float | None]]]"


def in_force(broker: Broker) -> bool:
    return broker.quotas.in_force is not None


def asked_by(user: str, client_id: str | None = "c") -> RequestContext:
    session = Session("c", "PLAINTEXT", "127.0.0.1", 1, "127.0.0.1", 2, principal=f"User:{user}")
    return RequestContext(session, 0, 0, 1, client_id)


async def test_a_quota_holds_until_it_is_removed_and_outlives_the_broker() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        assert not in_force(broker)
        entry: Altered = ([("user", "alice")], [("producer_byte_rate", 10.0)])
        assert await broker.quotas.alter([entry], validate_only=True) == {ALICE: None}
        assert not in_force(broker)
        await broker.quotas.alter([entry], validate_only=False)
        rates = broker.quotas.in_force
        assert rates is not None
        assert rates.produced(asked_by("alice"), 1_000_000) > 0
        assert rates.produced(asked_by("bob"), 1_000_000) == 0
    async with running(engine) as broker:
        assert broker.metadata.image.client_quotas == {ALICE: {"producer_byte_rate": 10.0}}
        gone: Altered = (
            [("user", "alice")],
            [("producer_byte_rate", None), ("consumer_byte_rate", None)],
        )
        assert in_force(broker)
        await broker.quotas.alter([gone], validate_only=False)
        assert not in_force(broker)


async def test_an_entity_with_one_bad_quota_is_not_altered_and_others_are() -> None:
    async with running(MemoryEngine()) as broker:
        answers = await broker.quotas.alter(
            [
                ([("user", "alice")], [("producer_byte_rate", 5.0), ("speed", 1.0)]),
                ([("user", "bob")], [("producer_byte_rate", 6.0)]),
                ([("user", "carol")], [("producer_byte_rate", 6.0)]),
                ([("user", "carol")], [("consumer_byte_rate", 6.0)]),
            ],
            validate_only=False,
        )
        assert {entity[0][1]: problem is None for entity, problem in answers.items()} == {
            "alice": False,
            "bob": True,
            "carol": False,
        }
        assert list(broker.metadata.image.client_quotas) == [(("user", "bob"),)]


def test_clients_of_a_user_share_the_users_rate() -> None:
    rates = ClientRates({ALICE: {"consumer_byte_rate": 10.0}}, {}, lambda: 0)
    assert rates.fetched(asked_by("alice", "a"), 10) == 0
    assert rates.fetched(asked_by("alice", "b"), 10) == 1_000


def test_a_share_of_the_brokers_time_costs_a_window_at_most() -> None:
    rates = ClientRates({ALICE: {"request_percentage": 1.0}}, {}, lambda: 0)
    assert rates.handled(asked_by("alice"), 10_000_000) == 0
    assert rates.handled(asked_by("alice"), 100_000_000_000) == 1000


def test_mutations_beyond_the_quota_are_refused_or_paid_for_by_age() -> None:
    quotas = {ALICE: {"controller_mutation_rate": 1.0}}
    rates = ClientRates(quotas, {}, lambda: 1_000_000)
    assert rates.mutated(asked_by("alice"), 15, is_strict=True) == 0
    with pytest.raises(KafkaError) as refused:
        rates.mutated(asked_by("alice"), 1, is_strict=True)
    assert refused.value.code is ErrorCode.THROTTLING_QUOTA_EXCEEDED
    assert rates.owed_for_mutations(asked_by("alice")) == 4_000
    assert rates.mutated(asked_by("alice"), 1, is_strict=False) == 5_000


def test_an_address_makes_so_many_connections_a_second() -> None:
    rates = ClientRates({(("ip", None),): {"connection_creation_rate": 1.0}}, {}, lambda: 0)
    assert [rates.connected("10.0.0.1") for _ in range(2)] == [0, 1_000]
    assert rates.connected("10.0.0.2") == 0


def test_rates_are_kept_for_so_many_clients_at_most() -> None:
    rates = ClientRates({(("client-id", None),): {"producer_byte_rate": 1.0}}, {}, lambda: 0)
    for client in range(RATES_MAX + 10):
        assert rates.produced(asked_by("u", str(client)), 2) > 0
    assert rates.produced(asked_by("u", "0"), 1) == 0
