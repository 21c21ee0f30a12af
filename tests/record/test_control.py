import pytest

from datacore.record.batch import parse_header, verify_crc
from datacore.record.control import (
    ControlType,
    EndTransactionMarker,
    decode_end_transaction_marker,
    encode_end_transaction_marker,
)
from datacore.record.errors import InvalidRecord
from datacore.record.records import Record, encode_batch
from tests.record import kafka_python

KEY = b"\x00\x00\x00\x01"
VALUE = b"\x00\x00\x00\x00\x00\x07"


@pytest.mark.parametrize("control_type", ControlType)
def test_marker_comes_back_and_kafka_python_knows_it(control_type: ControlType) -> None:
    marker = EndTransactionMarker(control_type, 12)
    batch = encode_end_transaction_marker(
        marker, producer_id=5, producer_epoch=3, timestamp_ms=1000, base_offset=40, leader_epoch=2
    )
    header = parse_header(batch)
    assert verify_crc(batch, header)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (5, 3, -1)
    assert (header.base_offset, header.next_offset, header.leader_epoch) == (40, 41, 2)
    assert decode_end_transaction_marker(batch, header) == marker
    assert kafka_python.end_of_transaction(bytes(batch)) == control_type.name.lower()


def test_fields_of_later_versions_are_ignored() -> None:
    record = Record(key=b"\x00\x01" + KEY[2:] + b"more", value=b"\x00\x01" + VALUE[2:] + b"more")
    batch = encode_batch([record], control=True)
    marker = decode_end_transaction_marker(batch, parse_header(batch))
    assert marker == EndTransactionMarker(ControlType.COMMIT, 7)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, VALUE),
        (KEY, None),
        (KEY[:3], VALUE),
        (KEY, VALUE[:5]),
        (b"\x00\x00\x00\x02", VALUE),
        (b"\xff\xff\x00\x01", VALUE),
        (KEY, b"\xff\xff\x00\x00\x00\x07"),
    ],
)
def test_other_control_records_are_refused(key: bytes | None, value: bytes | None) -> None:
    batch = encode_batch([Record(key=key, value=value)], control=True)
    with pytest.raises(InvalidRecord):
        decode_end_transaction_marker(batch, parse_header(batch))


def test_data_batch_is_no_marker() -> None:
    batch = encode_batch([Record(key=KEY, value=VALUE)])
    with pytest.raises(InvalidRecord):
        decode_end_transaction_marker(batch, parse_header(batch))
