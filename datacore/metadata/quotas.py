"""Quotas of clients: whom one is about, what it may say, and which one a client meets.

An entity is a user, a client id, both, or an address; a name that is None stands for everybody who
has no quota of an own. Of the quotas of one key the most specific wins, as Kafka orders them:
user before client id, a name before everybody. KIP-55, KIP-124, KIP-546, KIP-599, KIP-612.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"
CONNECTION_CREATION_RATE: Final = "connection_creation_rate"

_OF_CLIENTS: Final = frozenset(
    {PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, REQUEST_PERCENTAGE, CONTROLLER_MUTATION_RATE}
)
_OF_ADDRESSES: Final = frozenset({CONNECTION_CREATION_RATE})
_WHOLE_NUMBERS: Final = {
    PRODUCER_BYTE_RATE: 2**63 - 1,
    CONSUMER_BYTE_RATE: 2**63 - 1,
    CONNECTION_CREATION_RATE: 2**31 - 1,
}

Entity: TypeAlias = tuple[tuple[str, str | None], ...]
"""Pairs of type and name, in the order of the types."""


class InvalidQuota(ValueError):
    """There is no such entity or quota; the message says why."""


class Met(NamedTuple):
    """The quota that a client meets, and whom it shares it with."""

    limit: float
    sharers: tuple[str, str]
    """User and client id, empty where all of them share it."""


def entity_of(pairs: list[tuple[str, str | None]]) -> Entity:
    """The entity that a client names.

    Raises:
        InvalidQuota: There is none of that kind.
    """
    if not pairs:
        raise InvalidQuota("Invalid empty client quota entity")
    entity = tuple(sorted(dict(pairs).items()))
    types = {kind for kind, _ in entity}
    for kind, name in entity:
        if kind not in {USER, CLIENT_ID, IP}:
            raise InvalidQuota(f"Unhandled client quota entity type: {kind}")
        if name == "":
            raise InvalidQuota(f"Empty {kind} not supported")
    if IP in types and len(types) > 1:
        raise InvalidQuota("An ip cannot be combined with a user or a client-id")
    if IP in types:
        _check_address(dict(entity)[IP])
    return entity


def _check_address(address: str | None) -> None:
    try:
        if address is not None:
            ip_address(address)
    except ValueError:
        raise InvalidQuota(f"{address} is not an IP address") from None


def check_quota(entity: Entity, key: str, value: float) -> None:
    """Refuses what is no quota of an entity.

    Raises:
        InvalidQuota: The key does not go with the entity, or the value cannot be.
    """
    keys = _OF_ADDRESSES if entity[0][0] == IP else _OF_CLIENTS
    if key not in keys:
        raise InvalidQuota(f"Invalid configuration key {key}")
    if not value > 0:
        raise InvalidQuota(f"Quota {key} must be greater than 0")
    largest = _WHOLE_NUMBERS.get(key)
    if largest is not None:
        if value > largest:
            raise InvalidQuota(f"Proposed value for {key} is too large")
        if value != int(value):
            raise InvalidQuota(f"{key} cannot be a fractional value.")


def met_by(
    quotas: Mapping[Entity, Mapping[str, float]], key: str, user: str, client_id: str
) -> Met | None:
    """The quota of a key that a client meets; None where it meets none."""
    for entity, sharers in _from_most_specific(user, client_id):
        limit = quotas.get(entity, {}).get(key)
        if limit is not None:
            return Met(limit, sharers)
    return None


def met_by_address(quotas: Mapping[Entity, Mapping[str, float]], address: str) -> float | None:
    """How many connections a second an address may make; None where nobody says."""
    for name in (address, None):
        limit = quotas.get(((IP, name),), {}).get(CONNECTION_CREATION_RATE)
        if limit is not None:
            return limit
    return None


def _from_most_specific(user: str, client_id: str) -> Iterator[tuple[Entity, tuple[str, str]]]:
    for user_name in (user, None):
        for client_name in (client_id, None):
            yield ((CLIENT_ID, client_name), (USER, user_name)), (user, client_id)
        yield ((USER, user_name),), (user, "")
    for client_name in (client_id, None):
        yield ((CLIENT_ID, client_name),), ("", client_id)
