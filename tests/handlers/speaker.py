"""A client that speaks exactly the versions it is told to, and remembers what it spoke."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from datacore._generated.api_keys import ApiKey
from datacore.client.connection import Connection
from datacore.handlers.table import TABLE
from datacore.wire.message import WireMessage

ResponseT = TypeVar("ResponseT", bound=WireMessage)

RELEASES_FILE = Path(__file__).parents[2] / "specs" / "releases.json"


class Speaker:
    """Requests in fixed versions, one for each API that the client knows."""

    def __init__(self, connection: Connection, versions: Mapping[ApiKey, int]) -> None:
        self.connection = connection
        self.versions = versions
        self.spoken: set[tuple[ApiKey, int]] = set()

    def knows(self, key: ApiKey) -> bool:
        return key in self.versions

    def version(self, key: ApiKey) -> int:
        return self.versions[key]

    def send(self, request: WireMessage, response_type: type[ResponseT]) -> ResponseT:
        """One request, answered in the same version."""
        version = self._speak(request)
        return self.connection.send(request, response_type, version)

    def post(self, request: WireMessage) -> None:
        """One request that gets no answer."""
        self.connection.post(request, self._speak(request))

    def _speak(self, request: WireMessage) -> int:
        key = ApiKey(request.api_key)
        version = self.versions[key]
        self.spoken.add((key, version))
        return version


def capped_versions(version: int) -> dict[ApiKey, int]:
    """``version`` of every API, or the highest below it that is served."""
    return {key: max(api.min_version, min(version, api.max_version)) for key, api in TABLE.items()}


def release_versions(release: str, *, oldest: bool = False) -> dict[ApiKey, int]:
    """What a client of a Kafka release speaks: its newest stable versions, or its oldest.

    APIs that DataCore does not serve are left out; versions that it does not serve are not, so a
    client that speaks one fails.
    """
    apis = json.loads(RELEASES_FILE.read_text())[release]["apis"].values()
    versions = {}
    for api in apis:
        newest = api.get("latestStable", api["max"])
        if newest >= 0 and api["key"] in TABLE:
            versions[ApiKey(api["key"])] = api["min"] if oldest else newest
    return versions


def releases() -> list[str]:
    """Every Kafka release that DataCore speaks."""
    return list(json.loads(RELEASES_FILE.read_text()))
