"""DescribeClientQuotas (key 48, KIP-546). v1 is flexible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore._generated.describe_client_quotas import (
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)
from datacore._generated.errors import ErrorCode
from datacore.metadata.quotas import CLIENT_ID, IP, USER
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from datacore._generated.describe_client_quotas import (
        ComponentData,
        DescribeClientQuotasRequest,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.metadata.quotas import Entity

_EXACT, _DEFAULT, _ANY = range(3)
_EXPECTS_NAME: Final = {_EXACT: True, _DEFAULT: False, _ANY: False}


def handle(
    broker: Broker, context: RequestContext, request: DescribeClientQuotasRequest
) -> DescribeClientQuotasResponse:
    """Tells the quotas of the entities that pass every component of the filter."""
    del context
    _check(request.components)
    found = broker.metadata.image.client_quotas.items()
    return DescribeClientQuotasResponse(
        error_message="",
        entries=[
            EntryData(
                entity=[EntityData(entity_type=kind, entity_name=name) for kind, name in entity],
                values=[ValueData(key=key, value=value) for key, value in limits.items()],
            )
            for entity, limits in found
            if _passes(entity, request)
        ],
    )


def _check(components: list[ComponentData]) -> None:
    """Refuses a filter that nothing could pass.

    Raises:
        KafkaError: INVALID_REQUEST, or UNSUPPORTED_VERSION for a type that nobody knows.
    """
    types = [component.entity_type for component in components]
    for component in components:
        kind, match_type = component.entity_type, component.match_type
        if not kind:
            _refuse("An entity type is empty")
        if kind not in {USER, CLIENT_ID, IP}:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {kind}")
        if match_type not in _EXPECTS_NAME:
            _refuse(f"Unknown match type {match_type}")
        if (component.match is not None) != _EXPECTS_NAME[match_type]:
            _refuse(f"Match type {match_type} does not go with {component.match!r}")
        if types.count(kind) > 1:
            _refuse(f"Entity type {kind} may appear once in a filter")
    if IP in types and len(types) > 1:
        _refuse("An ip cannot be combined with a user or a client-id")


def _refuse(reason: str) -> None:
    raise KafkaError(ErrorCode.INVALID_REQUEST, reason)


def _passes(entity: Entity, request: DescribeClientQuotasRequest) -> bool:
    names = dict(entity)
    if request.strict and len(names) != len(request.components):
        return False
    for component in request.components:
        if component.entity_type not in names:
            return False
        name = names[component.entity_type]
        if component.match_type != _ANY and name != component.match:
            return False
    return True


def error_response(
    context: RequestContext, request: DescribeClientQuotasRequest, error: KafkaError
) -> DescribeClientQuotasResponse:
    """The error, and no entries."""
    del context, request
    return DescribeClientQuotasResponse(
        error_code=error.code, error_message=error.message, entries=None
    )
