"""What a reader of committed records leaves out of what a broker sends (KIP-98)."""

from datacore._generated.fetch import AbortedTransaction, PartitionData
from datacore.client.fetcher import _read_partition
from datacore.client.subscription import TopicPartition
from datacore.record.control import (
    ControlType,
    EndTransactionMarker,
    encode_end_transaction_marker,
)
from datacore.record.records import Record, encode_batch

A, B, PLAIN = 7, 8, -1


def written(offset: int, producer_id: int, value: str) -> bytes:
    return bytes(
        encode_batch(
            [Record(timestamp_ms=1, value=value.encode())],
            base_offset=offset,
            producer_id=producer_id,
            producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=0 if producer_id >= 0 else -1,
            transactional=producer_id >= 0,
        )
    )


def ended(offset: int, producer_id: int, how: ControlType) -> bytes:
    return bytes(
        encode_end_transaction_marker(
            EndTransactionMarker(how, 0),
            producer_id=producer_id,
            producer_epoch=0,
            timestamp_ms=1,
            base_offset=offset,
        )
    )


LOG = [
    written(0, A, "a0"),
    written(1, B, "b1"),
    written(2, PLAIN, "p2"),
    ended(3, A, ControlType.ABORT),
    written(4, A, "a4"),
    ended(5, B, ControlType.COMMIT),
    ended(6, A, ControlType.COMMIT),
    written(7, B, "b7"),
    ended(8, B, ControlType.ABORT),
]


def read(begin: int, aborted: list[tuple[int, int]] | None) -> list[str]:
    data = PartitionData(
        partition_index=0,
        records=b"".join(LOG[begin:]),
        aborted_transactions=None
        if aborted is None
        else [AbortedTransaction(producer_id=who, first_offset=at) for who, at in aborted],
    )
    fetched = _read_partition(TopicPartition("t", 0), data, begin)
    assert fetched.next_offset == 9
    return [(record.value or b"").decode() for record in fetched.records]


def test_records_of_an_aborted_transaction_are_left_out_up_to_its_marker() -> None:
    assert read(0, [(A, 0), (B, 7)]) == ["b1", "p2", "a4"]


def test_the_list_need_not_be_in_order() -> None:
    assert read(0, [(B, 7), (A, 0)]) == ["b1", "p2", "a4"]


def test_a_transaction_that_began_before_the_position_counts() -> None:
    assert read(1, [(A, 0), (B, 7)]) == ["b1", "p2", "a4"]


def test_without_a_list_only_markers_are_left_out() -> None:
    assert read(0, None) == ["a0", "b1", "p2", "a4", "b7"]
