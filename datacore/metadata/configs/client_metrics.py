"""Which metrics clients are asked for (KIP-714)."""

from __future__ import annotations

from typing import Final

from datacore.metadata.configs.key import (
    INT,
    LIST,
    MEDIUM,
    ConfigKey,
)

# fmt: off
CLIENT_METRICS: Final = (
    ConfigKey("metrics", LIST, "", MEDIUM,
              about="Prefixes of the names of metrics that are asked for; empty is none, * is "
                    "all."),
    ConfigKey("interval.ms", INT, "300000", MEDIUM,
              about="How often a client is to push them."),
    ConfigKey("match", LIST, "", MEDIUM,
              about="Which clients are asked: name=regular expression, all must match."),
)
# fmt: on
