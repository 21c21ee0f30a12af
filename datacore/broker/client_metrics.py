"""The metrics that clients have pushed: the newest value of each series, in memory.

Rules: a series is a metric of one client with one set of attributes. What counts since the last
push is added up, so a sum is since the client's first push to this broker. A restart forgets all.
There are so many series at most, of one client and of all; what is beyond is counted and dropped.
A client that was silent for three push intervals, and at least a minute, is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.record.otlp import Kind, Point

SERIES_PER_CLIENT_MAX: Final = 2_000
SERIES_MAX: Final = 50_000


class ClientLabels(NamedTuple):
    """Who a client says that it is, and where it comes from."""

    instance_id: bytes
    client_id: str
    software_name: str
    software_version: str
    address: str
    port: int
    principal: str


class Series(msgspec.Struct):
    """One metric of one client."""

    name: str
    kind: Kind
    unit: str
    attributes: tuple[tuple[str, str], ...]
    value: float
    count: int
    updated_ms: int


class ClientMetrics:
    """What clients measure, for a door that shows it."""

    def __init__(self) -> None:
        self.dropped_points = 0
        """Points of series that there was no room for."""
        self._series: dict[bytes, dict[tuple[str, tuple[tuple[str, str], ...]], Series]] = {}
        self._labels: dict[bytes, ClientLabels] = {}
        self._count = 0

    @property
    def series_count(self) -> int:
        """How many series there are."""
        return self._count

    def clients(self) -> Iterator[tuple[ClientLabels, Sequence[Series]]]:
        """Each client and its series."""
        for instance_id, labels in self._labels.items():
            yield labels, list(self._series[instance_id].values())

    def take(self, labels: ClientLabels, points: Sequence[Point], now_ms: int) -> None:
        """Keeps what a client has pushed."""
        self._labels[labels.instance_id] = labels
        of_client = self._series.setdefault(labels.instance_id, {})
        for point in points:
            key = (point.name, point.attributes)
            series = of_client.get(key)
            if series is None:
                if len(of_client) >= SERIES_PER_CLIENT_MAX or self._count >= SERIES_MAX:
                    self.dropped_points += 1
                    continue
                self._count += 1
                of_client[key] = Series(
                    point.name,
                    point.kind,
                    point.unit,
                    point.attributes,
                    point.value,
                    point.count,
                    now_ms,
                )
            elif point.is_delta:
                series.value += point.value
                series.count += point.count
                series.updated_ms = now_ms
            else:
                series.value, series.count = point.value, point.count
                series.updated_ms = now_ms

    def forget(self, instance_id: bytes) -> None:
        """Drops a client."""
        if self._labels.pop(instance_id, None) is not None:
            self._count -= len(self._series.pop(instance_id))
