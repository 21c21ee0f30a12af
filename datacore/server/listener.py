"""Where the broker listens: named listeners (KIP-103), bound before anything is served.

Rules: binding comes first, so that ports are known (port 0 takes a free one) and can be told to
clients; connections are accepted only when the broker is ready. A host name that stands for
several addresses is bound at the first, as Apache Kafka does; ``::`` takes IPv4 too.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from datacore.broker.context import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why, for people."""


class ListenerAddress(Protocol):
    """What the configuration says of one listener."""

    @property
    def name(self) -> str:
        """What it is called, PLAINTEXT for one."""

    @property
    def host(self) -> str:
        """A name or an address; ``0.0.0.0`` or ``::`` for every address."""

    @property
    def port(self) -> int:
        """0 takes a free one."""

    @property
    def advertised_host(self) -> str | None:
        """What clients are told; None for the bound host."""

    @property
    def advertised_port(self) -> int:
        """What clients are told; 0 for the bound port."""


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A listener whose port is known.

    Attributes:
        name: Its name.
        socket: Bound, not listening yet.
        bound: The address to reach it at from this machine.
        advertised: Where clients are told to find it.
    """

    name: str
    socket: socket.socket
    bound: Endpoint
    advertised: Endpoint


async def bind_listeners(addresses: Iterable[ListenerAddress]) -> list[BoundListener]:
    """Binds every address, or none.

    Raises:
        ListenError: One cannot be bound.
    """
    listeners: list[BoundListener] = []
    try:
        for address in addresses:
            listeners.append(await _bind(address))  # noqa: PERF401  # what is bound must be known
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


async def _bind(address: ListenerAddress) -> BoundListener:
    try:
        (family, kind, protocol, _, target), *_ = await anyio.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind(target)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise ListenError(
            f"listener {address.name} cannot listen on {address.host}:{address.port}: "
            f"{error.strerror or error}"
        ) from None
    bound_host, port = bound.getsockname()[:2]
    is_any = ipaddress.ip_address(bound_host.partition("%")[0]).is_unspecified
    loopback = "127.0.0.1" if family == socket.AF_INET else "::1"
    return BoundListener(
        name=address.name,
        socket=bound,
        bound=Endpoint(loopback if is_any else address.host, port),
        advertised=Endpoint(
            address.advertised_host or ("" if is_any else address.host),
            address.advertised_port or port,
        ),
    )
