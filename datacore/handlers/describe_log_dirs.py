"""DescribeLogDirs (key 35, KIP-113).

v1      throttle time
v2      flexible
v3      an error for the whole of it
v4      the size of the file system and what of it can be used (KIP-827)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from datacore._generated.describe_log_dirs import DescribeLogDirsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


async def handle(
    broker: Broker, context: RequestContext, request: DescribeLogDirsRequest
) -> DescribeLogDirsResponse:
    """The one log directory, with the logs that were asked for."""
    del context
    asked = None
    if request.topics is not None:
        asked = [
            (TopicName(topic.topic), index)
            for topic in request.topics
            for index in topic.partitions
        ]
    log_dir = await broker.log_dirs.describe(asked)
    result = DescribeLogDirsResult(
        error_code=log_dir.error_code,
        log_dir=log_dir.path,
        total_bytes=log_dir.space.total_bytes,
        usable_bytes=log_dir.space.usable_bytes,
        topics=[
            DescribeLogDirsTopic(
                name=topic,
                partitions=[
                    DescribeLogDirsPartition(partition_index=index, partition_size=size)
                    for index, size in sizes.items()
                ],
            )
            for topic, sizes in log_dir.sizes_bytes.items()
        ],
    )
    return DescribeLogDirsResponse(results=[result])


def error_response(
    context: RequestContext, request: DescribeLogDirsRequest, error: KafkaError
) -> DescribeLogDirsResponse:
    """The error alone; older versions than v3 tell it of the directory."""
    if context.api_version >= 3:
        return DescribeLogDirsResponse(error_code=error.code)
    del request
    return DescribeLogDirsResponse(results=[DescribeLogDirsResult(error_code=error.code)])
