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
    # 27: the records of 4.1 (4.1-IV1), the only format that is written here.
    Feature("metadata.version", min_level=27, max_level=27, finalized_level=27),
    # 2: by this Java's clients choose transactions v2 (KIP-890).
    Feature("transaction.version", min_level=0, max_level=2, finalized_level=2),
)
# fmt: on
"""What can be done, and the level that each begins with."""
