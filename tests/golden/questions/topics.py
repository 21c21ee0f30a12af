"""Topics: what they are called, what is known of them, how they are made and changed."""

from datacore._generated.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from datacore._generated.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from datacore._generated.delete_topics import DeleteTopicsRequest, DeleteTopicState
from datacore._generated.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from datacore._generated.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsRequestCursor,
    TopicRequest,
)
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from tests.golden.questions.question import Question

SOME_ID = bytes(range(16))
TOPIC, BROKER = 2, 4


def _metadata(
    name: str, version: int, *topics: MetadataRequestTopic, operations: bool = False
) -> Question:
    request = MetadataRequest(
        topics=list(topics),
        allow_auto_topic_creation=version < 4,
        include_topic_authorized_operations=operations,
    )
    return Question.of(name, version, request)


def _create(name: str, *topics: CreatableTopic, validate_only: bool = False) -> Question:
    request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
    return Question.of(name, 5, request, "configs")


def _topic(
    name: str, partitions: int = 1, replication_factor: int = 1, **configs: str | None
) -> CreatableTopic:
    pairs = [
        CreatableTopicConfig(name=config.replace("_", "."), value=value)
        for config, value in configs.items()
    ]
    return CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=replication_factor, configs=pairs
    )


def _assigned(name: str, partitions: int, *assignments: tuple[int, list[int]]) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=-1,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=brokers)
            for index, brokers in assignments
        ],
    )


def _delete(name: str, *topics: DeleteTopicState) -> Question:
    return Question.of(name, 6, DeleteTopicsRequest(topics=list(topics), timeout_ms=5_000))


def _grow(name: str, topic: str, count: int, *, validate_only: bool = False) -> Question:
    request = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name=topic, count=count, assignments=None)],
        timeout_ms=5_000,
        validate_only=validate_only,
    )
    return Question.of(name, 2, request)


def _configs(name: str, kind: int, resource: str, *keys: str) -> Question:
    request = DescribeConfigsRequest(
        resources=[
            DescribeConfigsResource(
                resource_type=kind, resource_name=resource, configuration_keys=list(keys) or None
            )
        ]
    )
    return Question.of(name, 1, request)


METADATA = (
    _metadata("Metadata v1 of a topic", 1, MetadataRequestTopic(name="golden")),
    _metadata("Metadata v9 of a topic", 9, MetadataRequestTopic(name="golden")),
    _metadata("Metadata v12 of a topic", 12, MetadataRequestTopic(name="golden")),
    _metadata("Metadata v9 of an unknown topic", 9, MetadataRequestTopic(name="missing")),
    _metadata(
        "Metadata v9 of what may be done with an unknown topic",
        9,
        MetadataRequestTopic(name="missing"),
        operations=True,
    ),
    _metadata("Metadata v4 of an unknown topic", 4, MetadataRequestTopic(name="missing")),
    _metadata("Metadata v1 of a topic name with a space", 1, MetadataRequestTopic(name="a b")),
    _metadata("Metadata v9 of a topic name with a space", 9, MetadataRequestTopic(name="a b")),
    _metadata("Metadata v1 of an empty topic name", 1, MetadataRequestTopic(name="")),
    _metadata("Metadata v1 of the topic name ..", 1, MetadataRequestTopic(name="..")),
    _metadata(
        "Metadata v12 of an unknown topic id",
        12,
        MetadataRequestTopic(name=None, topic_id=SOME_ID),
    ),
    _metadata("Metadata v1 of no topics", 1),
    _metadata("Metadata v12 of no topics", 12),
    _metadata(
        "Metadata v9 of a topic asked for twice",
        9,
        MetadataRequestTopic(name="golden"),
        MetadataRequestTopic(name="golden"),
    ),
    Question.of(
        "DescribeTopicPartitions v0 of an unknown topic",
        0,
        DescribeTopicPartitionsRequest(topics=[TopicRequest(name="missing")]),
    ),
    Question.of(
        "DescribeTopicPartitions v0 of a topic",
        0,
        DescribeTopicPartitionsRequest(topics=[TopicRequest(name="golden")]),
        "eligible_leader_replicas",
        "last_known_elr",
    ),
    Question.of(
        "DescribeTopicPartitions v0 with a negative cursor",
        0,
        DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name="golden")],
            cursor=DescribeTopicPartitionsRequestCursor(topic_name="golden", partition_index=-1),
        ),
    ),
)

CREATION = (
    _create("CreateTopics v5 of a topic that is there", _topic("golden")),
    _create("CreateTopics v5 with a space in the name", _topic("a b")),
    _create("CreateTopics v5 without a name", _topic("")),
    _create("CreateTopics v5 of the name .", _topic(".")),
    _create("CreateTopics v5 of a name of 250 characters", _topic("n" * 250)),
    _create("CreateTopics v5 of a name that collides by _ and .", _topic("with_dot")),
    _create("CreateTopics v5 of no partitions", _topic("new", 0)),
    _create("CreateTopics v5 of -2 partitions", _topic("new", -2)),
    _create("CreateTopics v5 of replication factor 0", _topic("new", 1, 0)),
    _create("CreateTopics v5 of replication factor 3", _topic("new", 1, 3)),
    _create("CreateTopics v5 with an unknown config", _topic("new", no_such="1")),
    _create("CreateTopics v5 with a wrong config value", _topic("new", retention_ms="soon")),
    _create("CreateTopics v5 with a config value out of range", _topic("new", segment_bytes="1")),
    _create("CreateTopics v5 with a null config value", _topic("new", retention_ms=None)),
    _create("CreateTopics v5 of one name twice", _topic("twice"), _topic("twice")),
    _create("CreateTopics v5 that only validates", _topic("new", 3), validate_only=True),
    _create("CreateTopics v5 with defaults", _topic("by-default", -1, -1), validate_only=True),
    _create("CreateTopics v5 with an unknown broker", _assigned("new", -1, (0, [99]))),
    _create("CreateTopics v5 with assignments with a hole", _assigned("new", -1, (1, [1]))),
    _create("CreateTopics v5 with a broker twice", _assigned("new", -1, (0, [1, 1]))),
    _create("CreateTopics v5 with no replicas", _assigned("new", -1, (0, []))),
    _create("CreateTopics v5 with assignments and a count", _assigned("new", 1, (0, [1]))),
    _create("CreateTopics v5 of nothing"),
)

CHANGE = (
    _delete("DeleteTopics v6 of an unknown name", DeleteTopicState(name="missing")),
    _delete("DeleteTopics v6 of an unknown id", DeleteTopicState(topic_id=SOME_ID)),
    _delete(
        "DeleteTopics v6 of a name with an id", DeleteTopicState(name="missing", topic_id=SOME_ID)
    ),
    _delete("DeleteTopics v6 of neither name nor id", DeleteTopicState()),
    _delete(
        "DeleteTopics v6 of one name twice",
        DeleteTopicState(name="missing"),
        DeleteTopicState(name="missing"),
    ),
    _grow("CreatePartitions v2 to as many as there are", "golden", 1),
    _grow("CreatePartitions v2 to none", "golden", 0),
    _grow("CreatePartitions v2 of an unknown topic", "missing", 2),
    _grow("CreatePartitions v2 that only validates", "golden", 2, validate_only=True),
    _configs("DescribeConfigs v1 of an unknown topic", TOPIC, "missing"),
    _configs("DescribeConfigs v1 of a topic name with a space", TOPIC, "a b"),
    _configs("DescribeConfigs v1 of an empty topic name", TOPIC, ""),
    _configs("DescribeConfigs v1 of an unknown broker", BROKER, "99"),
    _configs("DescribeConfigs v1 of a broker that is no number", BROKER, "one"),
    _configs("DescribeConfigs v1 of a kind that nobody knows", 99, "golden"),
    _configs(
        "DescribeConfigs v1 of some configs of a topic",
        TOPIC,
        "compacted",
        "cleanup.policy",
    ),
    _configs("DescribeConfigs v1 of a config that nobody knows", TOPIC, "golden", "no.such"),
)

QUESTIONS = (*METADATA, *CREATION, *CHANGE)
