"""Groups of both protocols: list, describe, delete.

A group of the protocol of KIP-848 is described by ConsumerGroupDescribe, a classic one by
DescribeGroups; whoever asks for a group need not know which it is. Kafka's counterparts:
``Admin.listGroups``, ``describeConsumerGroups``, ``deleteConsumerGroups``.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from datacore._generated.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from datacore._generated.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from datacore._generated.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from datacore.client.cluster import Cluster
from datacore.client.errors import ClientError, UnsupportedRequestError, check
from datacore.client.subscription import TopicPartition, decode_assignment
from datacore.protocol.errors import KafkaError
from datacore.wire.errors import DecodeError

CLASSIC: Final = "classic"
CONSUMER: Final = "consumer"

_CONSUMERS: Final = "consumer"
"""Protocol type of a classic group whose members are assigned partitions; Connect's have tasks."""

_GROUP_ERRORS_FROM: Final = 6
_NO_SUCH_KIND: Final = {ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION}
_MEMBER_TYPES: Final = {0: CLASSIC, 1: CONSUMER}


class Member(NamedTuple):
    """A member of a group of either protocol."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    protocol: str
    """``classic`` or ``consumer``: during an upgrade a group has both."""
    epoch: int | None
    """The member's epoch (KIP-848); None by the classic protocol."""
    partitions: tuple[TopicPartition, ...]
    target: tuple[TopicPartition, ...]
    """What it will have when the group has settled; by the classic protocol what it has."""


class Group(NamedTuple):
    """A group of either protocol."""

    name: str
    group_type: str
    """``classic`` or ``consumer``."""
    protocol_type: str
    state: str
    assignor: str
    epoch: int | None
    """The group's epoch (KIP-848); None by the classic protocol."""
    coordinator: str
    """The address of the broker that coordinates it."""
    members: tuple[Member, ...]


def list_groups(cluster: Cluster) -> list[ListedGroup]:
    """Every group that some broker coordinates, by id."""

    def attempt() -> list[ListedGroup]:
        groups: list[ListedGroup] = []
        for broker in cluster.metadata().brokers:
            response = cluster.broker(broker.node_id).send(ListGroupsRequest(), ListGroupsResponse)
            check(response.error_code)
            groups += response.groups
        return sorted(groups, key=lambda group: group.group_id)

    return cluster.retrying(attempt)


def find_group(cluster: Cluster, name: str) -> Group:
    """A group of either protocol with its members.

    Raises:
        KafkaError: GROUP_ID_NOT_FOUND where there is none, whatever the broker's release.
        ClientError: A member's assignment cannot be read.
    """
    try:
        return cluster.retrying(lambda: _consumer_group(cluster, name))
    except UnsupportedRequestError:
        return _classic_group(cluster, name)
    except KafkaError as error:
        if error.code not in _NO_SUCH_KIND:
            raise
        return _classic_group(cluster, name)


def describe_group(cluster: Cluster, group: str) -> DescribedGroup:
    """A classic group's state and members, as DescribeGroups says it.

    Raises:
        KafkaError: GROUP_ID_NOT_FOUND where there is none, whatever the broker's release.
    """

    def attempt() -> DescribedGroup:
        connection = cluster.group_coordinator(group)
        version = connection.version(DescribeGroupsRequest)
        request = DescribeGroupsRequest(groups=[group])
        (described,) = connection.send(request, DescribeGroupsResponse, version).groups
        check(described.error_code, described.error_message)
        if version < _GROUP_ERRORS_FROM and described.group_state == "Dead":
            # Before KIP-1043 a group that does not exist is a dead one.
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group} not found.")
        return described

    return cluster.retrying(attempt)


def delete_group(cluster: Cluster, name: str) -> None:
    """Deletes a group with its offsets.

    Raises:
        KafkaError: NON_EMPTY_GROUP where it has members.
    """

    def attempt() -> None:
        request = DeleteGroupsRequest(groups_names=[name])
        (result,) = cluster.group_coordinator(name).send(request, DeleteGroupsResponse).results
        check(result.error_code, f"group {name}")

    cluster.retrying(attempt)


def _consumer_group(cluster: Cluster, name: str) -> Group:
    connection = cluster.group_coordinator(name)
    request = ConsumerGroupDescribeRequest(group_ids=[name])
    (found,) = connection.send(request, ConsumerGroupDescribeResponse).groups
    check(found.error_code, found.error_message)
    members = (
        Member(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            _MEMBER_TYPES.get(member.member_type, CONSUMER),
            member.member_epoch,
            _partitions(member.assignment),
            _partitions(member.target_assignment),
        )
        for member in found.members
    )
    return Group(
        name,
        CONSUMER,
        _CONSUMERS,
        found.group_state,
        found.assignor_name,
        found.group_epoch,
        connection.address,
        tuple(sorted(members)),
    )


def _partitions(assignment: Assignment) -> tuple[TopicPartition, ...]:
    return tuple(
        sorted(
            TopicPartition(topic.topic_name, partition)
            for topic in assignment.topic_partitions
            for partition in topic.partitions
        )
    )


def _classic_group(cluster: Cluster, name: str) -> Group:
    found = describe_group(cluster, name)
    members: list[Member] = []
    for member in found.members:
        partitions = _assigned(found, member)
        members.append(
            Member(
                member.member_id,
                member.group_instance_id,
                member.client_id,
                member.client_host,
                CLASSIC,
                None,
                partitions,
                partitions,
            )
        )
    return Group(
        name,
        CLASSIC,
        found.protocol_type,
        found.group_state,
        found.protocol_data,
        None,
        cluster.group_coordinator(name).address,
        tuple(sorted(members)),
    )


def _assigned(group: DescribedGroup, member: DescribedGroupMember) -> tuple[TopicPartition, ...]:
    if group.protocol_type != _CONSUMERS:
        return ()
    try:
        return tuple(sorted(decode_assignment(member.member_assignment)))
    except DecodeError as error:
        raise ClientError(f"group {group.group_id} has an unreadable assignment: {error}") from None


def names_of(groups: Sequence[ListedGroup]) -> list[str]:
    """The ids of those groups that have committed offsets: no share or streams groups."""
    return [each.group_id for each in groups if (each.group_type or CLASSIC) in {CLASSIC, CONSUMER}]
