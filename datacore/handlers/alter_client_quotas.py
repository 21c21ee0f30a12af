"""AlterClientQuotas (key 49, KIP-546). v1 is flexible.

Each entity that is named is answered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.alter_client_quotas import (
    AlterClientQuotasResponse,
    AlterClientQuotasResponseEntityData,
    AlterClientQuotasResponseEntryData,
)
from datacore._generated.errors import ErrorCode

if TYPE_CHECKING:
    from datacore._generated.alter_client_quotas import AlterClientQuotasRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.metadata.quotas import Entity
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: AlterClientQuotasRequest
) -> AlterClientQuotasResponse:
    """Alters the quotas of each entity, or says why not."""
    del context
    answers = await broker.quotas.alter(
        [
            (
                [(each.entity_type, each.entity_name) for each in entry.entity],
                [(op.key, None if op.remove else op.value) for op in entry.ops],
            )
            for entry in request.entries
        ],
        validate_only=request.validate_only,
    )
    return AlterClientQuotasResponse(
        entries=[
            _entry(entity, 0 if problem is None else ErrorCode.INVALID_REQUEST, problem)
            for entity, problem in answers.items()
        ]
    )


def _entry(entity: Entity, code: int, message: str | None) -> AlterClientQuotasResponseEntryData:
    return AlterClientQuotasResponseEntryData(
        error_code=code,
        error_message=message,
        entity=[
            AlterClientQuotasResponseEntityData(entity_type=kind, entity_name=name)
            for kind, name in entity
        ],
    )


def error_response(
    context: RequestContext, request: AlterClientQuotasRequest, error: KafkaError
) -> AlterClientQuotasResponse:
    """The error on every entity."""
    del context
    return AlterClientQuotasResponse(
        entries=[
            _entry(
                tuple((each.entity_type, each.entity_name) for each in entry.entity),
                error.code,
                error.message,
            )
            for entry in request.entries
        ]
    )
