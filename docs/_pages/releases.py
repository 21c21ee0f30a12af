"""What each release of Apache Kafka speaks: ``specs/releases.json``, checked as it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_RELEASES: Final = Path(__file__).parents[2] / "specs" / "releases.json"
_BROKER_LISTENERS: Final = frozenset({"zkBroker", "broker"})


class SpokenApi(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """An API in one release; ``specs/README.md`` says what the fields mean."""

    key: int
    min: int
    max: int
    latest_stable: int | None = None
    deprecated_to: int | None = None
    advertised_min: int | None = None
    cluster_action: bool = False
    listeners: tuple[str, ...] = ("broker",)

    @property
    def newest(self) -> int:
        """The newest stable version; -1 where none is."""
        return self.max if self.latest_stable is None else self.latest_stable

    @property
    def is_for_clients(self) -> bool:
        """Whether a client may send it to a broker."""
        return (
            not self.cluster_action
            and self.newest >= 0
            and not _BROKER_LISTENERS.isdisjoint(self.listeners)
        )


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One minor release."""

    patch: str
    apis: dict[str, SpokenApi]

    def client_apis(self) -> dict[str, SpokenApi]:
        """What its clients may send to a broker."""
        return {name: api for name, api in self.apis.items() if api.is_for_clients}


def read_releases() -> Mapping[str, Release]:
    """Every minor release, the oldest first."""
    return msgspec.json.decode(_RELEASES.read_bytes(), type=dict[str, Release])
