"""The limits of connections, under the names that Kafka's configs have for them."""

from __future__ import annotations

from dataclasses import dataclass
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
            field: _positive(name, configs[name])
            for name, field in _FIELDS.items()
            if name in configs
        }
        return cls(**given)


_FIELDS = {
    "socket.request.max.bytes": "request_bytes_max",
    "connections.max.idle.ms": "idle_max_ms",
    "max.connections": "connections_max",
    "max.connections.per.ip": "connections_per_ip_max",
}


def _positive(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= 2**63 - 1:
        raise ValueError(f"{name}: expected a number above 0, got {value!r}")
    return number
