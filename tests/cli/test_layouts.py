"""Two readers that know nothing of each other, construct's layouts and the codecs, agree."""

from typing import Any

import pytest
from construct import Construct, ConstructError
from hypothesis import given
from hypothesis import strategies as st

from datacore._generated.api_keys import request_header_version, response_header_version
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    LeaderIdAndEpoch,
    PartitionData,
    SnapshotId,
)
from datacore._generated.metadata import MetadataResponse
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore._generated.request_header import RequestHeader
from datacore._generated.response_header import ResponseHeader
from datacore.cli import layouts
from datacore.protocol.headers import (
    pack_flexible_response_start,
    pack_response_start,
    read_request_header_end,
    unpack_request_start,
)
from datacore.record.compression import Codec, decompress
from datacore.record.legacy import down_convert
from datacore.record.records import Record, encode_batch
from datacore.wire.message import WireMessage
from tests.golden import corpus
from tests.golden.corpus import MessageVector

LAYOUTS: dict[tuple[type[WireMessage], int], Construct] = {
    (RequestHeader, 1): layouts.REQUEST_HEADER_V1,
    (RequestHeader, 2): layouts.REQUEST_HEADER_V2,
    (ResponseHeader, 0): layouts.RESPONSE_HEADER_V0,
    (ResponseHeader, 1): layouts.RESPONSE_HEADER_V1,
    (ApiVersionsRequest, 0): layouts.API_VERSIONS_REQUEST_V0,
    (ApiVersionsRequest, 3): layouts.API_VERSIONS_REQUEST_V3,
    (ApiVersionsResponse, 0): layouts.API_VERSIONS_RESPONSE_V0,
    (ApiVersionsResponse, 3): layouts.API_VERSIONS_RESPONSE_V3,
    (ProduceRequest, 9): layouts.PRODUCE_REQUEST_V9,
    (FetchResponse, 12): layouts.FETCH_RESPONSE_V12,
    **{
        (MetadataResponse, version): layout
        for version, layout in layouts.METADATA_RESPONSES.items()
    },
}
CLASSES = {(kind.__name__, version): kind for kind, version in LAYOUTS}
VECTORS = [v for v in corpus.messages() if (v.message, v.version) in CLASSES]

INT8 = st.integers(-(2**7), 2**7 - 1)
INT16 = st.integers(-(2**15), 2**15 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=150)
BYTES = st.binary(max_size=150)
TAGS = st.dictionaries(st.integers(100, 2**31 - 1), BYTES, max_size=2).map(
    lambda tags: tuple(sorted(tags.items()))
)


def test_every_layout_has_golden_vectors() -> None:
    assert {(v.message, v.version) for v in VECTORS} == set(CLASSES)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_layout_and_the_codec_read_the_same_from_javas_bytes(vector: MessageVector) -> None:
    kind = CLASSES[vector.message, vector.version]
    decoded, _ = kind.decode(vector.body, vector.version)
    assert_same(layouts.read_whole(LAYOUTS[kind, vector.version], vector.body), decoded)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_layout_writes_what_it_read(vector: MessageVector) -> None:
    layout = LAYOUTS[CLASSES[vector.message, vector.version], vector.version]
    assert layout.build(layouts.read_whole(layout, vector.body)) == vector.body


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_layout_refuses_bytes_behind_a_message(vector: MessageVector) -> None:
    layout = LAYOUTS[CLASSES[vector.message, vector.version], vector.version]
    with pytest.raises(ConstructError):
        layouts.read_whole(layout, vector.body + b"\x00")


produce_requests = st.builds(
    ProduceRequest,
    transactional_id=st.none() | TEXT,
    acks=INT16,
    timeout_ms=INT32,
    topic_data=st.lists(
        st.builds(
            TopicProduceData,
            name=TEXT,
            partition_data=st.lists(
                st.builds(
                    PartitionProduceData,
                    index=INT32,
                    records=st.none() | BYTES,
                    unknown_tagged_fields=TAGS,
                ),
                max_size=3,
            ),
            unknown_tagged_fields=TAGS,
        ),
        max_size=3,
    ),
    unknown_tagged_fields=TAGS,
)
fetch_responses = st.builds(
    FetchResponse,
    throttle_time_ms=INT32,
    error_code=INT16,
    session_id=INT32,
    responses=st.lists(
        st.builds(
            FetchableTopicResponse,
            topic=TEXT,
            partitions=st.lists(
                st.builds(
                    PartitionData,
                    partition_index=INT32,
                    error_code=INT16,
                    high_watermark=INT64,
                    last_stable_offset=INT64,
                    log_start_offset=INT64,
                    diverging_epoch=st.builds(EpochEndOffset, epoch=INT32, end_offset=INT64),
                    current_leader=st.builds(LeaderIdAndEpoch, leader_id=INT32, leader_epoch=INT32),
                    snapshot_id=st.builds(SnapshotId, end_offset=INT64, epoch=INT32),
                    aborted_transactions=st.none()
                    | st.lists(
                        st.builds(AbortedTransaction, producer_id=INT64, first_offset=INT64),
                        max_size=2,
                    ),
                    preferred_read_replica=INT32,
                    records=st.none() | BYTES,
                    unknown_tagged_fields=TAGS,
                ),
                max_size=2,
            ),
            unknown_tagged_fields=TAGS,
        ),
        max_size=2,
    ),
)


@given(produce_requests)
def test_a_layout_reads_what_the_codec_wrote_of_produce(message: ProduceRequest) -> None:
    assert_same(layouts.read_whole(layouts.PRODUCE_REQUEST_V9, message.encode(9)), message)


@given(fetch_responses)
def test_a_layout_reads_what_the_codec_wrote_of_fetch(message: FetchResponse) -> None:
    assert_same(layouts.read_whole(layouts.FETCH_RESPONSE_V12, message.encode(12)), message)


@given(INT16, INT32, st.none() | TEXT, TAGS, st.booleans())
def test_the_server_reads_a_request_header_as_the_layout_wrote_it(
    api_version: int,
    correlation_id: int,
    client_id: str | None,
    tags: tuple[tuple[int, bytes], ...],
    is_flexible: bool,  # noqa: FBT001 - hypothesis passes it by position
) -> None:
    api_key = 3
    layout = layouts.REQUEST_HEADER_V2 if is_flexible else layouts.REQUEST_HEADER_V1
    fields = {
        "request_api_key": api_key,
        "request_api_version": api_version,
        "correlation_id": correlation_id,
        "client_id": client_id,
        "tagged_fields": [{"tag": tag, "value": value} for tag, value in tags],
    }
    header = layout.build(fields)
    frame = memoryview(header + b"body")
    api, read_correlation_id, client_id_length = unpack_request_start(frame, 0)
    read = read_request_header_end(frame, client_id_length, is_flexible=is_flexible)
    assert api == api_key << 16 | api_version & 0xFFFF
    assert read_correlation_id == correlation_id
    assert read == (client_id, len(header))


@given(INT32)
def test_a_layout_reads_the_response_headers_that_the_server_writes(correlation_id: int) -> None:
    plain = layouts.FRAME.parse(pack_response_start(4, correlation_id))
    assert layouts.read_whole(layouts.RESPONSE_HEADER_V0, plain).correlation_id == correlation_id
    flexible = layouts.FRAME.parse(pack_flexible_response_start(5, correlation_id, 0))
    header = layouts.read_whole(layouts.RESPONSE_HEADER_V1, flexible)
    assert (header.correlation_id, list(header.tagged_fields)) == (correlation_id, [])


def test_header_versions_of_the_layouts_are_those_of_the_table() -> None:
    assert request_header_version(ProduceRequest.api_key, 9) == 2
    assert response_header_version(FetchResponse.api_key, 12) == 1
    assert response_header_version(ApiVersionsResponse.api_key, 3) == 0


records = st.lists(
    st.builds(
        Record,
        timestamp_ms=st.integers(-1, 2**52),
        key=st.none() | BYTES,
        value=st.none() | BYTES,
        headers=st.lists(st.tuples(TEXT, st.none() | BYTES), max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@given(records, st.sampled_from(Codec), INT64.filter(lambda n: 0 <= n < 2**62), INT8)
def test_a_layout_reads_the_batches_that_we_write(
    written: list[Record], codec: Codec, base_offset: int, leader_epoch: int
) -> None:
    content = encode_batch(
        written, codec=codec, base_offset=base_offset, leader_epoch=leader_epoch, transactional=True
    )
    batch = layouts.read_whole(layouts.RECORD_BATCH, bytes(content))
    assert (batch.base_offset, batch.magic, batch.record_count) == (base_offset, 2, len(written))
    assert batch.partition_leader_epoch == leader_epoch
    assert (batch.attributes.codec, batch.attributes.is_transactional) == (codec, True)
    assert not batch.attributes.unused
    read = layouts.RECORDS.parse(decompress(batch.records, codec))
    for number, (one, other) in enumerate(zip(read, written, strict=True)):
        assert one.offset_delta == number
        assert batch.base_timestamp + one.timestamp_delta == other.timestamp_ms
        assert (one.key, one.value) == (other.key, other.value)
        assert [(header.key, header.value) for header in one.headers] == other.headers


@given(records, st.sampled_from([0, 1]))
def test_a_layout_reads_the_messages_that_we_write(written: list[Record], magic: int) -> None:
    content = down_convert(encode_batch(written, base_offset=7), magic)
    read = layouts.MESSAGE_SET.parse(content)
    for number, (one, other) in enumerate(zip(read, written, strict=True)):
        assert (one.offset, one.magic) == (7 + number, magic)
        assert one.timestamp == (other.timestamp_ms if magic else None)
        assert (one.key, one.value) == (other.key, other.value)


def assert_same(read: Any, message: Any) -> None:
    """What a layout read is what the codec's object holds, unknown tagged fields included."""
    unknown: list[tuple[int, bytes]] = []
    for name, value in read.items():
        if name == "tagged_fields":
            unknown = [(tag.tag, tag.value) for tag in value if isinstance(tag.value, bytes)]
        elif name != "_io":
            assert_same_value(value, getattr(message, name))
    assert list(message.unknown_tagged_fields) == unknown


def assert_same_value(read: Any, value: Any) -> None:
    if isinstance(read, list):
        for one, other in zip(read, value, strict=True):
            assert_same_value(one, other)
    elif isinstance(read, dict):
        assert_same(read, value)
    else:
        assert read == value
