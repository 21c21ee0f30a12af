"""The quorum of the cluster's metadata: this broker, its one voter and leader.

Kafka's counterpart is a combined node alone (``KafkaRaftClient``) with a fixed set of voters, as
``kraft.version`` 0 has it: what it knows of itself, and that nobody joins or leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacore.broker.cluster_metadata import ClusterMetadata

METADATA_TOPIC: Final = "__cluster_metadata"
METADATA_PARTITION: Final = 0
_NO_DIRECTORY: Final = bytes(16)


class QuorumState(NamedTuple):
    """Where the one voter stands."""

    leader_id: int
    leader_epoch: int
    high_watermark: int
    log_end_offset: int
    now_ms: int
    """A leader has caught up with itself at any time."""


class VoterKey(NamedTuple):
    """Who a voter is: a node with one directory for the log."""

    node_id: int
    directory_id: bytes


class Quorum:
    """The voters of the cluster's metadata."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        broker_id: int,
        cluster_id: Callable[[], str],
        now_ms: Callable[[], int],
    ) -> None:
        self._metadata = metadata
        self._broker_id = broker_id
        self._cluster_id = cluster_id
        self._now_ms = now_ms

    def state(self) -> QuorumState:
        """Where the one voter stands now."""
        return QuorumState(
            self._broker_id,
            self._metadata.leader_epoch,
            self._metadata.high_watermark,
            self._metadata.log_end_offset,
            self._now_ms(),
        )

    def add_voter(self, cluster_id: str | None, voter: VoterKey, *, has_endpoint: bool) -> None:
        """Has another voter join.

        Raises:
            KafkaError: It cannot. INCONSISTENT_CLUSTER_ID, INVALID_REQUEST or UNSUPPORTED_VERSION.
        """
        self._check_cluster_id(cluster_id)
        _check_voter(voter)
        if not has_endpoint:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, "The request has no endpoint of the new voter."
            )
        self._refuse("Adding")

    def remove_voter(self, cluster_id: str | None, voter: VoterKey) -> None:
        """Has a voter leave.

        Raises:
            KafkaError: It cannot. INCONSISTENT_CLUSTER_ID, INVALID_REQUEST or UNSUPPORTED_VERSION.
        """
        self._check_cluster_id(cluster_id)
        _check_voter(voter)
        self._refuse("Removing")

    def _check_cluster_id(self, asked: str | None) -> None:
        if asked is not None and asked != self._cluster_id():
            raise KafkaError(
                ErrorCode.INCONSISTENT_CLUSTER_ID,
                f"The cluster is {self._cluster_id()}, the request is for {asked}.",
            )

    def _refuse(self, what: str) -> None:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"{what} a voter needs kraft.version 1; the voters here are fixed.",
        )


def _check_voter(voter: VoterKey) -> None:
    if voter.node_id < 0 or voter.directory_id == _NO_DIRECTORY:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The request names no voter.")
