"""DescribeUserScramCredentials (key 50, KIP-554).

There are no SCRAM users yet, and this says so: kafka-configs asks it beside the quotas of a user.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datacore._generated.describe_user_scram_credentials import (
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)
from datacore._generated.errors import ErrorCode

if TYPE_CHECKING:
    from datacore._generated.describe_user_scram_credentials import (
        DescribeUserScramCredentialsRequest,
    )
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: DescribeUserScramCredentialsRequest
) -> DescribeUserScramCredentialsResponse:
    """Tells of each user that is asked for that it has none."""
    del broker, context
    times_named = Counter(user.name for user in request.users or ())
    return DescribeUserScramCredentialsResponse(
        error_message=None,
        results=[
            DescribeUserScramCredentialsResult(
                user=name,
                error_code=ErrorCode.RESOURCE_NOT_FOUND
                if times == 1
                else ErrorCode.DUPLICATE_RESOURCE,
                error_message=f"User {name} has no SCRAM credentials",
            )
            for name, times in times_named.items()
        ],
    )
