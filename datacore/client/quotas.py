"""Client quotas (KIP-546): what users, clients and addresses may use of a cluster.

Kafka's counterparts: ``Admin.describeClientQuotas`` and ``alterClientQuotas``.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from datacore._generated.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasRequestEntityData,
    AlterClientQuotasRequestEntryData,
    AlterClientQuotasResponse,
    OpData,
)
from datacore._generated.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import check

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"

Entity: TypeAlias = Mapping[str, str | None]
"""Names by ``USER``, ``CLIENT_ID`` or ``IP``; a name of None is the default of that kind."""

_EXACT: Final = 0
_DEFAULT: Final = 1


class Quota(NamedTuple):
    """What one entity may use."""

    entity: dict[str, str | None]
    values: dict[str, float]


def describe_quotas(cluster: Cluster, entity: Entity) -> list[Quota]:
    """Quotas of all entities that match the names given, whatever else they are.

    An empty ``entity`` matches all there are.
    """
    components = [
        ComponentData(entity_type=kind, match_type=_DEFAULT if name is None else _EXACT, match=name)
        for kind, name in entity.items()
    ]

    def attempt() -> list[Quota]:
        request = DescribeClientQuotasRequest(components=components, strict=False)
        response = cluster.any_broker().send(request, DescribeClientQuotasResponse)
        check(response.error_code, response.error_message)
        return [
            Quota(
                {part.entity_type: part.entity_name for part in entry.entity},
                {value.key: value.value for value in entry.values},
            )
            for entry in response.entries or []
        ]

    return cluster.retrying(attempt)


def alter_quotas(
    cluster: Cluster,
    entity: Entity,
    values: Mapping[str, float | None],
    *,
    validate_only: bool = False,
) -> None:
    """Sets quotas of one entity, and removes those whose value is None.

    Args:
        cluster: Where they apply.
        entity: Whose they are.
        values: By Kafka's name, such as ``producer_byte_rate``.
        validate_only: Change nothing, but raise what would stand in the way.
    """
    entry = AlterClientQuotasRequestEntryData(
        entity=[
            AlterClientQuotasRequestEntityData(entity_type=kind, entity_name=name)
            for kind, name in entity.items()
        ],
        ops=[
            OpData(key=key, value=value or 0.0, remove=value is None)
            for key, value in values.items()
        ],
    )

    def attempt() -> None:
        request = AlterClientQuotasRequest(entries=[entry], validate_only=validate_only)
        (result,) = cluster.controller().send(request, AlterClientQuotasResponse).entries
        check(result.error_code, result.error_message)

    cluster.retrying(attempt)
