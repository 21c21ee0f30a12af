"""Reads known_differences.toml."""

import tomllib
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")


def known_differences(release: str) -> dict[tuple[str, int], str]:
    """The reason of each known difference to a release, by request and version."""
    entries = tomllib.loads(_FILE.read_text()).get(release, [])
    return {
        (entry["request"], version): entry["reason"]
        for entry in entries
        for version in range(entry["versions"][0], entry["versions"][1] + 1)
    }
