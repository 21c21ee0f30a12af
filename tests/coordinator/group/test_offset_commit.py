import pytest

from datacore._generated.errors import ErrorCode
from datacore.coordinator.group.offsets import CommittedOffset
from datacore.protocol.names import GroupId, TopicName
from tests.coordinator.group.driver import GROUP, TOPIC, Driver


def stored(driver: Driver) -> CommittedOffset:
    committed = driver.shard.state.offsets.get(GroupId(GROUP), TopicName("t"), 0)
    assert committed is not None
    return committed


@pytest.mark.parametrize("version", range(10))
def test_a_client_without_a_group_commits_in_every_version(version: int) -> None:
    driver = Driver()
    assert driver.commit({TOPIC: 5}, version=version) == {TOPIC: ErrorCode.NONE}
    assert driver.fetch([TOPIC]) == {TOPIC: (5, -1, "")}
    assert driver.describe().group_state == "Empty"
    assert driver.describe().protocol_type == ""


@pytest.mark.parametrize("version", range(1, 10))
def test_a_member_commits_in_its_generation(version: int) -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    codes = driver.commit({TOPIC: 5}, version=version, member_id=member_id, generation=1)
    assert codes == {TOPIC: ErrorCode.NONE}


@pytest.mark.parametrize(
    ("who", "error_code"),
    [
        ({}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation": 1}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger", "generation": 1}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "MEMBER"}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "MEMBER", "generation": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "MEMBER", "generation": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "MEMBER", "instance": "i", "generation": 1}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_who_is_not_of_the_generation_cannot_commit(
    who: dict[str, object], error_code: ErrorCode
) -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    if who.get("member_id") == "MEMBER":
        who = {**who, "member_id": member_id}
    assert driver.commit({TOPIC: 5}, **who) == {TOPIC: error_code}  # type: ignore[arg-type]  # a table of keywords
    assert driver.fetch([TOPIC]) == {TOPIC: (-1, -1, "")}


@pytest.mark.parametrize("version", range(1, 10))
def test_a_generation_of_a_group_that_is_not_there_is_refused(version: int) -> None:
    driver = Driver()
    expected = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
    codes = driver.commit({TOPIC: 5}, version=version, member_id="m", generation=1)
    assert codes == {TOPIC: expected}
    assert not driver.has_group()


def test_an_old_member_cannot_commit_to_an_empty_group() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    driver.leave_one(member_id)
    codes = driver.commit({TOPIC: 5}, member_id=member_id, generation=1)
    assert codes == {TOPIC: ErrorCode.UNKNOWN_MEMBER_ID}
    assert driver.commit({TOPIC: 5}) == {TOPIC: ErrorCode.NONE}


def test_the_old_generation_commits_until_the_barrier_closes() -> None:
    driver = Driver()
    [a] = driver.stable_group("a")
    driver.ask_join(version=3)
    assert driver.commit({TOPIC: 5}, member_id=a, generation=1) == {TOPIC: ErrorCode.NONE}
    driver.ask_join(a)
    assert driver.commit({TOPIC: 6}, member_id=a, generation=1) == {
        TOPIC: ErrorCode.ILLEGAL_GENERATION
    }
    assert driver.commit({TOPIC: 6}, member_id=a, generation=2) == {
        TOPIC: ErrorCode.REBALANCE_IN_PROGRESS
    }


def test_a_commit_is_a_sign_of_life() -> None:
    driver = Driver()
    [member_id] = driver.stable_group("a")
    for _ in range(5):
        driver.advance(9_000)
        codes = driver.commit({TOPIC: 5}, member_id=member_id, generation=1)
        assert codes == {TOPIC: ErrorCode.NONE}


def test_metadata_and_leader_epoch_are_kept() -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, metadata="note", leader_epoch=3)
    assert driver.fetch([TOPIC]) == {TOPIC: (5, 3, "note")}


def test_null_metadata_is_empty_metadata() -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, metadata=None)
    assert driver.fetch([TOPIC]) == {TOPIC: (5, -1, "")}


@pytest.mark.parametrize(
    ("metadata", "error_code"),
    [
        ("a" * 4_096, ErrorCode.NONE),
        ("a" * 4_097, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ("\N{SNOWMAN}" * 4_096, ErrorCode.NONE),
        ("\N{GRINNING FACE}" * 2_048, ErrorCode.NONE),
        ("\N{GRINNING FACE}" * 2_049, ErrorCode.OFFSET_METADATA_TOO_LARGE),
    ],
)
def test_metadata_is_measured_as_kafka_measures_it(metadata: str, error_code: ErrorCode) -> None:
    driver = Driver()
    assert driver.commit({TOPIC: 5}, metadata=metadata) == {TOPIC: error_code}
    assert len(driver.log) == (error_code is ErrorCode.NONE)


def test_a_commit_that_stores_nothing_makes_no_group() -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, metadata="a" * 5_000)
    driver.commit({})
    assert not driver.has_group()


@pytest.mark.parametrize("topic", ["", "t" * 250])
def test_a_topic_that_cannot_be_is_refused(topic: str) -> None:
    codes = Driver().commit({(topic, 0): 5})
    assert codes == {(topic, 0): ErrorCode.INVALID_TOPIC_EXCEPTION}


def test_the_group_with_the_empty_name_may_commit() -> None:
    driver = Driver()
    assert driver.commit({TOPIC: 5}, group="") == {TOPIC: ErrorCode.NONE}
    assert driver.fetch([TOPIC], group="") == {TOPIC: (5, -1, "")}


def test_a_commit_is_stamped_with_now_or_in_version_1_with_what_the_client_says() -> None:
    driver = Driver()
    driver.commit({TOPIC: 5})
    assert stored(driver).commit_timestamp_ms == driver.now_ms
    driver.commit({TOPIC: 5}, version=1, timestamp_ms=77)
    assert stored(driver).commit_timestamp_ms == 77


@pytest.mark.parametrize("version", [2, 3, 4])
def test_old_versions_choose_their_own_retention(version: int) -> None:
    driver = Driver()
    driver.commit({TOPIC: 5}, version=version, retention_time_ms=1_000)
    assert stored(driver).expire_timestamp_ms == driver.now_ms + 1_000


def test_offsets_are_taken_as_given() -> None:
    driver = Driver()
    driver.commit({TOPIC: 2**62})
    driver.commit({TOPIC: 3})
    assert driver.fetch([TOPIC]) == {TOPIC: (3, -1, "")}


def test_a_commit_that_no_batch_could_hold_is_refused_whole() -> None:
    driver = Driver(offset_commit_bytes_max=200)
    many = {("t", partition): 5 for partition in range(10)}
    codes = driver.commit(many)
    assert set(codes.values()) == {ErrorCode.INVALID_COMMIT_OFFSET_SIZE}
    assert driver.fetch([TOPIC]) == {TOPIC: (-1, -1, "")}
    assert driver.commit({TOPIC: 5}) == {TOPIC: ErrorCode.NONE}
