"""ListPartitionReassignments (key 46, KIP-455): what is on its way to other brokers.

Nothing ever is; partitions that nobody knows are left out like those that stay, as in Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.list_partition_reassignments import ListPartitionReassignmentsResponse

if TYPE_CHECKING:
    from datacore._generated.list_partition_reassignments import ListPartitionReassignmentsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    """None."""
    del broker, context, request
    return ListPartitionReassignmentsResponse(error_message=None)
