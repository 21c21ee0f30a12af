"""Produce (key 0).

v0-v2   message sets of magic 0 and 1, converted to magic 2 (KIP-31, KIP-32); magic 2 is taken, too,
        and so is a set that holds nothing whole, as nothing
v3      magic 2 and transactional ids (KIP-98)
v5      the log start offset in the answer
v7      zstd (KIP-110)
v8      errors of single records (KIP-467)
v9      flexible
v10     the current leader in the answer (KIP-951)
v11     TRANSACTION_ABORTABLE (KIP-890)
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
from datacore.broker.preparation import (
    NOTHING_PREPARED,
    LargeBatch,
    Preparation,
    prepare_large,
    prepare_small,
)
from datacore.broker.topics import INTERNAL_TOPICS
from datacore.coordinator.outcome import Producer
from datacore.coordinator.transaction.metadata import TopicPartition
from datacore.log.error_codes import RefusedAppend, kafka_error
from datacore.log.preparation import needs_other_codec, prepare
from datacore.log.validation import header_of_one
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicId, TopicName
from datacore.record.batch import (
    MAGIC,
    is_cut,
    is_magic_2,
    is_transactional,
    magic_of,
    parse_header,
    transaction_of,
)
from datacore.record.compression import Codec
from datacore.record.errors import RecordError, UnsupportedCodec
from datacore.storage.engine import StorageError
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from datacore._generated.produce import PartitionProduceData, TopicProduceData
    from datacore.broker.broker import Broker
    from datacore.broker.context import RequestContext

ACKS_ALL = -1
ACKS = frozenset({0, 1, ACKS_ALL})
MAGIC_2_SINCE = 3
ZSTD_SINCE = 7
ABORTABLE_SINCE = 11
ADDS_PARTITIONS_SINCE = 12
TOPIC_IDS_SINCE = 13

_ASK_AGAIN = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


def handle(
    broker: Broker, context: RequestContext, request: ProduceRequest
) -> ProduceResponse | Pending[ProduceResponse | None] | None:
    """Appends each partition's batch; answers when the acks that were asked for are there."""
    if request.transactional_id is None and _has_transaction(request):
        raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    preparation = NOTHING_PREPARED
    has_message_sets = context.api_version < MAGIC_2_SINCE
    if broker.partitions.prepares_batches or has_message_sets:
        preparation = Preparation()
        large = prepare_small(broker, request, preparation, has_message_sets=has_message_sets)
        if large:
            return _append_prepared(broker, context, request, large, preparation)
    return _append_request(broker, context, request, preparation)


def _has_transaction(request: ProduceRequest) -> bool:
    """Whether any batch is of a transaction."""
    # Loops, for every request comes by: a generator costs more than the look itself.
    for topic in request.topic_data:
        for partition in topic.partition_data:
            if is_transactional(partition.records or b""):
                return True
    return False


def _append_prepared(
    broker: Broker,
    context: RequestContext,
    request: ProduceRequest,
    large: list[LargeBatch],
    preparation: Preparation,
) -> Pending[ProduceResponse | None]:
    """Appends when large batches are prepared, which takes a worker thread.

    This whole request waits, and with it those behind it on the connection: so the batches of a
    producer stay in order. Their records outlive the frame as copies.
    """
    preparation.keep(request)
    context.holds_back_next = True
    response: Pending[ProduceResponse | None] = Pending()

    def append(done: Pending[None]) -> None:
        try:
            done.result()
            appended = _append_request(broker, context, request, preparation)
        except Exception as error:  # noqa: BLE001  # dispatch tells the client, whatever it is
            response.fail(error)
            return
        if isinstance(appended, Pending):
            appended.then(response.follow)
        else:
            response.resolve(appended)

    broker.eventually(prepare_large(large, preparation)).then(append)
    return response


def _append_request(
    broker: Broker, context: RequestContext, request: ProduceRequest, preparation: Preparation
) -> ProduceResponse | Pending[ProduceResponse | None] | None:
    """Appends each partition's batch but those that are refused, by a transaction or by none."""
    if request.transactional_id is None:
        return _append_all(broker, context, request, preparation)
    return _append_transactional(broker, context, request, request.transactional_id, preparation)


def _append_all(
    broker: Broker,
    context: RequestContext,
    request: ProduceRequest,
    preparation: Preparation,
) -> ProduceResponse | Pending[ProduceResponse | None] | None:
    """Appends each partition's batch but those that are refused."""
    acks = request.acks
    response = ProduceResponse()
    waiting: dict[Pending[None], list[PartitionProduceResponse]] = {}
    failed: ErrorCode | None = None
    now_ms = broker.now_ms()
    position = -1
    for topic in request.topic_data:
        results = []
        for partition in topic.partition_data:
            position += 1
            result = PartitionProduceResponse(index=partition.index, base_offset=-1)
            try:
                durable = _append(
                    broker,
                    context,
                    request,
                    topic,
                    partition,
                    position,
                    result,
                    now_ms,
                    preparation,
                )
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
    if len(request.topic_data) != 1 or not request.topic_data[0].partition_data:
        response.responses = _answers(response.responses)
    if acks == 0:
        if failed is not None:
            # The only way to tell a client that asked for no answer: its connection closes.
            raise KafkaError(failed)
        return None
    if acks == 1 or not waiting:
        return response
    return _when_durable(response, waiting)


def _answers(answers: list[TopicProduceResponse]) -> list[TopicProduceResponse]:
    """As Kafka: one answer for each topic, however often it is named; none without partitions."""
    by_topic: dict[tuple[str, bytes], TopicProduceResponse] = {}
    for answer in answers:
        if answer.partition_responses:
            told = by_topic.setdefault((answer.name, answer.topic_id), answer)
            if told is not answer:
                told.partition_responses += answer.partition_responses
    return list(by_topic.values())


def _append(
    broker: Broker,
    context: RequestContext,
    request: ProduceRequest,
    topic: TopicProduceData,
    partition: PartitionProduceData,
    position: int,
    result: PartitionProduceResponse,
    now_ms: int,
    preparation: Preparation,
) -> Pending[None] | None:
    """Appends the batch at one position of the request and fills in its result."""
    version = context.api_version
    name = _topic_name(broker, topic, version)
    partitions = broker.partitions
    log = partitions.log(name, partition.index)
    records = partition.records
    if type(records) is not memoryview:
        records = memoryview(records or b"")
    if MAGIC_2_SINCE <= version < ZSTD_SINCE:
        _check_old_client(records, version)
    if request.acks not in ACKS:
        raise _refused_acks(records, version, preparation, TopicPartition(name, partition.index))
    if name in INTERNAL_TOPICS:
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot append to internal topic {name}"
        )
    if version < MAGIC_2_SINCE and is_cut(records):
        return None
    if preparation is not NOTHING_PREPARED:
        error = preparation.refusal(position, name, partition.index)
        if error is not None:
            raise error
    oldest_timestamp_ms = None
    if partitions.prepares_batches or version < MAGIC_2_SINCE:
        prepared = preparation.prepared.get(position)
        if prepared is None and version < MAGIC_2_SINCE and not is_magic_2(records):
            # The topic was made while the others of this request were converted.
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if prepared is None and needs_other_codec(records, log.config):
            prepared = prepare(records, log.config)
        if prepared is not None:
            records, oldest_timestamp_ms = prepared
    try:
        appended = log.append(records, now_ms, oldest_timestamp_ms=oldest_timestamp_ms)
    except KafkaError:
        partitions.recover_soon(log)
        raise
    result.base_offset = appended.base_offset
    result.log_append_time_ms = appended.log_append_time_ms
    result.log_start_offset = log.log_start_offset
    return appended.durable


def _refused_acks(
    records: memoryview, version: int, preparation: Preparation, partition: TopicPartition
) -> KafkaError:
    """What Kafka says of a batch with acks that are none: it looks at shape and transaction first.

    Raises:
        KafkaError: The record set is not one batch.
    """
    if version >= MAGIC_2_SINCE:
        header_of_one(records)
    return preparation.not_added.get(partition) or KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)


def _topic_name(broker: Broker, topic: TopicProduceData, version: int) -> TopicName:
    if version < TOPIC_IDS_SINCE:
        return TopicName(topic.name)
    image = broker.topics.by_id.get(TopicId(topic.topic_id))
    if image is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
    return image.name


def _append_transactional(
    broker: Broker,
    context: RequestContext,
    request: ProduceRequest,
    transactional_id: str,
    preparation: Preparation,
) -> ProduceResponse | Pending[ProduceResponse | None] | None:
    """Appends batches of a transaction; the coordinator is asked where it has none yet.

    A partition that holds a batch of the transaction is part of it. All others wait for the
    coordinator, and with them this whole request and those behind it on the connection: so the
    batches of a producer stay in order. Their records outlive the frame as copies.
    """
    version = context.api_version
    adds = version >= ADDS_PARTITIONS_SINCE
    asked, producers = _not_yet_in_transaction(broker, request, version)
    if not asked or not (adds or broker.transactions.verifies_partitions):
        return _append_all(broker, context, request, preparation)
    if len(producers) > 1:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING,
            "Transactional records contained more than one producer ID",
        )
    preparation.keep(request)
    context.holds_back_next = True
    response: Pending[ProduceResponse | None] = Pending()

    def append(verdict: Pending[dict[TopicPartition, ErrorCode]]) -> None:
        not_added = {
            partition: _refusal(error_code, version)
            for partition, error_code in verdict.result().items()
        }
        refused = Preparation(preparation.prepared, preparation.refused, not_added)
        try:
            appended = _append_all(broker, context, request, refused)
        except Exception as error:  # noqa: BLE001  # dispatch tells the client, whatever it is
            response.fail(error)
            return
        if isinstance(appended, Pending):
            appended.then(response.follow)
        else:
            response.resolve(appended)

    (producer,) = producers
    broker.transactions.admit(context, transactional_id, producer, asked, adds=adds).then(append)
    return response


def _not_yet_in_transaction(
    broker: Broker, request: ProduceRequest, version: int
) -> tuple[list[TopicPartition], set[Producer]]:
    """Partitions that get their first batch of a transaction; and whose transaction that is."""
    asked: list[TopicPartition] = []
    producers: set[Producer] = set()
    for topic in request.topic_data:
        for partition in topic.partition_data:
            transaction = transaction_of(partition.records or b"")
            if transaction is None:
                continue
            try:
                name = _topic_name(broker, topic, version)
                log = broker.partitions.log(name, partition.index)
            except KafkaError:
                continue  # the append says so
            if not log.has_open_transaction(*transaction) and name not in INTERNAL_TOPICS:
                asked.append(TopicPartition(name, partition.index))
                producers.add(Producer(*transaction))
    return asked, producers


def _refusal(error_code: ErrorCode, version: int) -> KafkaError:
    """What a producer of that version makes of the coordinator's refusal."""
    if error_code is ErrorCode.PRODUCER_FENCED:
        return KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH)
    if error_code is ErrorCode.TRANSACTION_ABORTABLE and version < ABORTABLE_SINCE:
        error_code = ErrorCode.INVALID_TXN_STATE
    if error_code is ErrorCode.INVALID_TXN_STATE:
        return KafkaError(error_code, "Partition was not added to the transaction")
    if error_code in _ASK_AGAIN or (
        error_code is ErrorCode.CONCURRENT_TRANSACTIONS and version < ADDS_PARTITIONS_SINCE
    ):
        # Of all that can be tried again, this alone makes no producer look for another leader.
        return KafkaError(
            ErrorCode.NOT_ENOUGH_REPLICAS,
            "Unable to verify the partition has been added to the transaction. "
            f"Underlying error: {error_code.name}",
        )
    return KafkaError(error_code)


def _check_old_client(records: memoryview, version: int) -> None:
    """Refuses what a client that knows no zstd cannot have meant to send.

    Raises:
        KafkaError: UNSUPPORTED_COMPRESSION_TYPE.
    """
    try:
        if magic_of(records) == MAGIC and parse_header(records).codec == Codec.ZSTD:
            raise UnsupportedCodec(f"Produce version {version} knows no zstd.")
    except RecordError as error:
        raise kafka_error(error) from None


def _when_durable(
    response: ProduceResponse, waiting: dict[Pending[None], list[PartitionProduceResponse]]
) -> Pending[ProduceResponse | None]:
    """The answer, once every round of group commit that it depends on is over."""
    pending: Pending[ProduceResponse | None] = Pending()
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
    answers = [
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
    return ProduceResponse(responses=_answers(answers))
