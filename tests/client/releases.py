"""What clients of older Kafka releases speak, as ``Connection`` takes it."""

import json
from pathlib import Path

from datacore.client.connection import VersionRanges

_RELEASES = Path(__file__).parents[2] / "specs" / "releases.json"


def releases() -> list[str]:
    """Every release that is known, the oldest first."""
    return list(json.loads(_RELEASES.read_text()))


def versions_of(release: str) -> VersionRanges:
    """By API key, the versions that a client of that release knows."""
    apis = json.loads(_RELEASES.read_text())[release]["apis"]
    return {
        api["key"]: (api["min"], api.get("latestStable", api["max"]))
        for api in apis.values()
        if api.get("latestStable", api["max"]) >= 0
    }
