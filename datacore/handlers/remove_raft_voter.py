"""RemoveRaftVoter (key 81, KIP-853): refused, the cluster's metadata has one voter and keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.remove_raft_voter import RemoveRaftVoterResponse
from datacore.broker.quorum import VoterKey

if TYPE_CHECKING:
    from datacore._generated.remove_raft_voter import RemoveRaftVoterRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: RemoveRaftVoterRequest
) -> RemoveRaftVoterResponse:
    """Has the voter leave."""
    del context
    broker.quorum.remove_voter(
        request.cluster_id, VoterKey(request.voter_id, request.voter_directory_id)
    )
    return RemoveRaftVoterResponse(error_message=None)
