"""What a transactional producer, and who looks after it, do: each step is one API."""

from collections.abc import Callable
from itertools import count

from datacore._generated.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from datacore._generated.api_keys import ApiKey
from datacore._generated.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    ProducerState,
    TopicRequest,
)
from datacore._generated.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.errors import ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from datacore._generated.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore._generated.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from datacore._generated.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from datacore.record.records import Record, encode_batch
from tests.handlers.speaker import Speaker

MS = 1_700_000_000_000
COMMITTED = 17


class TransactionFlow:
    """One producer with a transactional id; steps run in the order in which they stand here."""

    def __init__(self, speaker: Speaker, label: str) -> None:
        self.speaker = speaker
        self.transactional_id = f"transactional-{label}"
        self.group_id = f"transactional-group-{label}"
        self.topic = f"of-transactions-{label}"
        self.producer_id = -1
        self.epoch = -1
        self.sequences = count()

    def init_producer_id(self) -> None:
        creation = MetadataRequest(topics=[MetadataRequestTopic(name=self.topic)])
        self.speaker.connection.send(creation, MetadataResponse, 4)
        for key_type, key in ((1, self.transactional_id), (0, self.group_id)):
            # Version 0 knows groups alone, and later ones have their own step.
            request = FindCoordinatorRequest(key=key, key_type=key_type)
            found = self.speaker.connection.send(request, FindCoordinatorResponse, 1)
            assert found.error_code == 0
        request_ = InitProducerIdRequest(
            transactional_id=self.transactional_id, transaction_timeout_ms=60_000
        )
        began = self.speaker.send(request_, InitProducerIdResponse)
        assert (began.error_code, began.producer_epoch) == (0, 0)
        again = self.speaker.send(request_, InitProducerIdResponse)
        assert (again.producer_id, again.producer_epoch) == (began.producer_id, 1)
        self.producer_id, self.epoch = again.producer_id, again.producer_epoch

    # --- a transaction

    def add_partitions_to_txn(self) -> None:
        assert self._add(self.epoch) == {0}
        assert self._add(self.epoch - 1) & {
            ErrorCode.PRODUCER_FENCED,
            ErrorCode.INVALID_PRODUCER_EPOCH,
        }
        if self.speaker.version(ApiKey.ADD_PARTITIONS_TO_TXN) >= 4:
            assert self._add(self.epoch, verify_only=True) == {0}
        self._produce()

    def _add(self, epoch: int, *, verify_only: bool = False) -> set[int]:
        topics = [AddPartitionsToTxnTopic(name=self.topic, partitions=[0])]
        if self.speaker.version(ApiKey.ADD_PARTITIONS_TO_TXN) < 4:
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=self.transactional_id,
                v3_and_below_producer_id=self.producer_id,
                v3_and_below_producer_epoch=epoch,
                v3_and_below_topics=topics,
            )
            response = self.speaker.send(request, AddPartitionsToTxnResponse)
            results = response.results_by_topic_v3_and_below
        else:
            transaction = AddPartitionsToTxnTransaction(
                transactional_id=self.transactional_id,
                producer_id=self.producer_id,
                producer_epoch=epoch,
                verify_only=verify_only,
                topics=topics,
            )
            request = AddPartitionsToTxnRequest(transactions=[transaction])
            response = self.speaker.send(request, AddPartitionsToTxnResponse)
            assert response.error_code == 0
            (result,) = response.results_by_transaction
            assert result.transactional_id == self.transactional_id
            results = result.topic_results
        assert [topic.name for topic in results] == [self.topic]
        return {each.partition_error_code for each in results[0].results_by_partition}

    def _produce(self) -> None:
        """A batch of the transaction, whose partition was added."""
        batch = encode_batch(
            [Record(0, MS, b"k", b"v")],
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            base_sequence=next(self.sequences),
            transactional=True,
        )
        data = TopicProduceData(
            name=self.topic, partition_data=[PartitionProduceData(records=batch)]
        )
        request = ProduceRequest(transactional_id=self.transactional_id, acks=-1, topic_data=[data])
        response = self.speaker.connection.send(request, ProduceResponse, 3)
        assert response.responses[0].partition_responses[0].error_code == 0

    def add_offsets_to_txn(self) -> None:
        request = AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            group_id=self.group_id,
        )
        assert self.speaker.send(request, AddOffsetsToTxnResponse).error_code == 0

    def txn_offset_commit(self) -> None:
        partition = TxnOffsetCommitRequestPartition(
            partition_index=0, committed_offset=COMMITTED, committed_metadata="in a transaction"
        )
        request = TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=self.group_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            topics=[TxnOffsetCommitRequestTopic(name=self.topic, partitions=[partition])],
        )
        (topic,) = self.speaker.send(request, TxnOffsetCommitResponse).topics
        assert [(p.partition_index, p.error_code) for p in topic.partitions] == [(0, 0)]
        assert self._offset(require_stable=False) == (0, -1)
        assert self._offset(require_stable=True) == (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)

    def _offset(self, *, require_stable: bool) -> tuple[int, int]:
        """Error and committed offset of the group, as the newest consumer sees it."""
        topics = [OffsetFetchRequestTopics(name=self.topic, partition_indexes=[0])]
        request = OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id=self.group_id, topics=topics)],
            require_stable=require_stable,
        )
        (group,) = self.speaker.connection.send(request, OffsetFetchResponse, 9).groups
        (partition,) = group.topics[0].partitions
        return partition.error_code, partition.committed_offset

    # --- operators

    def describe_transactions(self) -> None:
        request = DescribeTransactionsRequest(
            transactional_ids=[self.transactional_id, "never-seen"]
        )
        response = self.speaker.send(request, DescribeTransactionsResponse)
        described, unknown = response.transaction_states
        assert (described.error_code, described.transaction_state) == (0, "Ongoing")
        assert (described.producer_id, described.producer_epoch) == (self.producer_id, self.epoch)
        assert described.transaction_timeout_ms == 60_000
        assert described.transaction_start_time_ms > MS
        assert (self.topic, [0]) in [(t.topic, t.partitions) for t in described.topics]
        assert unknown.error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND

    def list_transactions(self) -> None:
        request = ListTransactionsRequest(
            state_filters=["Ongoing", "NoSuchState"], producer_id_filters=[self.producer_id]
        )
        response = self.speaker.send(request, ListTransactionsResponse)
        assert (response.error_code, response.unknown_state_filters) == (0, ["NoSuchState"])
        (listed,) = response.transaction_states
        assert listed.transactional_id == self.transactional_id
        assert (listed.producer_id, listed.transaction_state) == (self.producer_id, "Ongoing")
        if self.speaker.version(ApiKey.LIST_TRANSACTIONS) >= 1:
            request = ListTransactionsRequest(
                producer_id_filters=[self.producer_id], duration_filter=3_600_000
            )
            assert not self.speaker.send(request, ListTransactionsResponse).transaction_states
        if self.speaker.version(ApiKey.LIST_TRANSACTIONS) >= 2:
            assert self._listed(f"{self.transactional_id[:-1]}.") == [self.transactional_id]
            assert self._listed(self.transactional_id[:-1]) == []
            assert self._listed("(") is None

    def _listed(self, pattern: str) -> list[str] | None:
        request = ListTransactionsRequest(
            producer_id_filters=[self.producer_id], transactional_id_pattern=pattern
        )
        response = self.speaker.send(request, ListTransactionsResponse)
        if response.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION:
            return None
        return [state.transactional_id for state in response.transaction_states]

    def describe_producers(self) -> None:
        assert self._producer().current_txn_start_offset >= 0
        assert self._producer().producer_epoch == self.epoch

    def _producer(self) -> ProducerState:
        request = DescribeProducersRequest(
            topics=[TopicRequest(name=self.topic, partition_indexes=[0])]
        )
        (topic,) = self.speaker.send(request, DescribeProducersResponse).topics
        (partition,) = topic.partitions
        assert (topic.name, partition.error_code) == (self.topic, 0)
        return {each.producer_id: each for each in partition.active_producers}[self.producer_id]

    # --- ends

    def end_txn(self) -> None:
        self._end(committed=True)
        if self.speaker.knows(ApiKey.TXN_OFFSET_COMMIT):
            assert self._offset(require_stable=True) == (0, COMMITTED)

    def _end(self, *, committed: bool) -> None:
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            committed=committed,
        )
        ended = self.speaker.send(request, EndTxnResponse)
        assert ended.error_code == 0
        if self.speaker.version(ApiKey.END_TXN) >= 5:
            assert (ended.producer_id, ended.producer_epoch) == (self.producer_id, self.epoch + 1)
            self.epoch, self.sequences = ended.producer_epoch, count()

    def write_txn_markers(self) -> None:
        """An operator ends in a partition what its producer has left open there."""
        assert self._add(self.epoch) == {0}
        self._produce()
        marker = WritableTxnMarker(
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            topics=[WritableTxnMarkerTopic(name=self.topic, partition_indexes=[0, 99])],
        )
        response = self.speaker.send(
            WriteTxnMarkersRequest(markers=[marker]), WriteTxnMarkersResponse
        )
        (result,) = response.markers
        assert result.producer_id == self.producer_id
        assert [(p.partition_index, p.error_code) for p in result.topics[0].partitions] == [
            (0, 0),
            (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]
        if self.speaker.knows(ApiKey.DESCRIBE_PRODUCERS):
            assert self._producer().current_txn_start_offset == -1
        self._end(committed=False)

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.INIT_PRODUCER_ID, self.init_producer_id),
            (ApiKey.ADD_PARTITIONS_TO_TXN, self.add_partitions_to_txn),
            (ApiKey.ADD_OFFSETS_TO_TXN, self.add_offsets_to_txn),
            (ApiKey.TXN_OFFSET_COMMIT, self.txn_offset_commit),
            (ApiKey.DESCRIBE_TRANSACTIONS, self.describe_transactions),
            (ApiKey.LIST_TRANSACTIONS, self.list_transactions),
            (ApiKey.DESCRIBE_PRODUCERS, self.describe_producers),
            (ApiKey.END_TXN, self.end_txn),
            (ApiKey.WRITE_TXN_MARKERS, self.write_txn_markers),
        ]
