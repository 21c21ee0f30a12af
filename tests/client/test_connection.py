"""Frames byte for byte, versions as agreed upon, and what a broken other side leads to."""

import struct

import pytest

from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.metadata import MetadataRequest, MetadataResponse
from datacore._generated.produce import ProduceRequest
from datacore.client.connection import Connection, request_frame
from datacore.client.errors import (
    BrokerUnreachableError,
    NotAKafkaBrokerError,
    UnsupportedRequestError,
)
from tests.client.scripted_broker import ScriptedBroker, frame

_METADATA = 3
_API_VERSIONS = 18

# Correlation id 1, no error, and two APIs: Metadata 0 to 1, ApiVersions 0 to 2.
VERSIONS_V0 = bytes.fromhex("00000001 0000 00000002 0003 0000 0001 0012 0000 0002")
# Correlation id 1 and UNSUPPORTED_VERSION in version 0, with ApiVersions 0 to 2.
REFUSED = bytes.fromhex("00000001 0023 00000001 0012 0000 0002")


def test_a_request_is_size_header_and_body() -> None:
    request = MetadataRequest(topics=[])
    assert request_frame(request, 1, correlation_id=7, client_id="me") == bytes.fromhex(
        "00000010"  # what follows
        "0003 0001 00000007 0002 6d65"  # Metadata, version 1, correlation id, client id
        "00000000"  # no topics
    )


def test_a_flexible_request_keeps_its_client_id_as_it_was() -> None:
    request = ApiVersionsRequest(client_software_name="a", client_software_version="1")
    assert request_frame(request, 3, correlation_id=1, client_id=None) == bytes.fromhex(
        "00000010"
        "0012 0003 00000001 ffff 00"  # a null client id, and no tagged fields
        "0261 0231 00"
    )


def test_versions_are_asked_once_and_the_highest_in_common_is_spoken() -> None:
    empty_metadata = bytes.fromhex("00000002 00000000 00000001 00000000")
    again = bytes.fromhex("00000003 00000000 00000001 00000000")
    answers = [frame(VERSIONS_V0), frame(empty_metadata), frame(again)]
    release = {_API_VERSIONS: (0, 0), _METADATA: (0, 5)}
    with (
        ScriptedBroker(answers) as broker,
        Connection("127.0.0.1", broker.port, release=release) as connection,
    ):
        first = connection.send(MetadataRequest(topics=[]), MetadataResponse)
        connection.send(MetadataRequest(topics=[]), MetadataResponse)
    assert first.controller_id == 1
    spoken = [struct.unpack_from(">hh", each, 4) for each in broker.received]
    assert spoken == [(_API_VERSIONS, 0), (_METADATA, 1), (_METADATA, 1)]


def test_a_broker_that_does_not_know_our_api_versions_is_asked_for_version_0() -> None:
    answers = [frame(REFUSED), frame(b"\x00\x00\x00\x02" + VERSIONS_V0[4:])]
    with (
        ScriptedBroker(answers) as broker,
        Connection("127.0.0.1", broker.port) as connection,
    ):
        assert connection.versions() == {_METADATA: (0, 1), _API_VERSIONS: (0, 2)}
    assert [struct.unpack_from(">hh", each, 4) for each in broker.received] == [
        (_API_VERSIONS, ApiVersionsRequest.max_version),
        (_API_VERSIONS, 0),
    ]


@pytest.mark.parametrize(
    ("release", "complaint"),
    [
        ({_API_VERSIONS: (0, 0), _METADATA: (2, 5)}, "serves Metadata 0 to 1, this client knows 2"),
        ({_API_VERSIONS: (0, 0)}, "a client of this release does not know Metadata"),
    ],
)
def test_no_version_in_common_is_told(release: dict[int, tuple[int, int]], complaint: str) -> None:
    with (
        ScriptedBroker([frame(VERSIONS_V0)]) as broker,
        Connection("127.0.0.1", broker.port, release=release) as connection,
    ):
        connection.versions()
        with pytest.raises(UnsupportedRequestError, match=complaint):
            connection.send(MetadataRequest(), MetadataResponse)


def test_an_api_that_the_broker_does_not_serve_is_told() -> None:
    with (
        ScriptedBroker([frame(VERSIONS_V0)]) as broker,
        Connection("127.0.0.1", broker.port, release=None) as connection,
    ):
        connection.take(ApiVersionsResponse, 0, connection.post(ApiVersionsRequest(), 0))
        connection._broker_versions = {_API_VERSIONS: (0, 2)}
        with pytest.raises(UnsupportedRequestError, match="does not serve Produce"):
            connection.version(ProduceRequest)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an answer of 1213486160 bytes"),
        (b"\xff\xff\xff\xff", "an answer of -1 bytes"),
        (frame(b"\x00\x00\x00\x09" + VERSIONS_V0[4:]), "an answer to request 9 instead of 1"),
        (frame(VERSIONS_V0 + b"!"), "1 bytes behind its answer"),
        (frame(VERSIONS_V0[:-1]), "an unreadable answer"),
    ],
)
def test_what_is_not_kafka_breaks_the_connection_and_is_described(
    answer: bytes, complaint: str
) -> None:
    with (
        ScriptedBroker([answer]) as broker,
        Connection("127.0.0.1", broker.port) as connection,
    ):
        with pytest.raises(NotAKafkaBrokerError, match=complaint):
            connection.send(ApiVersionsRequest(), ApiVersionsResponse, 0)
        assert connection.is_closed


def test_a_connection_that_the_broker_closes_is_told() -> None:
    with (
        ScriptedBroker([b""]) as broker,
        Connection("127.0.0.1", broker.port) as connection,
    ):
        with pytest.raises(BrokerUnreachableError, match="closed the connection"):
            connection.versions()
        assert connection.is_closed


def test_silence_ends_with_the_timeout() -> None:
    with (
        ScriptedBroker([b""], hold_open=True) as broker,
        Connection("127.0.0.1", broker.port, timeout_s=0.05) as connection,
    ):
        with pytest.raises(BrokerUnreachableError, match="did not answer in time"):
            connection.versions()
        assert connection.is_closed


def test_where_nothing_listens_is_told() -> None:
    with ScriptedBroker([]) as broker:
        port = broker.port
        Connection("127.0.0.1", port).close()
    with pytest.raises(BrokerUnreachableError, match=f"127.0.0.1:{port}: Connection refused"):
        Connection("127.0.0.1", port)
