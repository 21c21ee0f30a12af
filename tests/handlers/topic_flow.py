"""What a client does with topics and records: each step is one API, asked in one version."""

from collections.abc import Callable

from datacore._generated.api_keys import ApiKey
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from datacore._generated.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from datacore._generated.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from datacore._generated.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from datacore._generated.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from datacore._generated.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore._generated.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from datacore._generated.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from datacore._generated.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from datacore.handlers.table import TABLE
from datacore.record.compression import Codec
from datacore.record.records import Record, encode_batch
from tests.handlers.record_sets import (
    Fetched,
    as_fetched,
    decode,
    encode,
    fetched_magic,
    produced_magic,
)
from tests.handlers.speaker import Speaker

NO_TOPIC_ID = bytes(16)
BROKER_ID = 1
ACKS_ALL, ACKS_LEADER, ACKS_NONE = -1, 1, 0
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5
TOPIC, BROKER = 2, 4
FIRST_MS = 1_700_000_000_000
PLAIN = [
    Record(0, FIRST_MS, b"key", b"value", [("trace", b"1"), ("trace", None), ("", b"")]),
    Record(0, FIRST_MS + 30, None, b""),
    Record(0, FIRST_MS + 20, b"", None),
]
COMPRESSED = [Record(0, FIRST_MS + 100 + at, b"%d" % at, b"x" * 200) for at in range(5)]
UNACKNOWLEDGED = [Record(0, FIRST_MS + 50, b"k", b"not acknowledged")]


class TopicFlow:
    """One client and its topics; steps run in the order in which they stand here."""

    def __init__(self, speaker: Speaker, label: str) -> None:
        self.speaker = speaker
        self.topic = f"created-{label}"
        self.auto_topic = f"auto-{label}"
        self.topic_id = NO_TOPIC_ID
        self.records: list[Fetched] = []

    # --- what there is

    def api_versions(self) -> None:
        response = self.speaker.send(
            ApiVersionsRequest(client_software_name="flow", client_software_version="1.0"),
            ApiVersionsResponse,
        )
        assert response.error_code == 0
        told = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
        assert told == {key: (api.min_version, api.max_version) for key, api in TABLE.items()}

    def create_topics(self) -> None:
        version = self.speaker.version(ApiKey.CREATE_TOPICS)
        request = CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=self.topic,
                    num_partitions=2,
                    replication_factor=1,
                    configs=[CreatableTopicConfig(name="retention.ms", value="86400000")],
                )
            ]
        )
        if version >= 1:
            request.validate_only = True
            (checked,) = self.speaker.send(request, CreateTopicsResponse).topics
            assert checked.error_code == 0
            assert (checked.topic_id != NO_TOPIC_ID) == (version >= 7)
            request.validate_only = False
        (created,) = self.speaker.send(request, CreateTopicsResponse).topics
        assert (created.name, created.error_code) == (self.topic, 0)
        if version >= 5:
            assert (created.num_partitions, created.replication_factor) == (2, 1)
            assert created.configs is not None
            assert {c.name: c.value for c in created.configs}["retention.ms"] == "86400000"
        if version >= 7:
            assert created.topic_id != NO_TOPIC_ID
        (again,) = self.speaker.send(request, CreateTopicsResponse).topics
        assert again.error_code == ErrorCode.TOPIC_ALREADY_EXISTS

    def metadata(self) -> None:
        version = self.speaker.version(ApiKey.METADATA)
        if version >= 4:
            refused = self._metadata(self.auto_topic, allow_auto_topic_creation=False)
            assert refused.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        made = self._metadata(self.auto_topic)
        assert (made.error_code, len(made.partitions)) == (0, 1)
        topic = self._metadata(self.topic)
        assert [p.partition_index for p in topic.partitions] == [0, 1]
        assert {p.error_code for p in topic.partitions} == {0}
        assert {p.leader_id for p in topic.partitions} == {BROKER_ID}
        assert [p.replica_nodes for p in topic.partitions] == [[BROKER_ID], [BROKER_ID]]
        everything = self.speaker.send(
            MetadataRequest(topics=None if version >= 1 else []), MetadataResponse
        )
        assert {self.topic, self.auto_topic} <= {each.name for each in everything.topics}
        if version >= 1:
            none = self.speaker.send(MetadataRequest(topics=[]), MetadataResponse)
            assert (none.topics, none.controller_id) == ([], BROKER_ID)
            assert [(b.node_id, b.host) for b in none.brokers] == [(BROKER_ID, "127.0.0.1")]
        if version >= 2:
            assert everything.cluster_id
        if version >= 10:
            self.topic_id = topic.topic_id
            assert self.topic_id != NO_TOPIC_ID
        if version >= 12:
            asked = MetadataRequestTopic(topic_id=self.topic_id, name=None)
            (by_id,) = self.speaker.send(MetadataRequest(topics=[asked]), MetadataResponse).topics
            assert (by_id.error_code, by_id.name) == (0, self.topic)

    def _metadata(
        self, name: str, *, allow_auto_topic_creation: bool = True
    ) -> MetadataResponseTopic:
        request = MetadataRequest(
            topics=[MetadataRequestTopic(name=name)],
            allow_auto_topic_creation=allow_auto_topic_creation,
        )
        response = self.speaker.send(request, MetadataResponse)
        (topic,) = response.topics
        assert topic.name == name
        return topic

    # --- writing

    def produce(self) -> None:
        version = self.speaker.version(ApiKey.PRODUCE)
        self._write(PLAIN, ACKS_ALL, Codec.NONE)
        self._write(COMPRESSED, ACKS_LEADER, Codec.GZIP)
        magic = produced_magic(version)
        self.speaker.post(self._produce_request(encode(UNACKNOWLEDGED, magic), ACKS_NONE))
        self._note(UNACKNOWLEDGED)

    def init_producer_id(self) -> None:
        ids = set()
        for _ in range(2):
            response = self.speaker.send(
                InitProducerIdRequest(transactional_id=None), InitProducerIdResponse
            )
            assert (response.error_code, response.producer_epoch) == (0, 0)
            assert response.producer_id >= 0
            ids.add(response.producer_id)
        assert len(ids) == 2
        if produced_magic(self.speaker.version(ApiKey.PRODUCE)) == 2:
            self._write_idempotently(ids.pop())

    def _write_idempotently(self, producer_id: int) -> None:
        records = [Record(0, FIRST_MS, b"once", b"only")]
        batch = bytes(
            encode_batch(records, producer_id=producer_id, producer_epoch=0, base_sequence=0)
        )
        offset = len(self.records)
        for _ in range(2):
            written = self._send_produce(batch, ACKS_ALL)
            assert (written.error_code, written.base_offset) == (0, offset)
        self._note(records)
        gap = bytes(
            encode_batch(records, producer_id=producer_id, producer_epoch=0, base_sequence=5)
        )
        refused = self._send_produce(gap, ACKS_ALL)
        assert refused.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def _write(self, records: list[Record], acks: int, codec: Codec) -> None:
        version = self.speaker.version(ApiKey.PRODUCE)
        written = self._send_produce(encode(records, produced_magic(version), codec=codec), acks)
        assert (written.error_code, written.base_offset) == (0, len(self.records))
        assert (written.log_append_time_ms, written.index) == (-1, 0)
        if version >= 5:
            assert written.log_start_offset == 0
        self._note(records)

    def _send_produce(self, record_set: bytes, acks: int) -> PartitionProduceResponse:
        response = self.speaker.send(self._produce_request(record_set, acks), ProduceResponse)
        (topic,) = response.responses
        if self.speaker.version(ApiKey.PRODUCE) >= 13:
            assert topic.topic_id == self.topic_id
        else:
            assert topic.name == self.topic
        (partition,) = topic.partition_responses
        return partition

    def _produce_request(self, record_set: bytes, acks: int) -> ProduceRequest:
        return ProduceRequest(
            acks=acks,
            timeout_ms=5_000,
            topic_data=[
                TopicProduceData(
                    name=self.topic,
                    topic_id=self.topic_id,
                    partition_data=[PartitionProduceData(index=0, records=record_set)],
                )
            ],
        )

    def _note(self, records: list[Record]) -> None:
        """Remembers what a consumer of this client must read."""
        self.records += as_fetched(
            records,
            first_offset=len(self.records),
            sent_as=produced_magic(self.speaker.version(ApiKey.PRODUCE)),
            read_as=fetched_magic(self.speaker.version(ApiKey.FETCH)),
        )

    # --- reading

    def fetch(self) -> None:
        version = self.speaker.version(ApiKey.FETCH)
        read: list[Fetched] = []
        while len(read) < len(self.records):
            # One byte: the first batch comes whole, and alone.
            partition = self._fetch(FetchPartition(fetch_offset=len(read), partition_max_bytes=1))
            assert partition.high_watermark == len(self.records)
            if version >= 4:
                assert partition.last_stable_offset == len(self.records)
            if version >= 5:
                assert partition.log_start_offset == 0
            fetched = decode(partition.records, fetched_magic(version))
            assert fetched
            read += fetched
        assert read == self.records
        end = self._fetch(FetchPartition(fetch_offset=len(read), partition_max_bytes=1))
        assert (end.error_code, bytes(end.records or b"")) == (0, b"")
        behind = self._fetch(
            FetchPartition(fetch_offset=len(read) + 1, partition_max_bytes=1),
            error_code=ErrorCode.OFFSET_OUT_OF_RANGE,
        )
        assert behind.high_watermark == -1
        if version >= 7:
            self._fetch_in_a_session()

    def _fetch_in_a_session(self) -> None:
        at_end = FetchPartition(fetch_offset=len(self.records), partition_max_bytes=1 << 20)
        opened = self._send_fetch([at_end], session_epoch=0)
        assert (opened.error_code, len(opened.responses)) == (0, 1)
        session_id = opened.session_id
        assert session_id != 0
        nothing = self._send_fetch([], session_id=session_id, session_epoch=1)
        assert (nothing.error_code, nothing.responses) == (0, [])
        self._write(PLAIN, ACKS_ALL, Codec.NONE)
        news = self._send_fetch([], session_id=session_id, session_epoch=2)
        (topic,) = news.responses
        magic = fetched_magic(self.speaker.version(ApiKey.FETCH))
        fetched = decode(topic.partitions[0].records, magic)
        assert fetched == self.records[-len(PLAIN) :]
        forgotten = self._send_fetch([], session_id=session_id, session_epoch=3, forget=True)
        assert (forgotten.error_code, forgotten.responses) == (0, [])
        closed = self._send_fetch([], session_id=session_id, session_epoch=-1)
        assert (closed.error_code, closed.session_id) == (0, 0)
        gone = self._send_fetch([], session_id=session_id, session_epoch=4)
        assert gone.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND

    def _fetch(self, partition: FetchPartition, *, error_code: int = 0) -> PartitionData:
        response = self._send_fetch([partition])
        assert response.error_code == 0
        (topic,) = response.responses
        if self.speaker.version(ApiKey.FETCH) >= 13:
            assert topic.topic_id == self.topic_id
        else:
            assert topic.topic == self.topic
        (result,) = topic.partitions
        assert (result.partition_index, result.error_code) == (0, error_code)
        return result

    def _send_fetch(
        self,
        partitions: list[FetchPartition],
        *,
        session_id: int = 0,
        session_epoch: int = -1,
        forget: bool = False,
    ) -> FetchResponse:
        request = FetchRequest(session_id=session_id, session_epoch=session_epoch)
        if partitions:
            request.topics.append(
                FetchTopic(topic=self.topic, topic_id=self.topic_id, partitions=partitions)
            )
        if forget:
            request.forgotten_topics_data.append(
                ForgottenTopic(topic=self.topic, topic_id=self.topic_id, partitions=[0])
            )
        return self.speaker.send(request, FetchResponse)

    def list_offsets(self) -> None:
        version = self.speaker.version(ApiKey.LIST_OFFSETS)
        end = len(self.records)
        if version == 0:
            assert self._list_offsets(LATEST, max_num_offsets=9).old_style_offsets == [end, 0]
            assert self._list_offsets(LATEST, max_num_offsets=1).old_style_offsets == [end]
            assert self._list_offsets(EARLIEST, max_num_offsets=9).old_style_offsets == [0]
            return
        assert self._list_offsets(LATEST).offset == end
        assert self._list_offsets(EARLIEST).offset == 0
        has_timestamps = self.speaker.version(ApiKey.PRODUCE) >= 2
        if has_timestamps:
            # The third of the compressed records, and not the start of its batch.
            found = self._list_offsets(FIRST_MS + 102)
            assert (found.offset, found.timestamp) == (5, FIRST_MS + 102)
            if version >= 4:
                assert found.leader_epoch == 0
        late = self._list_offsets(FIRST_MS + 1_000)
        assert (late.offset, late.timestamp) == (-1, -1)
        if version >= 7:
            largest = self._list_offsets(MAX_TIMESTAMP)
            assert (largest.offset, largest.timestamp) == (7, FIRST_MS + 104)
        if version >= 8:
            assert self._list_offsets(EARLIEST_LOCAL).offset == 0
        if version >= 9:
            assert self._list_offsets(LATEST_TIERED).offset == -1

    def _list_offsets(
        self, timestamp: int, *, max_num_offsets: int = 1
    ) -> ListOffsetsPartitionResponse:
        asked = ListOffsetsPartition(timestamp=timestamp, max_num_offsets=max_num_offsets)
        request = ListOffsetsRequest(
            replica_id=-1, topics=[ListOffsetsTopic(name=self.topic, partitions=[asked])]
        )
        (topic,) = self.speaker.send(request, ListOffsetsResponse).topics
        (partition,) = topic.partitions
        assert (topic.name, partition.partition_index, partition.error_code) == (self.topic, 0, 0)
        return partition

    def offset_for_leader_epoch(self) -> None:
        version = self.speaker.version(ApiKey.OFFSET_FOR_LEADER_EPOCH)
        asked = OffsetForLeaderPartition(partition=0, current_leader_epoch=0, leader_epoch=0)
        request = OffsetForLeaderEpochRequest(
            replica_id=-1, topics=[OffsetForLeaderTopic(topic=self.topic, partitions=[asked])]
        )
        (topic,) = self.speaker.send(request, OffsetForLeaderEpochResponse).topics
        (end,) = topic.partitions
        assert (topic.topic, end.partition, end.error_code) == (self.topic, 0, 0)
        assert end.end_offset == len(self.records)
        if version >= 1:
            assert end.leader_epoch == 0

    # --- administration

    def describe_configs(self) -> None:
        version = self.speaker.version(ApiKey.DESCRIBE_CONFIGS)
        request = DescribeConfigsRequest(
            resources=[
                DescribeConfigsResource(
                    resource_type=TOPIC,
                    resource_name=self.topic,
                    configuration_keys=["retention.ms", "max.message.bytes"],
                ),
                DescribeConfigsResource(
                    resource_type=BROKER, resource_name=str(BROKER_ID), configuration_keys=None
                ),
            ]
        )
        if version >= 1:
            request.include_synonyms = True
        topic, broker = self.speaker.send(request, DescribeConfigsResponse).results
        assert (topic.error_code, broker.error_code) == (0, 0)
        values = {config.name: config for config in topic.configs}
        assert values.keys() == {"retention.ms", "max.message.bytes"}
        assert values["retention.ms"].value == "86400000"
        if version == 0:
            assert not values["retention.ms"].is_default
            assert values["max.message.bytes"].is_default
        else:
            assert values["retention.ms"].config_source == 1
            assert [s.name for s in values["retention.ms"].synonyms][:1] == ["retention.ms"]
            assert values["max.message.bytes"].config_source == 5
        assert {c.name for c in broker.configs} >= {"num.partitions", "message.max.bytes"}

    def create_partitions(self) -> None:
        request = CreatePartitionsRequest(
            topics=[CreatePartitionsTopic(name=self.topic, count=4, assignments=None)]
        )
        (result,) = self.speaker.send(request, CreatePartitionsResponse).results
        assert (result.name, result.error_code) == (self.topic, 0)
        assert len(self._metadata(self.topic).partitions) == 4

    def describe_cluster(self) -> None:
        response = self.speaker.send(DescribeClusterRequest(), DescribeClusterResponse)
        assert (response.error_code, response.controller_id) == (0, BROKER_ID)
        assert [(b.broker_id, b.host) for b in response.brokers] == [(BROKER_ID, "127.0.0.1")]
        assert response.cluster_id

    def describe_topic_partitions(self) -> None:
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=self.topic)], response_partition_limit=2
        )
        response = self.speaker.send(request, DescribeTopicPartitionsResponse)
        (topic,) = response.topics
        assert (topic.name, topic.error_code) == (self.topic, 0)
        assert [p.partition_index for p in topic.partitions] == [0, 1]

    def delete_topics(self) -> None:
        version = self.speaker.version(ApiKey.DELETE_TOPICS)
        if version >= 6:
            # Metadata tells ids from v10 on; clients with an older one delete by name.
            by_id = DeleteTopicState(topic_id=self.topic_id)
            first = DeleteTopicState(name=self.topic) if self.topic_id == NO_TOPIC_ID else by_id
            request = DeleteTopicsRequest(topics=[first, DeleteTopicState(name=self.auto_topic)])
        else:
            request = DeleteTopicsRequest(topic_names=[self.topic, self.auto_topic])
        results = self.speaker.send(request, DeleteTopicsResponse).responses
        assert [r.error_code for r in results] == [0, 0]
        assert [r.name for r in results] == [self.topic, self.auto_topic]
        everything = self.speaker.send(
            MetadataRequest(topics=None if self.speaker.version(ApiKey.METADATA) >= 1 else []),
            MetadataResponse,
        )
        assert not {self.topic, self.auto_topic} & {each.name for each in everything.topics}

    @property
    def opening(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.API_VERSIONS, self.api_versions),
            (ApiKey.CREATE_TOPICS, self.create_topics),
            (ApiKey.METADATA, self.metadata),
            (ApiKey.PRODUCE, self.produce),
            (ApiKey.INIT_PRODUCER_ID, self.init_producer_id),
            (ApiKey.FETCH, self.fetch),
            (ApiKey.LIST_OFFSETS, self.list_offsets),
            (ApiKey.OFFSET_FOR_LEADER_EPOCH, self.offset_for_leader_epoch),
            (ApiKey.DESCRIBE_CONFIGS, self.describe_configs),
            (ApiKey.CREATE_PARTITIONS, self.create_partitions),
            (ApiKey.DESCRIBE_CLUSTER, self.describe_cluster),
            (ApiKey.DESCRIBE_TOPIC_PARTITIONS, self.describe_topic_partitions),
        ]

    @property
    def closing(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [(ApiKey.DELETE_TOPICS, self.delete_topics)]
