"""ConsumerGroupDescribe (key 69; KIP-848).

v1      which protocol a member speaks (KIP-1099)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.consumer_group_describe import (
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)
from datacore.broker.authorized_operations import GROUP_OPERATIONS

if TYPE_CHECKING:
    from datacore._generated.consumer_group_describe import ConsumerGroupDescribeRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    """State, epochs and members of each group, with what they have and shall have.

    Raises:
        KafkaError: UNSUPPORTED_VERSION: an operator has turned the protocol off.
    """
    broker.check_consumer_protocol()
    response = await broker.groups.describe_consumers(context, request)
    if request.include_authorized_operations:
        for group in response.groups:
            if group.error_code == 0:
                group.authorized_operations = GROUP_OPERATIONS
    return response


def error_response(
    context: RequestContext, request: ConsumerGroupDescribeRequest, error: KafkaError
) -> ConsumerGroupDescribeResponse:
    """The error for each group."""
    del context
    return ConsumerGroupDescribeResponse(
        groups=[
            DescribedGroup(group_id=group_id, error_code=error.code)
            for group_id in request.group_ids
        ]
    )
