"""Who asks, and how: what a service or handler may know about a request besides its message.

Rules: a ``Session`` lives as long as its connection, a ``RequestContext`` as long as its request.
Neither knows a socket: other doors than the Kafka listener make them too. Kafka's counterpart is
``RequestContext`` of its clients module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

ANONYMOUS = "User:ANONYMOUS"
"""The principal of a connection that did not authenticate."""


@dataclass(slots=True)
class Session:
    """One connection of one client."""

    connection_id: str
    """Names the connection in log lines: ``local address-remote address-number``."""
    listener_name: str
    client_host: str
    client_port: int
    local_host: str
    """The address that the client reached this broker at."""
    local_port: int
    principal: str = ANONYMOUS
    client_software_name: str = "unknown"
    """As told by ApiVersions v3 and up (KIP-511)."""
    client_software_version: str = "unknown"
    abandon: Callable[[], None] | None = None
    """Called once if the connection ends while its request is parked.

    A handler that parks something with a long life (a long poll) sets it so that nothing outlives
    the client; the connection clears it when the request is answered. One is enough, because only
    one request of a connection is parked at a time, pipelined ones apart, which do not set it.
    """


class RequestContext(msgspec.Struct):
    """One request of a session."""

    session: Session
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    holds_back_next: bool = False
    """Set by the handler of a pipelined request that parks before it has done what orders it
    among its connection's requests: the next one does not start before this one is answered.
    """


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients are told to find a listener.

    Attributes:
        host: Empty where the listener is bound to every address and nothing was configured to be
            advertised: each client is then sent back to the address that it reached.
        port: The real port, also where port 0 was asked for.
    """

    host: str
    port: int

    def seen_from(self, session: Session) -> Endpoint:
        """The same endpoint with a host that this session's client can reach."""
        return self if self.host else Endpoint(session.local_host, self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
