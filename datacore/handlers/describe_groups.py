"""DescribeGroups (key 15).

v3      authorised operations (KIP-430)
v4      static members (KIP-345)
v5      flexible
v6      GROUP_ID_NOT_FOUND and error messages (KIP-1043)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_groups import DescribedGroup, DescribeGroupsResponse
from datacore.broker.authorized_operations import GROUP_OPERATIONS

if TYPE_CHECKING:
    from datacore._generated.describe_groups import DescribeGroupsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: DescribeGroupsRequest
) -> DescribeGroupsResponse:
    """State, protocol and members of each group."""
    response = await broker.groups.describe(context, request)
    if request.include_authorized_operations:
        for group in response.groups:
            if group.error_code == 0:
                group.authorized_operations = GROUP_OPERATIONS
    return response


def error_response(
    context: RequestContext, request: DescribeGroupsRequest, error: KafkaError
) -> DescribeGroupsResponse:
    """The error for each group."""
    del context
    return DescribeGroupsResponse(
        groups=[
            DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.groups
        ]
    )
