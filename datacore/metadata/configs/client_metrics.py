"""Which metrics clients are asked for (KIP-714)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.metadata.configs.key import (
    INT,
    LIST,
    MEDIUM,
    YES,
    ConfigKey,
    by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# fmt: off
_CLIENT_METRICS: Final = (
    ConfigKey("metrics", LIST, "", MEDIUM,
              effect=YES,
              about="Prefixes of the names of metrics that are asked for; empty is none, * is "
                    "all."),
    ConfigKey("interval.ms", INT, "300000", MEDIUM,
              effect=YES,
              about="How often a client is to push them."),
    ConfigKey("match", LIST, "", MEDIUM,
              effect=YES,
              about="Which clients are asked: name=regular expression, all must match."),
)
# fmt: on

CLIENT_METRICS_CONFIGS: Final[Mapping[str, ConfigKey]] = by_name(_CLIENT_METRICS)
