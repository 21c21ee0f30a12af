"""One connection to one broker: requests out, responses in, versions agreed upon.

Rules:

- ``send`` is one request and its response. ``post`` and ``take`` are its halves, for pipelining;
  ``send_bytes`` and ``receive_frame`` are the wire itself, for tests of what brokers do with
  requests that no client would send.
- The version of a request is the highest stable one that both sides know, or the one asked for.
  With ``release``, the connection knows what a client of that Kafka release knows, and no more.
- ApiVersions is asked once, when a version is first needed. A broker that does not know its version
  answers in version 0 (KIP-511); then version 0 is asked.
- A connection is broken after a timeout or an unreadable answer, and says so when used again.

Kafka's counterpart: ``NetworkClient`` with ``NodeApiVersions``.
"""

import select
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self, TypeVar

from datacore._generated.api_keys import (
    API_NAMES,
    request_header_version,
    response_header_version,
)
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.request_header import RequestHeader
from datacore._generated.response_header import ResponseHeader
from datacore.client.errors import (
    BrokerUnreachableError,
    NotAKafkaBrokerError,
    UnsupportedRequestError,
    check,
)
from datacore.version import VERSION
from datacore.wire.errors import DecodeError
from datacore.wire.message import WireMessage

ResponseT = TypeVar("ResponseT", bound=WireMessage)

VersionRanges = Mapping[int, tuple[int, int]]
"""By API key, the lowest and the highest version."""

CLIENT_ID: Final = "datacore"
RESPONSE_BYTES_MAX: Final = 512 << 20
"""A larger response is taken for garbage."""

_SIZE: Final = struct.Struct(">i")


def request_frame(
    request: WireMessage, version: int, *, correlation_id: int, client_id: str | None = CLIENT_ID
) -> bytes:
    """The bytes of a request on the wire, size included."""
    header = RequestHeader(
        request_api_key=request.api_key,
        request_api_version=version,
        correlation_id=correlation_id,
        client_id=client_id,
    ).encode(request_header_version(request.api_key, version))
    body = request.encode(version)
    return b"".join((_SIZE.pack(len(header) + len(body)), header, body))


class Connection:
    """A connection to one broker, opened at once; ``with`` closes it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str = CLIENT_ID,
        timeout_s: float = 30.0,
        release: VersionRanges | None = None,
    ) -> None:
        """Connects.

        Args:
            host: A name or an address.
            port: The broker's port.
            client_id: What the broker's log and quotas know this client by.
            timeout_s: The longest wait for the connection and for each response.
            release: Versions of a Kafka release to act as a client of; None knows all there are.

        Raises:
            BrokerUnreachableError: Nothing accepts connections there.
        """
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.client_id = client_id
        self._timeout_s = timeout_s
        self._release = release
        self._broker_versions: dict[int, tuple[int, int]] | None = None
        self._correlation_id = 0
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as error:
            raise BrokerUnreachableError(
                f"no broker reached at {self.address}: {error.strerror or error}"
            ) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called or the connection broke."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Closes the socket; a second time is fine."""
        self._socket.close()

    def send(
        self,
        request: WireMessage,
        response_type: type[ResponseT],
        version: int | None = None,
        *,
        timeout_s: float | None = None,
    ) -> ResponseT:
        """Sends a request and waits for its response.

        Args:
            request: Any request; its response must not be one that brokers leave out (acks=0).
            response_type: The response class of the same API.
            version: The version to speak, unchecked; None picks the highest in common.
            timeout_s: The longest wait for this response; None is the connection's own.

        Raises:
            UnsupportedRequestError: There is no version in common.
            BrokerUnreachableError: The broker closed the connection or did not answer in time.
            NotAKafkaBrokerError: What came back is no response to this request.
        """
        if version is None:
            version = self.version(type(request))
        correlation_id = self.post(request, version)
        if timeout_s is None:
            return self.take(response_type, version, correlation_id)
        self._socket.settimeout(timeout_s)
        try:
            return self.take(response_type, version, correlation_id)
        finally:
            self._socket.settimeout(self._timeout_s)

    def post(self, request: WireMessage, version: int) -> int:
        """Sends a request without waiting for the response; returns its correlation id."""
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        self.send_bytes(
            request_frame(
                request,
                version,
                correlation_id=self._correlation_id,
                client_id=self.client_id,
            )
        )
        return self._correlation_id

    def take(self, response_type: type[ResponseT], version: int, correlation_id: int) -> ResponseT:
        """Waits for the next response, which must be the one with this correlation id."""
        frame = self.receive_frame()
        try:
            header, at = ResponseHeader.decode(
                frame, response_header_version(response_type.api_key, version)
            )
            if response_type is ApiVersionsResponse and frame[at : at + 2] == _UNSUPPORTED:
                version = 0
            response, at = response_type.decode(frame, version, at)
        except DecodeError as error:
            raise self._not_kafka(f"an unreadable answer ({error})") from None
        if header.correlation_id != correlation_id:
            raise self._not_kafka(
                f"an answer to request {header.correlation_id} instead of {correlation_id}"
            )
        if at != len(frame):
            raise self._not_kafka(f"{len(frame) - at} bytes behind its answer")
        return response

    def has_answer(self, timeout_s: float) -> bool:
        """Whether the next response begins to arrive within that time, or has arrived."""
        readable, _, _ = select.select([self._socket], [], [], timeout_s)
        return bool(readable)

    def versions(self) -> VersionRanges:
        """What the broker serves, by API key; asked once.

        Raises:
            KafkaError: The broker refused to tell.
        """
        if self._broker_versions is None:
            response = self._ask_versions()
            self._broker_versions = {
                api.api_key: (api.min_version, api.max_version) for api in response.api_keys
            }
        return self._broker_versions

    def version(self, request_type: type[WireMessage]) -> int:
        """The highest version of this request that both sides know.

        Raises:
            UnsupportedRequestError: There is none.
        """
        key = request_type.api_key
        ours = self._known(request_type)
        theirs = self.versions().get(key)
        if theirs is None:
            raise UnsupportedRequestError(
                f"the broker at {self.address} does not serve {API_NAMES[key]}"
            )
        version = min(ours[1], theirs[1])
        if version < max(ours[0], theirs[0]):
            raise UnsupportedRequestError(
                f"the broker at {self.address} serves {API_NAMES[key]} "
                f"{theirs[0]} to {theirs[1]}, this client knows {ours[0]} to {ours[1]}"
            )
        return version

    def send_bytes(self, data: bytes) -> None:
        """Writes bytes to the socket as they are."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(error) from None

    def receive_frame(self) -> bytearray:
        """The next frame, without its size.

        Raises:
            BrokerUnreachableError: The connection ended, or no whole frame came in time.
            NotAKafkaBrokerError: Its size is impossible.
        """
        (size,) = _SIZE.unpack(self._receive(_SIZE.size))
        if not 0 <= size <= RESPONSE_BYTES_MAX:
            raise self._not_kafka(f"an answer of {size} bytes")
        return self._receive(size)

    def _receive(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        at = 0
        while at < size:
            try:
                received = self._socket.recv_into(view[at:])
            except OSError as error:
                raise self._lost(error) from None
            if received == 0:
                self.close()
                raise BrokerUnreachableError(f"the broker at {self.address} closed the connection")
            at += received
        return data

    def _ask_versions(self) -> ApiVersionsResponse:
        request = ApiVersionsRequest(
            client_software_name="datacore", client_software_version=VERSION
        )
        response = self.send(request, ApiVersionsResponse, self._known(ApiVersionsRequest)[1])
        if response.error_code == ErrorCode.UNSUPPORTED_VERSION:
            response = self.send(ApiVersionsRequest(), ApiVersionsResponse, 0)
        check(response.error_code)
        return response

    def _known(self, request_type: type[WireMessage]) -> tuple[int, int]:
        if self._release is None:
            return request_type.min_version, request_type.latest_stable_version
        known = self._release.get(request_type.api_key)
        if known is None:
            name = API_NAMES[request_type.api_key]
            raise UnsupportedRequestError(f"a client of this release does not know {name}")
        return known

    def _lost(self, error: OSError) -> BrokerUnreachableError:
        self.close()
        if isinstance(error, TimeoutError):
            return BrokerUnreachableError(f"the broker at {self.address} did not answer in time")
        return BrokerUnreachableError(
            f"the connection to {self.address} broke: {error.strerror or error}"
        )

    def _not_kafka(self, what: str) -> NotAKafkaBrokerError:
        self.close()
        return NotAKafkaBrokerError(f"{self.address} sent {what}: expected a Kafka broker")


_UNSUPPORTED: Final = struct.pack(">h", 35)
