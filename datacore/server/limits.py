"""The limits of connections, under the names that Kafka's configs have for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection, and all of them together, may take; defaults are Apache Kafka's."""

    request_bytes_max: int = 100 * 1024 * 1024
    """``socket.request.max.bytes``: a larger frame closes its connection."""
    recordless_request_bytes_max: int = 8 * 1024 * 1024
    """A request without records that is larger closes its connection, too: to decode it would keep
    everybody waiting for seconds. Kafka, which decodes in many threads, has no such limit; no
    client of it comes near this one."""
    idle_max_ms: int = 600_000
    """``connections.max.idle.ms``: silence longer than this closes a connection."""
    connections_max: int = _INT_MAX
    """``max.connections`` of the whole broker process."""
    connections_per_ip_max: int = _INT_MAX
    """``max.connections.per.ip``."""
    connections_by_ip_max: Mapping[str, int] = field(default_factory=dict)
    """``max.connections.per.ip.overrides``: the same for single addresses."""
    parked_requests_max: int = 128
    """Pipelined requests of one connection that may wait for their answers at a time."""
    unsent_bytes_max: int = 512 * 1024
    """Answers that a client may leave unread before its requests are no longer looked at."""
    stop_timeout_ms: int = 5_000
    """How long a graceful stop waits for the answers that are still due."""

    @classmethod
    def from_kafka_configs(cls, configs: Mapping[str, object]) -> ConnectionLimits:
        """The limits with what a broker's configs say about them.

        Raises:
            ValueError: A value is no number that the config can have.
        """
        given = {
            field_name: _number(name, configs[name], least)
            for name, (field_name, least) in _FIELDS.items()
            if name in configs
        }
        overrides = str(configs.get("max.connections.per.ip.overrides", ""))
        return cls(**given, connections_by_ip_max=_by_address(overrides))


_FIELDS = {
    "socket.request.max.bytes": ("request_bytes_max", 1),
    "connections.max.idle.ms": ("idle_max_ms", 1),
    "max.connections": ("connections_max", 0),
    "max.connections.per.ip": ("connections_per_ip_max", 0),
}


def _number(name: str, value: object, least: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not least <= number <= 2**63 - 1:
        raise ValueError(f"{name}: expected a number from {least} on, got {value!r}")
    return number


def _by_address(text: str) -> dict[str, int]:
    """Numbers by address, of ``address:number`` pairs that the config's table has checked."""
    pairs = (item.strip().rpartition(":") for item in text.split(",") if item.strip())
    return {address.strip("[] "): int(number) for address, _, number in pairs}
