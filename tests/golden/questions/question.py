"""One request that is put to Apache Kafka and to us, and what of the answer can be compared."""

import socket
import struct
from dataclasses import dataclass
from typing import Any

from datacore._generated.api_keys import (
    request_header_version,
    response_class,
    response_header_version,
)
from datacore._generated.request_header import RequestHeader
from datacore._generated.response_header import ResponseHeader
from datacore.wire.message import WireMessage, WireStruct

__all__ = ["Question", "ask", "comparable"]

_CORRELATION_ID = 4_711
_ANSWER_TIMEOUT_S = 30.0
# Names of fields that no two brokers agree on, and texts, which are nobody's to repeat.
_OF_ONE_BROKER = frozenset(
    {
        "api_keys",
        "broker_id",
        "broker_ids",
        "brokers",
        "cluster_id",
        "controller_id",
        "diverging_epoch",
        "error_message",
        "host",
        "isr_nodes",
        "leader_epoch",
        "leader_id",
        "node_endpoints",
        "node_id",
        "port",
        "producer_id",
        "replica_nodes",
        "session_id",
        "supported_features",
        "finalized_features",
        "finalized_features_epoch",
        "throttle_time_ms",
        "topic_id",
        "unknown_tagged_fields",
    }
)

# Elements with a field of these names are listed in no order: groups, and topics of an election.
_IN_NO_ORDER = ("group_id", "partition_result")


@dataclass(frozen=True, slots=True)
class Question:
    """A request on a connection of its own.

    Attributes:
        name: what is asked, in words.
        api_key: of the API.
        version: of the API.
        body: the request behind its header.
        answered_in: the version of the answer, where it is not `version`.
        of_one_broker: further fields of the answer that are not compared.
    """

    name: str
    api_key: int
    version: int
    body: bytes
    answered_in: int | None = None
    of_one_broker: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, version: int, request: WireMessage, *of_one_broker: str) -> "Question":
        """The question that a request is at a version."""
        body = request.encode(version)
        return cls(name, request.api_key, version, body, of_one_broker=frozenset(of_one_broker))

    def frame(self) -> bytes:
        """The whole request as it goes over the wire."""
        header = RequestHeader(
            request_api_key=self.api_key,
            request_api_version=self.version,
            correlation_id=_CORRELATION_ID,
            client_id="golden",
        )
        try:
            header_version = request_header_version(self.api_key, self.version)
        except KeyError:
            header_version = 1
        content = header.encode(header_version) + self.body
        return struct.pack(">i", len(content)) + content


def ask(host: str, port: int, question: Question) -> bytes | None:
    """The answer behind its header, or None where the broker closes the connection instead."""
    with socket.create_connection((host, port), timeout=_ANSWER_TIMEOUT_S) as connection:
        connection.sendall(question.frame())
        try:
            size = _receive(connection, 4)
            content = _receive(connection, int.from_bytes(size))
        except (ConnectionResetError, EOFError):
            return None
    version = question.version if question.answered_in is None else question.answered_in
    header_version = response_header_version(question.api_key, version)
    header, at = ResponseHeader.decode(content, header_version)
    assert header.correlation_id == _CORRELATION_ID
    return content[at:]


def comparable(question: Question, answer: bytes | None) -> Any:
    """What two brokers should agree on: "closed", or the answer's fields as plain values."""
    if answer is None:
        return "closed"
    version = question.version if question.answered_in is None else question.answered_in
    message, end = response_class(question.api_key).decode(answer, version)
    assert end == len(answer)
    return _plain(message, _OF_ONE_BROKER | question.of_one_broker)


def _plain(value: Any, left_out: frozenset[str]) -> Any:
    if isinstance(value, WireStruct):
        names = [name for name in value.__slots__ if name not in left_out]
        return {name: _plain(getattr(value, name), left_out) for name in names}
    if isinstance(value, list):
        elements = [_plain(element, left_out) for element in value]
        for name in _IN_NO_ORDER:
            if all(isinstance(each, dict) and name in each for each in elements):
                return sorted(elements, key=str)
        return elements
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value


def _receive(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise EOFError
        content += part
    return content
