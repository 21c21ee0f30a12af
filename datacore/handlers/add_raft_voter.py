"""AddRaftVoter (key 80, KIP-853): refused, the cluster's metadata has one voter and keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.add_raft_voter import AddRaftVoterResponse
from datacore.broker.quorum import VoterKey

if TYPE_CHECKING:
    from datacore._generated.add_raft_voter import AddRaftVoterRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


def handle(
    broker: Broker, context: RequestContext, request: AddRaftVoterRequest
) -> AddRaftVoterResponse:
    """Has the voter join."""
    del context
    broker.quorum.add_voter(
        request.cluster_id,
        VoterKey(request.voter_id, request.voter_directory_id),
        has_endpoint=bool(request.listeners),
    )
    return AddRaftVoterResponse(error_message=None)
