"""AlterReplicaLogDirs (key 34, KIP-113): moves replicas from one directory to another.

v1 answers a throttle time, v2 is flexible. Where a partition is named more than once, the last
directory counts, as in Kafka. There is one directory, so nothing ever moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)
from datacore.protocol.names import TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore._generated.alter_replica_log_dirs import AlterReplicaLogDirsRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError


def handle(
    broker: Broker, context: RequestContext, request: AlterReplicaLogDirsRequest
) -> AlterReplicaLogDirsResponse:
    """For each replica whether it lies, and stays, where it shall."""
    del context
    return _response(
        {
            topic: {
                index: broker.log_dirs.move(topic, index, path) for index, path in asked.items()
            }
            for topic, asked in _asked(request).items()
        }
    )


def _asked(request: AlterReplicaLogDirsRequest) -> dict[TopicName, dict[int, str]]:
    """Directories by topic and partition."""
    asked: dict[TopicName, dict[int, str]] = {}
    for log_dir in request.dirs:
        for topic in log_dir.topics:
            for index in topic.partitions:
                asked.setdefault(TopicName(topic.name), {})[index] = log_dir.path
    return asked


def _response(
    codes: Mapping[TopicName, Mapping[int, int]],
) -> AlterReplicaLogDirsResponse:
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=topic,
                partitions=[
                    AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)
                    for index, code in by_index.items()
                ],
            )
            for topic, by_index in codes.items()
        ]
    )


def error_response(
    context: RequestContext, request: AlterReplicaLogDirsRequest, error: KafkaError
) -> AlterReplicaLogDirsResponse:
    """The error on every replica."""
    del context
    return _response(
        {topic: dict.fromkeys(asked, error.code) for topic, asked in _asked(request).items()}
    )
