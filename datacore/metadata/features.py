"""Features of the cluster (KIP-584): the levels that this broker can do, and what is in force.

One line a feature, by Kafka's names; what a feature's levels mean, Kafka's ``Feature`` says.
"""

from __future__ import annotations

from typing import Final

from datacore.protocol.api_versions import Feature

# fmt: off
FEATURES: Final = (
    # 1: the consumer group protocol of KIP-848.
    Feature("group.version", min_level=0, max_level=1, finalized_level=1),
)
# fmt: on

FEATURES_EPOCH: Final = 0
"""Orders what is in force: nothing changes it while the broker runs."""
