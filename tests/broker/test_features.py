import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker.broker import Broker
from datacore.broker.features import Features, FeatureUpdate, UpgradeType
from datacore.protocol.api_versions import Feature
from datacore.protocol.errors import KafkaError
from datacore.storage.memory import MemoryEngine
from tests.broker.harness import HeldEngine, running

pytestmark = pytest.mark.anyio

TABLE = (
    Feature("colour.version", min_level=0, max_level=2, finalized_level=1),
    Feature("shape.version", min_level=1, max_level=3, finalized_level=3),
)
UP, DOWN = UpgradeType.UPGRADE, UpgradeType.SAFE_DOWNGRADE


def features_of(broker: Broker) -> Features:
    return Features(broker.metadata, broker.broker_id, TABLE)


def levels(features: Features) -> dict[str, int]:
    return {feature.name: feature.finalized_level for feature in features.all()}


async def test_a_feature_begins_at_the_level_of_the_table() -> None:
    async with running(MemoryEngine()) as broker:
        features = features_of(broker)
        assert levels(features) == {"colour.version": 1, "shape.version": 3}
        assert features.level("no.such") == 0


async def test_a_level_that_was_set_is_in_force_after_a_restart() -> None:
    engine = MemoryEngine()
    async with running(engine) as broker:
        features = features_of(broker)
        before = features.epoch
        await features.update([FeatureUpdate("colour.version", 2, UP)], validate_only=False)
        assert features.level("colour.version") == 2
        assert features.epoch > before
    async with running(engine) as broker:
        assert levels(features_of(broker)) == {"colour.version": 2, "shape.version": 3}


async def test_of_two_updates_of_a_feature_the_last_counts() -> None:
    async with running(MemoryEngine()) as broker:
        features = features_of(broker)
        updates = [FeatureUpdate("colour.version", level, UP) for level in (9, 2)]
        await features.update(updates, validate_only=False)
        assert features.level("colour.version") == 2


async def test_level_0_turns_a_feature_off() -> None:
    async with running(MemoryEngine()) as broker:
        features = features_of(broker)
        await features.update([FeatureUpdate("colour.version", 0, DOWN)], validate_only=False)
        assert features.level("colour.version") == 0


async def test_what_is_only_validated_changes_nothing() -> None:
    async with running(MemoryEngine()) as broker:
        features = features_of(broker)
        before = features.epoch
        await features.update([FeatureUpdate("colour.version", 2, UP)], validate_only=True)
        assert (features.level("colour.version"), features.epoch) == (1, before)


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (FeatureUpdate("no.such", 1, UP), "does not know it"),
        (FeatureUpdate("colour.version", 3, UP), "levels 0 to 2"),
        (FeatureUpdate("shape.version", 0, DOWN), "levels 1 to 3"),
        (FeatureUpdate("colour.version", -1, DOWN), "at least 0"),
        (FeatureUpdate("colour.version", 0, UP), "this is a downgrade"),
        (FeatureUpdate("colour.version", 2, DOWN), "this is an upgrade"),
        (FeatureUpdate("colour.version", 1, UpgradeType.UNKNOWN), "no upgrade type"),
        (FeatureUpdate("colour.version", 1, 9), "no upgrade type"),
    ],
)
async def test_one_impossible_update_keeps_all_as_they_are(
    update: FeatureUpdate, reason: str
) -> None:
    async with running(MemoryEngine()) as broker:
        features = features_of(broker)
        fine = FeatureUpdate("shape.version", 2, DOWN)
        with pytest.raises(KafkaError, match=reason) as refused:
            await features.update([fine, update], validate_only=False)
        assert refused.value.code == ErrorCode.INVALID_UPDATE_VERSION
        assert levels(features) == {"colour.version": 1, "shape.version": 3}


async def test_a_level_that_could_not_be_written_is_not_in_force() -> None:
    engine = HeldEngine("__cluster_metadata")
    async with running(engine) as broker:
        features = features_of(broker)
        engine.only.refuses_appends = True
        with pytest.raises(KafkaError) as refused:
            await features.update([FeatureUpdate("colour.version", 2, UP)], validate_only=False)
        assert refused.value.code == ErrorCode.KAFKA_STORAGE_ERROR
        assert features.level("colour.version") == 1
        engine.only.refuses_appends = False
