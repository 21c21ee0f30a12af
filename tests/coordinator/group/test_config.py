import pytest

from datacore.coordinator.group.config import GroupConfig


def test_defaults_are_kafkas_but_for_the_initial_delay() -> None:
    config = GroupConfig()
    assert config.group_min_session_timeout_ms == 6_000
    assert config.group_max_session_timeout_ms == 1_800_000
    assert config.group_initial_rebalance_delay_ms == 0
    assert config.group_max_size == 2**31 - 1
    assert config.offset_metadata_max_bytes == 4_096
    assert config.offsets_retention_ms == 7 * 24 * 3_600_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"group_max_size": 0},
        {"offsets_retention_minutes": -1},
        {"group_initial_rebalance_delay_ms": -1},
        {"group_min_session_timeout_ms": 2_000_000},
    ],
)
def test_a_config_that_cannot_be_kept_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"_ms|_size|_minutes"):
        GroupConfig(**wrong)  # type: ignore[arg-type]  # each is an int
