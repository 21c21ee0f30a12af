"""Replicas and their leaders, in a cluster of one broker: there is nothing to choose or to move.

What Kafka's controller answers when its cluster has one broker (``ReplicationControlManager``):
each partition has its preferred leader, and may stay where it is but go nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datacore.metadata.image import TopicImage
    from datacore.protocol.names import TopicName


def check_replicas(broker_id: int, replicas: Sequence[int]) -> None:
    """Refuses an assignment that a cluster of this one broker cannot have.

    Raises:
        KafkaError: INVALID_REPLICA_ASSIGNMENT, with the reason.
    """
    strangers = set(replicas) - {broker_id}
    if not replicas:
        reason = "names no broker"
    elif strangers:
        reason = f"names broker {min(strangers)}, which the cluster does not have"
    elif len(replicas) > 1:
        reason = f"names broker {broker_id} more than once"
    else:
        return
    raise KafkaError(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        f"An assignment of replicas {reason}.",
    )


class Replicas:
    """Who leads each partition, and where its replicas are."""

    def __init__(self, topics: Mapping[TopicName, TopicImage], broker_id: int) -> None:
        self._topics = topics
        self._broker_id = broker_id

    def elect(self, topic: TopicName, partition: int) -> None:
        """Has a partition's leader elected, the preferred one or any.

        Raises:
            KafkaError: ELECTION_NOT_NEEDED, the only replica leads; UNKNOWN_TOPIC_OR_PARTITION.
        """
        self._check_known(topic, partition)
        raise KafkaError(ErrorCode.ELECTION_NOT_NEEDED, "The only replica leads already.")

    def reassign(self, topic: TopicName, partition: int, replicas: Sequence[int] | None) -> None:
        """Has a partition moved to these replicas; None calls off a move that is under way.

        Raises:
            KafkaError: UNKNOWN_TOPIC_OR_PARTITION; INVALID_REPLICA_ASSIGNMENT for anything but
                where it is; NO_REASSIGNMENT_IN_PROGRESS, as none ever is.
        """
        self._check_known(topic, partition)
        if replicas is None:
            raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
        check_replicas(self._broker_id, replicas)

    def _check_known(self, topic: TopicName, partition: int) -> None:
        known = self._topics.get(topic)
        if known is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {topic}.")
        if partition not in known.partitions:
            raise KafkaError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no partition {topic}-{partition}."
            )
