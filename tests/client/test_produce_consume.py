"""What is written is read: with every codec, by clients of every release, alone and in groups."""

import threading
from collections.abc import Iterator

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.produce import ProduceResponse
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.connection import Connection, VersionRanges
from datacore.client.consumer import Consumer, Received
from datacore.client.errors import ClientError
from datacore.client.fetcher import Fetcher, OffsetOutOfRangeError
from datacore.client.group_member import GroupMember, RebalanceNeededError
from datacore.client.partitioner import partition_of
from datacore.client.producer import ACKS_ALL, Producer
from datacore.client.subscription import TopicPartition
from datacore.protocol.errors import KafkaError
from datacore.record.compression import Codec
from datacore.record.records import Record
from datacore.testing import Broker
from datacore.wire.message import WireMessage
from tests.client.releases import releases, versions_of

TOPIC = "t"
RECORDS = [
    Record(timestamp_ms=1, key=b"k", value=b"v", headers=[("h", b"1"), ("h", None)]),
    Record(timestamp_ms=2, key=None, value=b""),
    Record(timestamp_ms=3, key=b"", value=None),
    Record(timestamp_ms=4, key=b"k", value=b"\x00\xff" * 5000),
]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def cluster(broker: Broker) -> Iterator[Cluster]:
    with Cluster(broker.bootstrap_servers) as connected:
        yield connected


def contents(record: Record) -> tuple[object, ...]:
    return record.timestamp_ms, record.key, record.value, record.headers


def read(consumer: Consumer, count: int) -> list[Received]:
    """Polls until so many records came; one more round must bring nothing."""
    received: list[Received] = []
    while len(received) < count:
        received += consumer.poll(max_wait_ms=500, max_records=count)
    return received + consumer.poll(max_wait_ms=0, max_records=1)


def beat_until_rebalance(member: GroupMember) -> None:
    while True:
        try:
            member.heartbeat()
        except RebalanceNeededError:
            return


@pytest.mark.parametrize("codec", Codec)
def test_records_come_back_as_they_were_with_every_codec(cluster: Cluster, codec: Codec) -> None:
    admin.create_topic(cluster, TOPIC, partitions=1)
    (written,) = Producer(cluster, TOPIC, codec=codec).write(RECORDS)
    assert (written.partition, written.base_offset, written.records) == (0, 0, 4)
    received = read(Consumer(cluster, TOPIC, start=admin.EARLIEST), 4)
    assert [contents(each.record) for each in received] == [contents(each) for each in RECORDS]
    assert [each.record.offset for each in received] == [0, 1, 2, 3]


@pytest.mark.parametrize("acks", [0, 1, ACKS_ALL])
def test_every_kind_of_acknowledgement_stores_the_records(cluster: Cluster, acks: int) -> None:
    admin.create_topic(cluster, TOPIC, partitions=1)
    producer = Producer(cluster, TOPIC, acks=acks)
    base_offsets = [producer.write(RECORDS)[0].base_offset for _ in range(2)]
    assert base_offsets == ([-1, -1] if acks == 0 else [0, 4])
    assert len(read(Consumer(cluster, TOPIC, start=admin.EARLIEST), 8)) == 8


@pytest.mark.parametrize("release", releases())
def test_a_client_of_every_release_writes_reads_and_commits(broker: Broker, release: str) -> None:
    versions: VersionRanges = versions_of(release)
    with Cluster(broker.bootstrap_servers, release=versions) as cluster:
        admin.create_topic(cluster, TOPIC, partitions=2, replication_factor=1)
        Producer(cluster, TOPIC, partition=1).write(RECORDS)
        member = GroupMember(cluster, "g", [TOPIC])
        consumer = Consumer(cluster, TOPIC, start=admin.EARLIEST, member=member)
        assert [contents(each.record) for each in read(consumer, 4)] == [
            contents(each) for each in RECORDS
        ]
        consumer.commit()
        assert admin.describe_group(cluster, "g").group_state == "Stable"
        member.leave()
        assert admin.group_offsets(cluster, "g")[TopicPartition(TOPIC, 1)] == 4
        assert admin.list_groups(cluster)[0].group_id == "g"
        admin.create_partitions(cluster, TOPIC, 3)
        assert len(cluster.topic(TOPIC).partitions) == 3
        admin.delete_topic(cluster, TOPIC)
        assert TOPIC not in {topic.name for topic in admin.list_topics(cluster)}


def test_keys_decide_the_partition_and_keyless_records_take_turns(cluster: Cluster) -> None:
    admin.create_topic(cluster, TOPIC, partitions=3)
    producer = Producer(cluster, TOPIC)
    (keyed,) = producer.write([Record(timestamp_ms=1, key=b"key", value=b"v")])
    assert keyed.partition == partition_of(b"key", 3)
    turns = [producer.write([Record(timestamp_ms=1, value=b"v")])[0].partition for _ in range(4)]
    assert turns == [1, 2, 0, 1]


def test_what_is_too_much_for_one_batch_becomes_several(cluster: Cluster) -> None:
    admin.create_topic(cluster, TOPIC, partitions=1)
    records = [Record(timestamp_ms=n, value=bytes(300_000)) for n in range(5)]
    written = Producer(cluster, TOPIC).write(records)
    assert [(batch.base_offset, batch.records) for batch in written] == [(n, 1) for n in range(5)]


def test_a_lost_acknowledgement_does_not_store_twice(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.create_topic(cluster, TOPIC, partitions=1)
    producer = Producer(cluster, TOPIC)
    producer.write([Record(timestamp_ms=0, value=b"first")])
    take = Connection.take
    lost: list[bool] = []

    def take_and_lose(
        self: Connection, response_type: type[WireMessage], version: int, correlation_id: int
    ) -> WireMessage:
        response = take(self, response_type, version, correlation_id)
        if isinstance(response, ProduceResponse) and not lost:
            lost.append(True)
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
        return response

    monkeypatch.setattr(Connection, "take", take_and_lose)
    (written,) = producer.write([Record(timestamp_ms=1, value=b"second")])
    assert lost
    assert written.base_offset == 1
    received = read(Consumer(cluster, TOPIC, start=admin.EARLIEST), 2)
    assert [each.record.value for each in received] == [b"first", b"second"]


def test_an_unknown_topic_is_created_by_the_first_writer(cluster: Cluster) -> None:
    assert Producer(cluster, "new").write(RECORDS)
    with pytest.raises(KafkaError):
        Consumer(cluster, "unknown")


def test_an_offset_outside_the_log_is_told_and_the_consumer_goes_on_at_its_start(
    cluster: Cluster,
) -> None:
    Producer(cluster, TOPIC).write(RECORDS)
    with pytest.raises(OffsetOutOfRangeError, match="t-0 has no offset 99 now"):
        Fetcher(cluster).fetch({TopicPartition(TOPIC, 0): 99}, max_wait_ms=0)
    consumer = Consumer(cluster, TOPIC, start=admin.EARLIEST, positions={0: 99})
    assert len(read(consumer, 4)) == 4


def test_a_consumer_starts_at_the_end_at_an_offset_or_at_a_time(cluster: Cluster) -> None:
    producer = Producer(cluster, TOPIC)
    producer.write(RECORDS)
    at_end = Consumer(cluster, TOPIC)
    at_offset = Consumer(cluster, TOPIC, positions={0: 2})
    at_time = Consumer(cluster, TOPIC, start=3)
    after_all = Consumer(cluster, TOPIC, start=5)
    producer.write([Record(timestamp_ms=9, value=b"last")])
    assert [each.record.offset for each in read(at_end, 1)] == [4]
    assert [each.record.offset for each in read(at_offset, 3)] == [2, 3, 4]
    assert [each.record.offset for each in read(at_time, 3)] == [2, 3, 4]
    assert [each.record.offset for each in read(after_all, 1)] == [4]


def test_a_group_goes_on_where_it_committed(cluster: Cluster) -> None:
    Producer(cluster, TOPIC).write(RECORDS)
    first = GroupMember(cluster, "g", [TOPIC])
    consumer = Consumer(cluster, TOPIC, start=admin.EARLIEST, member=first)
    received: list[Received] = []
    while not received:
        received = consumer.poll(max_wait_ms=500, max_records=3)
    consumer.commit()
    first.leave()
    second = GroupMember(cluster, "g", [TOPIC])
    rest = read(Consumer(cluster, TOPIC, start=admin.EARLIEST, member=second), 1)
    assert [each.record.offset for each in received + rest] == [0, 1, 2, 3]


def test_two_members_share_the_partitions_and_the_one_that_stays_gets_all(broker: Broker) -> None:
    with Cluster(broker.bootstrap_servers) as one, Cluster(broker.bootstrap_servers) as other:
        admin.create_topic(one, TOPIC, partitions=3)
        first = GroupMember(one, "g", [TOPIC], heartbeat_interval_ms=0)
        second = GroupMember(other, "g", [TOPIC], heartbeat_interval_ms=0)
        assert len(first.join()) == 3
        joined: list[TopicPartition] = []
        joining = threading.Thread(target=lambda: joined.extend(second.join()))
        joining.start()
        beat_until_rebalance(first)
        kept = first.join()
        joining.join(30)
        assert sorted([*kept, *joined]) == [TopicPartition(TOPIC, n) for n in range(3)]
        assert sorted(map(len, (kept, joined))) == [1, 2]
        second.leave()
        beat_until_rebalance(first)
        assert len(first.join()) == 3
        first.leave()


def test_a_member_that_the_group_forgot_joins_anew(cluster: Cluster) -> None:
    admin.create_topic(cluster, TOPIC, partitions=1)
    member = GroupMember(cluster, "g", [TOPIC], heartbeat_interval_ms=0)
    member.join()
    stranger = GroupMember(cluster, "g", [TOPIC])
    stranger._member_id, stranger._generation = member._member_id, member._generation
    stranger.leave()
    with pytest.raises(RebalanceNeededError):
        member.heartbeat()
    with pytest.raises(RebalanceNeededError):
        member.commit({TopicPartition(TOPIC, 0): 1})
    assert member.join() == [TopicPartition(TOPIC, 0)]


def test_a_batch_that_was_damaged_on_its_way_is_never_shown(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    Producer(cluster, TOPIC).write(RECORDS)
    monkeypatch.setattr("datacore.client.fetcher.verify_crc", lambda *_: False)
    with pytest.raises(ClientError, match="t-0: the batch at offset 0 is corrupt"):
        Fetcher(cluster).fetch({TopicPartition(TOPIC, 0): 0}, max_wait_ms=0)
