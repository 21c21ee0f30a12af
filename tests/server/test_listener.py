"""Binding: real ports, before anything listens."""

from __future__ import annotations

import socket
from typing import NamedTuple

import anyio
import pytest

from datacore.broker.context import Endpoint, Session
from datacore.server.listener import BoundListener, ListenError, bind_listeners


class Address(NamedTuple):
    name: str = "PLAINTEXT"
    host: str = "127.0.0.1"
    port: int = 0
    advertised_host: str | None = None
    advertised_port: int = 0


def bind(*addresses: Address) -> list[BoundListener]:
    listeners = anyio.run(bind_listeners, addresses)
    for listener in listeners:
        listener.socket.close()
    return listeners


def test_port_0_is_told_as_the_real_port() -> None:
    (listener,) = bind(Address())

    assert listener.bound.host == "127.0.0.1"
    assert listener.bound.port > 0
    assert listener.advertised == listener.bound


def test_what_is_advertised_may_differ_from_what_is_bound() -> None:
    first, second = bind(
        Address(advertised_host="broker.example"),
        Address(name="OUTSIDE", advertised_host="example", advertised_port=19092),
    )

    assert first.advertised == Endpoint("broker.example", first.bound.port)
    assert second.advertised == Endpoint("example", 19092)


def test_ipv6_is_bound_and_written_with_brackets() -> None:
    (listener,) = bind(Address(host="::1"))

    assert str(listener.bound) == f"[::1]:{listener.bound.port}"


@pytest.mark.parametrize(("host", "reached_at"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
def test_a_listener_on_every_address_sends_clients_back_to_the_one_they_reached(
    host: str, reached_at: str
) -> None:
    (listener,) = bind(Address(host=host))
    session = Session(
        connection_id="c",
        listener_name="PLAINTEXT",
        client_host="192.0.2.7",
        client_port=1,
        local_host="192.0.2.1",
        local_port=2,
    )

    assert listener.bound.host == reached_at
    assert listener.advertised.seen_from(session) == Endpoint("192.0.2.1", listener.bound.port)


def test_a_port_that_is_taken_is_an_error_that_names_it_and_frees_the_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"SECOND cannot listen on 127.0.0.1:{port}: "):
            bind(Address(), Address(name="SECOND", port=port))


def test_a_host_that_does_not_exist_is_an_error_that_names_it() -> None:
    with pytest.raises(ListenError, match=r"no\.such\.host\.invalid"):
        bind(Address(host="no.such.host.invalid"))
