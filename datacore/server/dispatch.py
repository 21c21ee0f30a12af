"""From an API key and version to who decodes, handles and encodes it.

Rules: what a request needs is looked up once per (API, version) and kept as a ``Route``; generated
modules load on first use. This is the one place that catches the unexpected: whatever a handler
raises becomes a body of the request's version, with one traceback in the log unless it was a
``KafkaError``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic

from datacore._generated.api_keys import (
    ApiKey,
    request_class,
    request_header_version,
    response_class,
    response_header_version,
)
from datacore._generated.errors import ErrorCode
from datacore.handlers.api import BrokerT
from datacore.protocol.api_versions import ApiRange, unsupported_api_versions_body
from datacore.protocol.errors import KafkaError
from datacore.protocol.headers import pack_flexible_response_start, pack_response_start
from datacore.wire.message import RecordsMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datacore.broker.context import RequestContext
    from datacore.handlers.api import Api
    from datacore.protocol.message import Message
    from datacore.wire.buffer import Buffer

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The request costs its sender the connection; the message says why, for the log."""


class Route:
    """What a connection needs to serve one version of one API."""

    __slots__ = (
        "api_key",
        "api_version",
        "decode",
        "error_response",
        "handle",
        "has_flexible_header",
        "has_flexible_response_header",
        "has_records",
        "is_pipelined",
        "response_class",
        "takes_records",
    )

    def __init__(self, api: Api[Any, Any, Any], version: int) -> None:
        self.api_key = int(api.key)
        self.api_version = version
        self.has_flexible_header = request_header_version(api.key, version) >= 2
        self.has_flexible_response_header = response_header_version(api.key, version) >= 1
        self.decode = request_class(api.key).decode
        self.handle: Callable[[Any, RequestContext, Any], Any] = api.handle
        self.error_response = api.error_response
        self.response_class = response_class(api.key)
        self.has_records = issubclass(self.response_class, RecordsMessage)
        self.is_pipelined = api.pipelined
        self.takes_records = issubclass(request_class(api.key), RecordsMessage)

    def encode(self, correlation_id: int, response: Message) -> list[Buffer]:
        """The frame that carries a response, in parts; only records are parts of their own."""
        if not self.has_records:
            body = response.encode(self.api_version)
            return [self._start(correlation_id, len(body)) + body]
        parts = response.encode_parts(self.api_version)
        parts.insert(0, self._start(correlation_id, sum(map(len, parts))))
        return parts

    def _start(self, correlation_id: int, body_bytes: int) -> bytes:
        if self.has_flexible_response_header:
            return pack_flexible_response_start(body_bytes + 5, correlation_id, 0)
        return pack_response_start(body_bytes + 4, correlation_id)


class Dispatch(Generic[BrokerT]):
    """The handler table as connections use it."""

    def __init__(self, broker: BrokerT, table: Iterable[Api[BrokerT, Any, Any]]) -> None:
        self.broker = broker
        self.routes: dict[int, Route] = {}
        """By API key << 16 | API version, as far as they were asked for."""
        self._apis = {int(api.key): api for api in table}
        self._unsupported_api_versions_body = unsupported_api_versions_body(
            ApiRange(api.key, api.min_version, api.max_version) for api in self._apis.values()
        )

    def find(self, key_and_version: int) -> Route | None:
        """The route of an API key << 16 | API version that ``routes`` has not met yet.

        Returns:
            None for a version of ApiVersions that is not served; see
            ``encode_unsupported_api_versions``.

        Raises:
            RefusedError: That API, or that version of it, is not served.
        """
        key, version = key_and_version >> 16, key_and_version & 0xFFFF
        api = self._apis.get(key)
        if api is None:
            raise RefusedError(f"asks for API key {_signed(key)}, which is not served")
        if not api.min_version <= version <= api.max_version:
            if key == ApiKey.API_VERSIONS:
                return None
            raise RefusedError(
                f"asks for version {_signed(version)} of {api.key.name}, "
                f"which is served from {api.min_version} to {api.max_version}"
            )
        route = self.routes[key_and_version] = Route(api, version)
        return route

    def encode_unsupported_api_versions(self, correlation_id: int) -> bytes:
        """The frame that answers an ApiVersions request of a version that is not served."""
        body = self._unsupported_api_versions_body
        return pack_response_start(len(body) + 4, correlation_id) + body

    def encode_failure(
        self, route: Route, context: RequestContext, request: Message, error: Exception
    ) -> list[Buffer] | None:
        """The frame that tells the client of an error that its handler raised.

        Returns:
            None where the client can be told by a closed connection only.
        """
        if not isinstance(error, KafkaError):
            _log_unexpected(route, context, error)
            error = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        try:
            response = route.error_response(context, request, error)
            return None if response is None else route.encode(context.correlation_id, response)
        except Exception as second_error:  # noqa: BLE001  # logged; the connection is closed
            _log_unexpected(route, context, second_error)
            return None


def _signed(number: int) -> int:
    """What the 16 bits are on the wire: a signed number, as people should see it."""
    return number - 0x10000 if number & 0x8000 else number


def _log_unexpected(route: Route, context: RequestContext, error: Exception) -> None:
    logger.error(
        "%s version %d from %s failed unexpectedly",
        ApiKey(route.api_key).name,
        route.api_version,
        context.session.connection_id,
        exc_info=error,
    )
