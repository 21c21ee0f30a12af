"""UpdateFeatures (key 57, KIP-584).

v1      the type of upgrade instead of a flag that allows a downgrade, and validate_only
v2      all or nothing: no result for each feature (KIP-1022)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.update_features import UpdatableFeatureResult, UpdateFeaturesResponse
from datacore.broker.features import FeatureUpdate, UpgradeType

if TYPE_CHECKING:
    from datacore._generated.update_features import FeatureUpdateKey, UpdateFeaturesRequest
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext


async def handle(
    broker: Broker, context: RequestContext, request: UpdateFeaturesRequest
) -> UpdateFeaturesResponse:
    """Puts the levels in force, or none of them."""
    updates = [
        FeatureUpdate(
            update.feature, update.max_version_level, _upgrade_type(update, context.api_version)
        )
        for update in request.feature_updates
    ]
    await broker.features.update(updates, validate_only=request.validate_only)
    response = UpdateFeaturesResponse(error_message=None)
    if context.api_version < 2:
        response.results = [
            # Kafka's text for no error.
            UpdatableFeatureResult(feature=update.name, error_message="NONE")
            for update in updates
        ]
    return response


def _upgrade_type(update: FeatureUpdateKey, version: int) -> int:
    if version >= 1:
        return update.upgrade_type
    return UpgradeType.SAFE_DOWNGRADE if update.allow_downgrade else UpgradeType.UPGRADE
