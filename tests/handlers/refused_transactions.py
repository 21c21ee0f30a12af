"""Transactions that are not there, or not the asker's."""

from collections.abc import Callable, Iterator

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest
from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.api_keys import ApiKey
from datacore._generated.describe_producers import DescribeProducersRequest, TopicRequest
from datacore._generated.describe_transactions import DescribeTransactionsRequest
from datacore._generated.end_txn import EndTxnRequest
from datacore._generated.errors import ErrorCode
from datacore._generated.init_producer_id import InitProducerIdRequest
from datacore._generated.list_transactions import ListTransactionsRequest
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from datacore.record.records import Record, encode_batch
from tests.handlers.refused import EMPTY, MISSING, Refused

STRANGER = "nobody's transactional id"
PRODUCER_ID = 4_000_000


def _init(
    *, transactional_id: str = STRANGER, timeout_ms: int = 1_000, producer_id: int = -1
) -> Callable[[int], InitProducerIdRequest]:
    request = InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=timeout_ms,
        producer_id=producer_id,
    )
    return lambda _: request


def _add(
    transactional_id: str = STRANGER, *, topic: str = EMPTY, partition: int = 0
) -> Callable[[int], AddPartitionsToTxnRequest]:
    topics = [AddPartitionsToTxnTopic(name=topic, partitions=[partition])]

    def request(version: int) -> AddPartitionsToTxnRequest:
        if version < 4:
            return AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=transactional_id,
                v3_and_below_producer_id=PRODUCER_ID,
                v3_and_below_topics=topics,
            )
        transaction = AddPartitionsToTxnTransaction(
            transactional_id=transactional_id, producer_id=PRODUCER_ID, topics=topics
        )
        return AddPartitionsToTxnRequest(transactions=[transaction])

    return request


def _commit(
    *, topic: str = EMPTY, group_id: str = "refused-commits"
) -> Callable[[int], TxnOffsetCommitRequest]:
    partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    request = TxnOffsetCommitRequest(
        transactional_id=STRANGER,
        group_id=group_id,
        producer_id=PRODUCER_ID,
        topics=[TxnOffsetCommitRequestTopic(name=topic, partitions=[partition])],
    )
    return lambda _: request


def _produce() -> Callable[[int], ProduceRequest]:
    batch = encode_batch(
        [Record(0, 1_700_000_000_000, b"k", b"v")],
        producer_id=PRODUCER_ID,
        producer_epoch=0,
        base_sequence=0,
        transactional=True,
    )
    data = TopicProduceData(name=EMPTY, partition_data=[PartitionProduceData(records=batch)])
    request = ProduceRequest(transactional_id=STRANGER, acks=-1, topic_data=[data])
    return lambda _: request


def _producers(topic: str) -> Callable[[int], DescribeProducersRequest]:
    request = DescribeProducersRequest(topics=[TopicRequest(name=topic, partition_indexes=[0])])
    return lambda _: request


def _end(transactional_id: str = STRANGER) -> Callable[[int], EndTxnRequest]:
    request = EndTxnRequest(
        transactional_id=transactional_id, producer_id=PRODUCER_ID, committed=True
    )
    return lambda _: request


def transaction_refusals() -> Iterator[Refused]:
    init, invalid = ApiKey.INIT_PRODUCER_ID, ErrorCode.INVALID_REQUEST
    too_long = ErrorCode.INVALID_TRANSACTION_TIMEOUT
    yield Refused("InitProducerId without a timeout", init, too_long, _init(timeout_ms=0))
    yield Refused("InitProducerId for too long", init, too_long, _init(timeout_ms=900_001))
    yield Refused("InitProducerId of half a producer", init, invalid, _init(producer_id=1), since=3)
    stranger, unknown = ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    add = ApiKey.ADD_PARTITIONS_TO_TXN
    yield Refused("AddPartitionsToTxn of nobody", add, stranger, _add())
    yield Refused("AddPartitionsToTxn without an id", add, invalid, _add(""))
    yield Refused("AddPartitionsToTxn of an unknown topic", add, unknown, _add(topic=MISSING))
    yield Refused("AddPartitionsToTxn of an unknown partition", add, unknown, _add(partition=9))
    offsets = AddOffsetsToTxnRequest(
        transactional_id=STRANGER, producer_id=PRODUCER_ID, group_id="refused-commits"
    )
    yield Refused(
        "AddOffsetsToTxn of nobody", ApiKey.ADD_OFFSETS_TO_TXN, stranger, lambda _: offsets
    )
    yield Refused("EndTxn of nobody", ApiKey.END_TXN, stranger, _end())
    yield Refused("EndTxn without an id", ApiKey.END_TXN, invalid, _end(""))
    commit = ApiKey.TXN_OFFSET_COMMIT
    yield Refused("TxnOffsetCommit of nobody", commit, stranger, _commit())
    yield Refused("TxnOffsetCommit of an unknown topic", commit, unknown, _commit(topic=MISSING))
    yield Refused(
        "Produce in nobody's transaction", ApiKey.PRODUCE, stranger, _produce(), since=3, until=12
    )
    marker = WritableTxnMarker(
        producer_id=PRODUCER_ID,
        topics=[WritableTxnMarkerTopic(name=MISSING, partition_indexes=[0])],
    )
    yield Refused(
        "WriteTxnMarkers to an unknown topic",
        ApiKey.WRITE_TXN_MARKERS,
        unknown,
        lambda _: WriteTxnMarkersRequest(markers=[marker]),
    )
    yield Refused(
        "DescribeTransactions of nobody",
        ApiKey.DESCRIBE_TRANSACTIONS,
        ErrorCode.TRANSACTIONAL_ID_NOT_FOUND,
        lambda _: DescribeTransactionsRequest(transactional_ids=[STRANGER]),
    )
    yield Refused(
        "DescribeTransactions without an id",
        ApiKey.DESCRIBE_TRANSACTIONS,
        invalid,
        lambda _: DescribeTransactionsRequest(transactional_ids=[""]),
    )
    producers, bad_name = ApiKey.DESCRIBE_PRODUCERS, ErrorCode.INVALID_TOPIC_EXCEPTION
    yield Refused("DescribeProducers of an unknown topic", producers, unknown, _producers(MISSING))
    yield Refused("DescribeProducers of no topic", producers, bad_name, _producers(""))
    yield Refused(
        "ListTransactions by what is no pattern",
        ApiKey.LIST_TRANSACTIONS,
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        lambda _: ListTransactionsRequest(transactional_id_pattern="("),
        since=2,
    )
