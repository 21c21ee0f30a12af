"""``datacore group``: list groups, and describe one with its members and its lag."""

from collections.abc import Mapping

import click

from datacore._generated.describe_groups import DescribedGroup
from datacore.cli.failure import Failure
from datacore.cli.listing import Output, Row, output_option, show
from datacore.cli.session import with_cluster
from datacore.client import admin
from datacore.client.cluster import Cluster
from datacore.client.subscription import TopicPartition, decode_assignment
from datacore.protocol.errors import KafkaError
from datacore.wire.errors import DecodeError

_CONSUMERS = "consumer"


@click.group()
def group() -> None:
    """Consumer groups and their lag."""


@group.command(name="list")
@output_option
@with_cluster
def list_(cluster: Cluster, *, output: Output) -> None:
    """List all groups."""
    rows = [
        {
            "group": each.group_id,
            "protocol": each.protocol_type or None,
            # Known from ListGroups v4 and v5 on only.
            "state": each.group_state or None,
            "type": each.group_type or None,
        }
        for each in admin.list_groups(cluster)
    ]
    show(rows, ["group", "protocol", "state", "type"], output)


@group.command()
@click.argument("name")
@click.option("--members", is_flag=True, help="List members instead of partitions.")
@output_option
@with_cluster
def describe(cluster: Cluster, *, name: str, members: bool, output: Output) -> None:
    """Show what the group NAME has read, and how far it is behind."""
    described = admin.describe_group(cluster, name)
    if output == "table":
        count = len(described.members)
        click.echo(f"Group {name}: {described.group_state}, {count} member(s)")
    assigned = _assignments(described)
    owners = {
        where: member.client_id
        for member in described.members
        for where in assigned[member.member_id]
    }
    if members:
        rows = [
            {
                "member": member.member_id,
                "client": member.client_id,
                "host": member.client_host,
                "partitions": [
                    f"{topic}-{partition}" for topic, partition in assigned[member.member_id]
                ],
            }
            for member in described.members
        ]
        show(rows, ["member", "client", "host", "partitions"], output)
        return
    columns = ["topic", "partition", "committed_offset", "next_offset", "lag", "client"]
    show(_lags(cluster, name, owners), columns, output)


def _assignments(described: DescribedGroup) -> dict[str, list[TopicPartition]]:
    """By member id. Only groups of consumers are assigned partitions; Connect's have tasks."""
    if described.protocol_type != _CONSUMERS:
        return {member.member_id: [] for member in described.members}
    try:
        return {
            member.member_id: decode_assignment(member.member_assignment)
            for member in described.members
        }
    except DecodeError as error:
        raise Failure(f"group {described.group_id} has an unreadable assignment: {error}") from None


def _lags(cluster: Cluster, name: str, owners: Mapping[TopicPartition, str]) -> list[Row]:
    committed = admin.group_offsets(cluster, name)
    partitions = sorted(owners.keys() | committed.keys())
    next_offsets: dict[TopicPartition, int] = {}
    for topic in dict.fromkeys(topic for topic, _ in partitions):
        try:
            found = admin.list_offsets(cluster, topic, admin.LATEST)
        except KafkaError:
            # Its offsets outlive a deleted topic for a while; there is no end to compare with.
            continue
        next_offsets |= {TopicPartition(topic, each.partition): each.offset for each in found}
    rows: list[Row] = []
    for where in partitions:
        behind = (
            next_offsets[where] - committed[where]
            if where in next_offsets and where in committed
            else None
        )
        rows.append(
            {
                "topic": where[0],
                "partition": where[1],
                "committed_offset": committed.get(where),
                "next_offset": next_offsets.get(where),
                "lag": behind,
                "client": owners.get(where),
            }
        )
    return rows
