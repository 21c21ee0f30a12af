import struct

from datacore._generated.errors import ErrorCode
from tests.coordinator.group.driver import TOPIC, Driver


def reads(topic: str) -> dict[str, bytes]:
    """A consumer's subscription in version 1, by hand."""
    name = struct.pack(">h", len(topic)) + topic.encode()
    return {"range": struct.pack(">hi", 1, 1) + name + struct.pack(">ii", -1, 0)}


def codes_of(driver: Driver, *partitions: tuple[str, int]) -> list[int]:
    response = driver.delete_offsets(*partitions)
    assert response.error_code == ErrorCode.NONE
    return [p.error_code for topic in response.topics for p in topic.partitions]


def test_offsets_of_an_empty_group_are_deleted() -> None:
    driver = Driver()
    driver.commit({("t", 0): 1, ("t", 1): 2})
    assert codes_of(driver, ("t", 0), ("never", 0)) == [ErrorCode.NONE, ErrorCode.NONE]
    assert driver.fetch(None) == {("t", 1): (2, -1, "")}


def test_a_group_that_only_committed_outlives_its_last_offset_until_the_next_look() -> None:
    driver = Driver()
    driver.commit({TOPIC: 1})
    codes_of(driver, TOPIC)
    assert driver.has_group()
    driver.pass_the_next_look()
    assert not driver.has_group()


def test_topics_that_members_read_keep_their_offsets() -> None:
    driver = Driver()
    driver.commit({("read", 0): 1, ("t", 0): 2})
    driver.ask_join(version=3, protocols=reads("read"))
    subscribed = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert codes_of(driver, ("read", 0), ("t", 0)) == [subscribed, ErrorCode.NONE]
    assert set(driver.fetch(None)) == {("read", 0)}


def test_members_whose_topics_cannot_be_read_keep_all_offsets() -> None:
    driver = Driver()
    driver.commit({TOPIC: 2})
    driver.ask_join(version=3, protocols={"range": b"\0"})
    assert codes_of(driver, TOPIC) == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC]


def test_a_group_of_others_than_consumers_must_be_empty() -> None:
    driver = Driver()
    driver.commit({TOPIC: 2})
    driver.ask_join(version=3, protocol_type="connect")
    assert driver.delete_offsets(TOPIC).error_code == ErrorCode.NON_EMPTY_GROUP


def test_a_group_that_is_not_there_has_no_offsets_to_delete() -> None:
    driver = Driver()
    assert driver.delete_offsets(TOPIC).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert driver.delete_offsets(TOPIC, group="").error_code == ErrorCode.INVALID_GROUP_ID
