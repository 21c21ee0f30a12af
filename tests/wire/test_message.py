"""What every generated class can do."""

import pytest

from datacore._generated.broker_heartbeat import BrokerHeartbeatRequest
from datacore._generated.fetch import FetchableTopicResponse, FetchResponse, LeaderIdAndEpoch
from datacore._generated.fetch import PartitionData as FetchPartitionData
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore._generated.records.consumer_group_member_metadata import (
    ClassicMemberMetadata,
    ConsumerGroupMemberMetadataValue,
)
from datacore.wire.errors import DecodeError, EncodeError


def produce_request(records: bytes | memoryview) -> ProduceRequest:
    """One partition."""
    partition = PartitionProduceData(index=3, records=records)
    return ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[partition])])


def test_messages_are_compared_by_value_and_records_by_their_bytes() -> None:
    assert produce_request(b"abc") == produce_request(memoryview(b"abc"))
    assert produce_request(b"abc") != produce_request(b"abd")
    assert MetadataRequest() != ProduceRequest()
    assert MetadataRequest() != "MetadataRequest()"


def test_messages_are_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(MetadataRequest())


def test_a_message_shows_its_fields_but_not_its_views() -> None:
    assert repr(MetadataRequestTopic(name="t")).startswith("MetadataRequestTopic(topic_id=b'")
    assert "records=<3 bytes>" in repr(produce_request(memoryview(b"abc")))


def test_lists_are_not_shared_between_messages() -> None:
    ProduceRequest().topic_data.append(TopicProduceData())
    assert ProduceRequest().topic_data == []


def test_an_explicit_null_stays_null() -> None:
    assert MetadataRequest(topics=None).topics is None
    assert MetadataRequest().topics == []


def test_a_shared_default_equals_a_struct_of_its_own_and_cannot_be_changed() -> None:
    shared = FetchPartitionData().current_leader
    assert shared == LeaderIdAndEpoch()
    assert shared is FetchPartitionData().current_leader
    with pytest.raises(AttributeError, match="assign a new one"):
        shared.leader_id = 5
    assert isinstance(shared, LeaderIdAndEpoch)


def test_a_default_of_its_own_is_written_like_the_shared_one() -> None:
    def response(leader: LeaderIdAndEpoch) -> FetchResponse:
        partition = FetchPartitionData(current_leader=leader)
        return FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])

    plain = FetchResponse(
        responses=[FetchableTopicResponse(topic="t", partitions=[FetchPartitionData()])]
    )
    assert response(LeaderIdAndEpoch()).encode(12) == plain.encode(12)
    assert len(response(LeaderIdAndEpoch(leader_id=1)).encode(12)) > len(plain.encode(12))


def test_a_bare_null_default_of_a_nullable_struct_is_an_empty_struct() -> None:
    value = ConsumerGroupMemberMetadataValue()
    assert value.classic_member_metadata == ClassicMemberMetadata()
    null = ConsumerGroupMemberMetadataValue(classic_member_metadata=None)
    # In a tagged field null is written out: tag 0, one byte, 0.
    assert null.encode(0) == value.encode(0)[:-1] + b"\x01\x00\x01\x00"
    assert ConsumerGroupMemberMetadataValue.decode(null.encode(0), 0)[0] == null


def test_null_where_a_version_has_none_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"MetadataRequest version 0: .*topics is None"):
        MetadataRequest(topics=None).encode(0)
    with pytest.raises(DecodeError, match=r"MetadataRequest version 0: .*topics is null"):
        MetadataRequest.decode(b"\xff\xff\xff\xff", 0)
    assert MetadataRequest.decode(b"\xff\xff\xff\xff", 1)[0].topics is None


def test_a_field_that_a_version_lacks_must_be_at_its_default() -> None:
    with pytest.raises(EncodeError, match=r"ProduceRequest\.transactional_id is set"):
        ProduceRequest(transactional_id="x").encode(2)
    with pytest.raises(EncodeError, match=r"allow_auto_topic_creation is set"):
        MetadataRequest(allow_auto_topic_creation=False).encode(3)


def test_an_ignorable_field_that_a_version_lacks_is_dropped() -> None:
    with_id = TopicProduceData(name="t", topic_id=bytes(range(16)))
    assert ProduceRequest.decode(ProduceRequest(topic_data=[with_id]).encode(9), 9)[0] == (
        ProduceRequest(topic_data=[TopicProduceData(name="t")])
    )


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(EncodeError, match="ProduceRequest version 9"):
        ProduceRequest(acks=40000).encode(9)
    with pytest.raises(EncodeError, match="a string has 32767"):
        ProduceRequest(transactional_id="x" * 32768).encode(9)
    with pytest.raises(EncodeError, match="ProduceRequest version 3"):
        ProduceRequest(transactional_id="x" * 32768).encode(3)
    with pytest.raises(EncodeError, match="surrogates not allowed"):
        ProduceRequest(transactional_id="\ud800").encode(9)


def test_a_count_that_the_frame_cannot_hold_is_refused_before_anything_is_made() -> None:
    with pytest.raises(DecodeError, match="topics claims 2147483647 elements in 3 bytes"):
        MetadataRequest.decode(bytes.fromhex("7fffffff 0001 61"), 0)
    # Tag 0 of version 1 is an array of UUIDs.
    frame = BrokerHeartbeatRequest(offline_log_dirs=[bytes(16)]).encode(1)
    hostile = frame.replace(b"\x01\x00\x11\x02", b"\x01\x00\x11\xff\xff\xff\xff\x0f")
    assert hostile != frame
    with pytest.raises(DecodeError, match="offline_log_dirs claims 4294967294 elements"):
        BrokerHeartbeatRequest.decode(hostile, 1)


def test_bad_utf_8_is_refused() -> None:
    with pytest.raises(DecodeError, match="utf-8"):
        MetadataRequest.decode(b"\x00\x00\x00\x01\x00\x01\xff", 0)


def test_a_string_longer_than_kafka_allows_is_refused() -> None:
    length = (32768 + 1).to_bytes(2, "little")
    frame = bytes([length[0] & 0x7F | 0x80, 0x80, 0x02]) + b"x" * 32768
    with pytest.raises(DecodeError, match="a string has 32767"):
        ProduceRequest.decode(frame, 9)


def test_parts_are_the_message_with_its_records_as_they_are() -> None:
    records = memoryview(b"abc")
    parts = produce_request(records).encode_parts(9)
    assert len(parts) == 3
    assert parts[1] is records
    assert b"".join(parts) == produce_request(records).encode(9)
    assert MetadataRequest().encode_parts(9) == [MetadataRequest().encode(9)]
