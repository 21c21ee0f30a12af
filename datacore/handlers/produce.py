"""Produce (key 0).

v0-v2   message sets of magic 0 and 1, converted to magic 2 (KIP-31, KIP-32)
v3      magic 2 and transactional ids (KIP-98)
v5      the log start offset in the answer
v7      zstd (KIP-110)
v8      errors of single records (KIP-467)
v9      flexible
v10     the current leader in the answer (KIP-951)
v12     adds partitions to transactions implicitly (KIP-890)
v13     topics by id (KIP-516)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated.errors import ErrorCode
from datacore._generated.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from datacore.broker.topics import INTERNAL_TOPICS
from datacore.log.error_codes import RefusedAppend, kafka_error
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName
from datacore.record.batch import MAGIC, clear_log_append_time, magic_of, parse_header
from datacore.record.compression import Codec
from datacore.record.errors import RecordError, UnsupportedCodec
from datacore.record.legacy import up_convert
from datacore.storage.engine import StorageError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from datacore._generated.produce import PartitionProduceData, TopicProduceData
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext
    from datacore.log.partition_log import PartitionLog

ACKS_ALL = -1
MAGIC_2_SINCE = 3
ZSTD_SINCE = 7


def handle(
    broker: Broker, context: RequestContext, request: ProduceRequest
) -> ProduceResponse | Pending[ProduceResponse] | None:
    """Appends each partition's batch; answers when the acks that were asked for are there."""
    acks = request.acks
    if acks not in {0, 1, ACKS_ALL}:
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    if request.transactional_id is not None:
        raise KafkaError(ErrorCode.INVALID_TXN_STATE, "There is no open transaction.")
    response = ProduceResponse()
    waiting: dict[Pending[None], list[PartitionProduceResponse]] = {}
    failed: ErrorCode | None = None
    now_ms = broker.now_ms()
    for topic in request.topic_data:
        results = []
        for partition in topic.partition_data:
            result = PartitionProduceResponse(index=partition.index, base_offset=-1)
            try:
                durable = _append(broker, context, topic, partition, result, now_ms)
            except KafkaError as error:
                failed = result.error_code = error.code
                result.error_message = error.message
                if isinstance(error, RefusedAppend):
                    result.record_errors = [
                        BatchIndexAndErrorMessage(
                            batch_index=fault.batch_index, batch_index_error_message=fault.reason
                        )
                        for fault in error.faults
                    ]
            else:
                if durable is not None:
                    waiting.setdefault(durable, []).append(result)
            results.append(result)
        response.responses.append(
            TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=results
            )
        )
    if acks == 0:
        if failed is not None:
            # The only way to tell a client that asked for no answer: its connection closes.
            raise KafkaError(failed)
        return None
    if acks == 1 or not waiting:
        return response
    return _when_durable(response, waiting)


def _append(
    broker: Broker,
    context: RequestContext,
    topic: TopicProduceData,
    partition: PartitionProduceData,
    result: PartitionProduceResponse,
    now_ms: int,
) -> Pending[None] | None:
    """Appends one partition's records and fills in its result."""
    name = TopicName(topic.name)
    version = context.api_version
    if version >= 13:
        image = broker.topics.by_id.get(TopicId(topic.topic_id))
        if image is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
        name = image.name
    if name in INTERNAL_TOPICS:
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot append to internal topic {name}"
        )
    log = broker.partitions.log(name, partition.index)
    records = memoryview(partition.records or b"")
    if version < ZSTD_SINCE:
        records = _from_old_client(log, records, version, now_ms)
    try:
        appended = log.append(records, now_ms)
    except KafkaError:
        broker.partitions.recover_soon(log)
        raise
    result.base_offset = appended.base_offset
    result.log_append_time_ms = appended.log_append_time_ms
    result.log_start_offset = log.log_start_offset
    return appended.durable


def _from_old_client(
    log: PartitionLog, records: memoryview, version: int, now_ms: int
) -> memoryview:
    """The batch that a client which knows no zstd, and perhaps no batches either, has sent."""
    try:
        if version >= MAGIC_2_SINCE:
            if magic_of(records) == MAGIC and parse_header(records).codec == Codec.ZSTD:
                raise UnsupportedCodec(f"Produce version {version} knows no zstd.")
            return records
        is_stamped = log.config.log_append_time
        batch = up_convert(records, log_append_time_ms=now_ms if is_stamped else None)
    except RecordError as error:
        raise kafka_error(error) from None
    converted = memoryview(batch)
    if is_stamped:
        # The log sets the time, and refuses a producer that has done so.
        clear_log_append_time(converted)
    return converted


def _when_durable(
    response: ProduceResponse, waiting: dict[Pending[None], list[PartitionProduceResponse]]
) -> Pending[ProduceResponse]:
    """The answer, once every round of group commit that it depends on is over."""
    pending: Pending[ProduceResponse] = Pending()
    left = len(waiting)

    def settle(durable: Pending[None]) -> None:
        nonlocal left
        if durable.error is not None:
            code = (
                kafka_error(durable.error).code
                if isinstance(durable.error, StorageError)
                else ErrorCode.UNKNOWN_SERVER_ERROR
            )
            for result in waiting[durable]:
                result.error_code = code
                result.base_offset = -1
                result.log_append_time_ms = -1
        left -= 1
        if left == 0:
            pending.resolve(response)

    for durable in waiting:
        durable.then(settle)
    return pending


def error_response(
    context: RequestContext, request: ProduceRequest, error: KafkaError
) -> ProduceResponse | None:
    """Every partition failed alike; None for acks=0, which knows no answer."""
    del context
    if request.acks == 0:
        return None
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    PartitionProduceResponse(
                        index=partition.index,
                        error_code=error.code,
                        error_message=error.message,
                        base_offset=-1,
                    )
                    for partition in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )
