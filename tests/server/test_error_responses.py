"""Every API can say in every version that all of a request failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from datacore._generated.api_keys import ApiKey, request_class
from datacore._generated.errors import ErrorCode
from datacore._generated.produce import ProduceRequest
from datacore.broker.context import RequestContext, Session
from datacore.handlers.table import TABLE
from datacore.protocol.errors import KafkaError
from tests.protocol.error_codes import error_codes
from tests.server.malformed import valid_requests

if TYPE_CHECKING:
    from datacore.handlers.api import Api

ERROR = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "all of it failed")


def served_versions() -> list[tuple[ApiKey, int]]:
    return [
        (key, version)
        for key, api in sorted(TABLE.items())
        for version in range(api.min_version, api.max_version + 1)
    ]


@pytest.mark.parametrize(("key", "version"), served_versions())
def test_a_failed_request_is_told_so_in_its_version(key: ApiKey, version: int) -> None:
    session = Session(
        connection_id="c",
        listener_name="PLAINTEXT",
        client_host="h",
        client_port=1,
        local_host="h",
        local_port=2,
    )
    context = RequestContext(session, key, version, 7, None)
    api: Api[Any, Any, Any] = TABLE[key]
    told = 0
    for request_key, request_version, body in valid_requests():
        if (request_key, request_version) != (key, version):
            continue
        request, _ = request_class(key).decode(body, version)
        if isinstance(request, ProduceRequest):
            request.acks = 1
        response = api.error_response(context, request, ERROR)
        assert response is not None
        decoded, _ = type(response).decode(response.encode(version), version)
        told += ErrorCode.UNKNOWN_SERVER_ERROR in set(error_codes(decoded))
    assert told > 0
