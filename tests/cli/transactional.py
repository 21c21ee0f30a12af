"""A transactional producer in a few requests of versions that came before KIP-890."""

import time

from datacore._generated.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from datacore._generated.end_txn import EndTxnRequest, EndTxnResponse
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.client.cluster import Cluster
from datacore.client.errors import check
from datacore.record.records import Record, encode_batch

_INIT_VERSION = 4
_ADD_VERSION = 3
_PRODUCE_VERSION = 11
_END_VERSION = 3


class TransactionalProducer:
    """Writes to partition 0 of the topic that is called like its transactional id."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        request = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000)
        self._ids = cluster.retrying(lambda: self._init(request))
        self._sequence = 0

    def _init(self, request: InitProducerIdRequest) -> InitProducerIdResponse:
        coordinator = self._cluster.transaction_coordinator(self._name)
        taken = coordinator.send(request, InitProducerIdResponse, _INIT_VERSION)
        check(taken.error_code)
        return taken

    def write(self, value: bytes, *, tell_the_coordinator: bool = True) -> None:
        """One record, in the transaction that is open or begins with it."""
        if tell_the_coordinator:
            self._cluster.retrying(self._add)
        batch = encode_batch(
            [Record(timestamp_ms=time.time_ns() // 1_000_000, value=value)],
            producer_id=self._ids.producer_id,
            producer_epoch=self._ids.producer_epoch,
            base_sequence=self._sequence,
            transactional=True,
        )
        self._sequence += 1
        data = PartitionProduceData(index=0, records=batch)
        request = ProduceRequest(
            transactional_id=self._name,
            acks=-1,
            timeout_ms=10_000,
            topic_data=[TopicProduceData(name=self._name, partition_data=[data])],
        )
        self._cluster.retrying(lambda: self._produce(request))

    def _produce(self, request: ProduceRequest) -> None:
        leader = self._cluster.leader(self._name, 0)
        response = leader.send(request, ProduceResponse, _PRODUCE_VERSION)
        (stored,) = response.responses[0].partition_responses
        check(stored.error_code, stored.error_message)

    def _add(self) -> None:
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self._name,
            v3_and_below_producer_id=self._ids.producer_id,
            v3_and_below_producer_epoch=self._ids.producer_epoch,
            v3_and_below_topics=[AddPartitionsToTxnTopic(name=self._name, partitions=[0])],
        )
        coordinator = self._cluster.transaction_coordinator(self._name)
        response = coordinator.send(request, AddPartitionsToTxnResponse, _ADD_VERSION)
        for topic in response.results_by_topic_v3_and_below:
            for each in topic.results_by_partition:
                check(each.partition_error_code)

    def end(self, *, commit: bool) -> None:
        """Ends the open transaction."""
        request = EndTxnRequest(
            transactional_id=self._name,
            producer_id=self._ids.producer_id,
            producer_epoch=self._ids.producer_epoch,
            committed=commit,
        )

        def attempt() -> None:
            coordinator = self._cluster.transaction_coordinator(self._name)
            check(coordinator.send(request, EndTxnResponse, _END_VERSION).error_code)

        self._cluster.retrying(attempt)
