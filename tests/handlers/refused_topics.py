"""Topics that cannot be made, changed or described so."""

from collections.abc import Callable, Iterator

from datacore._generated.api_keys import ApiKey
from datacore._generated.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from datacore._generated.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from datacore._generated.delete_topics import DeleteTopicsRequest, DeleteTopicState
from datacore._generated.describe_cluster import DescribeClusterRequest
from datacore._generated.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from datacore._generated.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from datacore._generated.errors import ErrorCode
from tests.handlers.refused import MISSING, SOME_ID, TOPIC, Refused

_RESOURCE_TOPIC, _RESOURCE_BROKER = 2, 4


def _create(
    *names: str,
    partitions: int = 1,
    replication_factor: int = 1,
    assigned: list[int] | None = None,
    **configs: str | None,
) -> Callable[[int], CreateTopicsRequest]:
    topics = [
        CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=replication_factor,
            assignments=[]
            if assigned is None
            else [CreatableReplicaAssignment(partition_index=0, broker_ids=assigned)],
            configs=[
                CreatableTopicConfig(name=key.replace("_", "."), value=value)
                for key, value in configs.items()
            ],
        )
        for name in names
    ]
    return lambda _: CreateTopicsRequest(topics=topics, timeout_ms=5_000)


def _delete(name: str, times: int = 1) -> Callable[[int], DeleteTopicsRequest]:
    def request(version: int) -> DeleteTopicsRequest:
        if version < 6:
            return DeleteTopicsRequest(topic_names=[name] * times, timeout_ms=5_000)
        states = [DeleteTopicState(name=name) for _ in range(times)]
        return DeleteTopicsRequest(topics=states, timeout_ms=5_000)

    return request


def _widen(
    *names: str, count: int, assigned: list[int] | None = None
) -> Callable[[int], CreatePartitionsRequest]:
    assignments = None if assigned is None else [CreatePartitionsAssignment(broker_ids=assigned)]
    topics = [CreatePartitionsTopic(name=n, count=count, assignments=assignments) for n in names]
    return lambda _: CreatePartitionsRequest(topics=topics, timeout_ms=5_000)


def _describe_configs(resource_type: int, name: str) -> Callable[[int], DescribeConfigsRequest]:
    resource = DescribeConfigsResource(
        resource_type=resource_type, resource_name=name, configuration_keys=None
    )
    return lambda _: DescribeConfigsRequest(resources=[resource])


def _describe_cluster(endpoint_type: int) -> Callable[[int], DescribeClusterRequest]:
    request = DescribeClusterRequest(endpoint_type=endpoint_type)
    return lambda _: request


def topic_refusals() -> Iterator[Refused]:
    create, invalid = ApiKey.CREATE_TOPICS, ErrorCode.INVALID_TOPIC_EXCEPTION
    assignment = ErrorCode.INVALID_REPLICA_ASSIGNMENT
    for name, code, request in (
        ("of one that is there", ErrorCode.TOPIC_ALREADY_EXISTS, _create(TOPIC)),
        ("with a space in the name", invalid, _create("a b")),
        ("of a name that collides", invalid, _create("dotted_name")),
        ("without partitions", ErrorCode.INVALID_PARTITIONS, _create("new", partitions=0)),
        (
            "with three replicas",
            ErrorCode.INVALID_REPLICATION_FACTOR,
            _create("new", replication_factor=3),
        ),
        ("with an unknown config", ErrorCode.INVALID_CONFIG, _create("new", no_such="1")),
        ("with a wrong config", ErrorCode.INVALID_CONFIG, _create("new", retention_ms="soon")),
        ("with a null config", ErrorCode.INVALID_CONFIG, _create("new", retention_ms=None)),
        ("of one twice", ErrorCode.INVALID_REQUEST, _create("new", "new")),
        (
            "on an unknown broker",
            assignment,
            _create("new", partitions=-1, replication_factor=-1, assigned=[99]),
        ),
        (
            "with a count and an assignment",
            ErrorCode.INVALID_REQUEST,
            _create("new", partitions=1, assigned=[1]),
        ),
    ):
        yield Refused(f"CreateTopics {name}", create, code, request)
    delete, unknown = ApiKey.DELETE_TOPICS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    yield Refused("DeleteTopics of an unknown topic", delete, unknown, _delete(MISSING))
    twice = _delete(MISSING, times=2)
    yield Refused("DeleteTopics of one twice", delete, ErrorCode.INVALID_REQUEST, twice)
    by_id = DeleteTopicsRequest(topics=[DeleteTopicState(topic_id=SOME_ID)], timeout_ms=5_000)
    yield Refused(
        "DeleteTopics of an unknown id",
        delete,
        ErrorCode.UNKNOWN_TOPIC_ID,
        lambda _: by_id,
        since=6,
    )
    widen, partitions = ApiKey.CREATE_PARTITIONS, ErrorCode.INVALID_PARTITIONS
    for name, code, widening in (
        ("of an unknown topic", unknown, _widen(MISSING, count=3)),
        ("to fewer", partitions, _widen(TOPIC, count=0)),
        ("to as many", partitions, _widen(TOPIC, count=1)),
        ("on an unknown broker", assignment, _widen(TOPIC, count=2, assigned=[99])),
        ("with too few assignments", assignment, _widen(TOPIC, count=3, assigned=[1])),
        ("of one twice", ErrorCode.INVALID_REQUEST, _widen(TOPIC, TOPIC, count=3)),
    ):
        yield Refused(f"CreatePartitions {name}", widen, code, widening)
    configs = ApiKey.DESCRIBE_CONFIGS
    for kind, resource, code in (
        (_RESOURCE_TOPIC, MISSING, unknown),
        (_RESOURCE_TOPIC, "a b", invalid),
        (_RESOURCE_BROKER, "99", ErrorCode.INVALID_REQUEST),
        (_RESOURCE_BROKER, "one", ErrorCode.INVALID_REQUEST),
        (99, TOPIC, ErrorCode.INVALID_REQUEST),
    ):
        described = f"DescribeConfigs of kind {kind} named {resource}"
        yield Refused(described, configs, code, _describe_configs(kind, resource))
    page = DescribeTopicPartitionsRequest(topics=[TopicRequest(name=MISSING)])
    yield Refused(
        "DescribeTopicPartitions of an unknown topic",
        ApiKey.DESCRIBE_TOPIC_PARTITIONS,
        unknown,
        lambda _: page,
    )
    for endpoint_type, code in (
        (2, ErrorCode.MISMATCHED_ENDPOINT_TYPE),
        (9, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
    ):
        yield Refused(
            f"DescribeCluster of endpoint type {endpoint_type}",
            ApiKey.DESCRIBE_CLUSTER,
            code,
            _describe_cluster(endpoint_type),
            since=1,
        )
