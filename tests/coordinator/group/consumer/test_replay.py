import struct
from collections.abc import Iterator

import pytest

from datacore._generated.records.consumer_group_partition_metadata import (
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
)
from datacore.coordinator.outcome import Record
from datacore.wire.errors import DecodeError
from tests.coordinator.group.consumer.driver import ConsumerDriver, partitions_of


@pytest.fixture
def driver() -> ConsumerDriver:
    driver = ConsumerDriver()
    driver.cluster.set_topic("t", 4)
    return driver


def compacted(log: list[Record]) -> Iterator[Record]:
    """The log with the last record of each key alone, in its place."""
    last = {record.key: at for at, record in enumerate(log)}
    return (record for at, record in enumerate(log) if last[record.key] == at)


def test_a_compacted_log_says_the_same(driver: ConsumerDriver) -> None:
    a, b = driver.consumer("a"), driver.consumer("b", [], regex="t.*")
    driver.settle(a, b)
    a.leave()
    driver.consumer("c", instance="i1").leave(-2)
    driver.settle(b)
    driver.consumer("d", instance="i1")
    driver.log = list(compacted(driver.log))
    assert driver.replayed().state.consumer_groups == driver.shard.state.consumer_groups
    driver.log = [record for record in driver.log if record.value is not None]
    assert driver.replayed().state.consumer_groups == driver.shard.state.consumer_groups


def test_nothing_is_left_of_a_group_that_was_deleted(driver: ConsumerDriver) -> None:
    driver.consumer("a").leave()
    driver.delete("g")
    assert driver.replayed().state.consumer_groups == {}
    driver.log = [record for record in compacted(driver.log) if record.value is not None]
    assert driver.log == []


def test_the_record_of_topics_that_kafka_4_0_wrote_is_read_past(driver: ConsumerDriver) -> None:
    key = struct.pack(">h", 4) + ConsumerGroupPartitionMetadataKey(group_id="g").encode(0)
    value = b"\0\0" + ConsumerGroupPartitionMetadataValue().encode(0)
    driver.shard.apply(key, value)
    assert not driver.has_consumer_group()
    assert driver.shard.skipped_records == 0
    a = driver.consumer("a")
    driver.shard.apply(key, value)
    assert a.beat() == 0


def test_a_broken_record_stops_the_load(driver: ConsumerDriver) -> None:
    with pytest.raises(DecodeError):
        driver.shard.apply(b"\0\3\0\7broken", b"\0\0")
    driver.consumer("a")
    epoch = next(record for record in driver.log if record.key[:2] == b"\0\3")
    with pytest.raises(DecodeError):
        driver.shard.apply(epoch.key, b"\0\1" + (epoch.value or b"")[2:])


def test_a_member_in_a_state_of_newer_kafka_begins_again(driver: ConsumerDriver) -> None:
    a = driver.consumer("a")
    current = driver.log[-1]
    assert current.value is not None
    unknown = current.value[:10] + b"\x55" + current.value[11:]
    driver.log.append(Record(current.key, unknown))
    driver.restart()
    driver.consumer("b")
    assert a.beat() != 0
    a.join()
    driver.settle(a)
    assert a.error == 0
    assert a.owned <= partitions_of("t", 4)
