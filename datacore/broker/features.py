"""Features of the cluster: which levels are in force, and how an administrator changes them.

A level that was set is a record of the metadata, as in Kafka (``FeatureControlManager``); one that
never was is what the table says. All updates of a request are made, or none.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from datacore._generated.errors import ErrorCode
from datacore._generated.records.feature_level_record import FeatureLevelRecord
from datacore.metadata.features import FEATURES
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacore.broker.cluster_metadata import ClusterMetadata
    from datacore.protocol.api_versions import Feature


class UpgradeType(IntEnum):
    """What a change may be, as requests number it."""

    UNKNOWN = 0
    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class FeatureUpdate(NamedTuple):
    """One feature's new level; 0 turns it off."""

    name: str
    level: int
    upgrade_type: int
    """An ``UpgradeType``, or what a client took for one."""


class Features:
    """The features of the cluster."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        broker_id: int,
        supported: Sequence[Feature] = FEATURES,
    ) -> None:
        self._metadata = metadata
        self._broker_id = broker_id
        self._supported = {feature.name: feature for feature in supported}

    @property
    def epoch(self) -> int:
        """Grows with each change of the cluster; clients take the newest that they met."""
        return self._metadata.high_watermark

    def level(self, name: str) -> int:
        """The level in force; 0 where the feature is off, or unknown."""
        feature = self._supported.get(name)
        default = 0 if feature is None else feature.finalized_level
        return self._metadata.image.feature_levels.get(name, default)

    def all(self) -> list[Feature]:
        """Every feature that this broker knows, with the level in force."""
        return [
            replace(feature, finalized_level=self.level(name))
            for name, feature in self._supported.items()
        ]

    async def update(self, updates: Sequence[FeatureUpdate], *, validate_only: bool) -> None:
        """Puts other levels in force; of a feature that is named twice, the last counts.

        Raises:
            KafkaError: INVALID_UPDATE_VERSION, one of them cannot be; nothing has changed.
        """
        last = {update.name: update for update in updates}
        async with self._metadata.lock:
            for update in last.values():
                self._check(update)
            records = [
                FeatureLevelRecord(name=update.name, feature_level=update.level)
                for update in last.values()
                if update.level != self.level(update.name)
            ]
            if records and not validate_only:
                await self._metadata.commit(records)

    def _check(self, update: FeatureUpdate) -> None:
        reason = self._why_not(update)
        if reason is not None:
            raise KafkaError(
                ErrorCode.INVALID_UPDATE_VERSION,
                f"No feature was updated: {update.name or 'a feature without a name'} cannot be at "
                f"level {update.level}. {reason}",
            )

    def _why_not(self, update: FeatureUpdate) -> str | None:
        feature = self._supported.get(update.name)
        if update.upgrade_type not in set(UpgradeType) - {UpgradeType.UNKNOWN}:
            return f"There is no upgrade type {update.upgrade_type}."
        if update.level < 0:
            return "A level is at least 0."
        if feature is None:
            return f"Broker {self._broker_id} does not know it."
        if not feature.min_level <= update.level <= feature.max_level:
            return (
                f"Broker {self._broker_id} can do levels {feature.min_level} to "
                f"{feature.max_level}."
            )
        present = self.level(update.name)
        if update.level < present and update.upgrade_type == UpgradeType.UPGRADE:
            return f"It is at {present}, so this is a downgrade, and the request is for an upgrade."
        if update.level > present and update.upgrade_type != UpgradeType.UPGRADE:
            return f"It is at {present}, so this is an upgrade, and the request is for a downgrade."
        return None
