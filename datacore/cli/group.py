"""``datacore group``: groups of both protocols, what they have read, and where they go on.

Kafka's counterparts: ``kafka-consumer-groups`` and ``kafka-groups``.
"""

from collections.abc import Iterator, Sequence

import click

from datacore.cli import completing
from datacore.cli.failure import Mistake
from datacore.cli.group_reset import reset_offsets
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.progress import progress
from datacore.cli.session import for_each, with_cluster
from datacore.cli.wording import partition_name, topic_and_partitions
from datacore.client.cluster import Cluster
from datacore.client.group_offsets import delete_group_offsets, group_offsets
from datacore.client.groups import (
    Group,
    Member,
    delete_group,
    find_group,
    list_groups,
    names_of,
)
from datacore.client.offsets import LATEST, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.client.topics import list_topics

_GROUPS = Listing(
    {
        "group": "Its id.",
        "protocol": "What its members are: consumer, connect and so on; null where it has none.",
        "state": "Empty, Stable and so on; null before Kafka 2.6.",
        "type": "classic, consumer, share or streams; null before Kafka 3.8.",
    }
)
_LAGS = Listing(
    {
        "group": "The group's id.",
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "committed_offset": "What the group reads next; null where it committed nothing.",
        "next_offset": "What the partition's next record will have; null for a deleted topic.",
        "lag": "How many the group is behind; null where one of the two is.",
        "client": "Client id of the member that reads it; null where none does.",
        "host": "That member's address.",
        "member": "That member's id.",
    },
    only_json=["group", "member"],
    when="`--offsets` or neither",
)
_MEMBERS = Listing(
    {
        "group": "The group's id.",
        "member": "The member's id.",
        "instance": "Its group.instance.id; null for a dynamic member.",
        "client": "Its client id.",
        "host": "Its address.",
        "protocol": "classic or consumer.",
        "epoch": "Its epoch; null by the classic protocol.",
        "partitions": "What it reads.",
        "target": "What it will read when the group has settled.",
    },
    only_json=["group", "target"],
    when="`--members`",
)
_STATES = Listing(
    {
        "group": "Its id.",
        "type": "classic or consumer.",
        "protocol": "What its members are.",
        "state": "Empty, Stable and so on.",
        "assignor": "How partitions are assigned.",
        "epoch": "Its epoch; null by the classic protocol.",
        "coordinator": "Address of the broker that coordinates it.",
        "members": "How many it has.",
    },
    when="`--state`",
)


@click.group()
def group() -> None:
    """Consumer groups and their lag."""


group.add_command(reset_offsets)


@group.command(name="list")
@click.option("--state", "states", multiple=True, help="Those in this state, such as Empty.")
@click.option("--type", "types", multiple=True, help="Those of this type, such as consumer.")
@output_option(_GROUPS)
@with_cluster
def list_(
    cluster: Cluster, *, states: tuple[str, ...], types: tuple[str, ...], output: Output
) -> None:
    """List groups."""
    wanted_states = {state.lower() for state in states}
    wanted_types = {kind.lower() for kind in types}
    rows = [
        {
            "group": each.group_id,
            "protocol": each.protocol_type or None,
            # Known from ListGroups v4 and v5 on only.
            "state": each.group_state or None,
            "type": each.group_type.lower() or None,
        }
        for each in list_groups(cluster)
        if (not states or each.group_state.lower() in wanted_states)
        and (not types or each.group_type.lower() in wanted_types)
    ]
    _GROUPS.show(rows, output)


@group.command()
@click.argument("groups", nargs=-1, metavar="[NAME...]", shell_complete=completing.groups)
@click.option("--all-groups", is_flag=True, help="All groups that commit offsets.")
@click.option("--offsets", is_flag=True, help="List what was read, which is the default.")
@click.option("--members", is_flag=True, help="List members instead of partitions.")
@click.option("--state", is_flag=True, help="List the groups themselves instead of partitions.")
@output_option(_LAGS, _MEMBERS, _STATES)
@with_cluster
def describe(
    cluster: Cluster,
    *,
    groups: tuple[str, ...],
    all_groups: bool,
    offsets: bool,
    members: bool,
    state: bool,
    output: Output,
) -> None:
    """Show what groups have read, and how far they are behind."""
    if offsets + members + state > 1:
        raise Mistake("expected one of --offsets, --members, --state")
    names = _chosen(cluster, groups, all_groups=all_groups)
    found: list[Group] = []
    with progress("groups", len(names)) as advance:
        for name in names:
            found.append(find_group(cluster, name))
            advance(1)
    if state:
        _STATES.show(map(_state_row, found), output)
        return
    there = frozenset[TopicPartition]() if members else frozenset(_partitions_there(cluster))

    def rows_of(each: Group) -> list[Row]:
        if members:
            return [_member_row(each, member) for member in each.members]
        return _lags(cluster, each, there)

    if output == "json":
        rows = [row for each in found for row in rows_of(each)]
        (_MEMBERS if members else _LAGS).show(rows, output)
        return
    for number, each in enumerate(found):
        if number:
            click.echo()
        rows = rows_of(each)
        behind = "" if members else f", {_total_lag(rows)} behind"
        click.echo(f"Group {each.name}: {each.state}, {len(each.members)} member(s){behind}")
        (_MEMBERS if members else _LAGS).show(rows, output)


def _chosen(cluster: Cluster, groups: Sequence[str], *, all_groups: bool) -> list[str]:
    if all_groups == bool(groups):
        raise Mistake("expected a NAME or --all-groups")
    return names_of(list_groups(cluster)) if all_groups else list(dict.fromkeys(groups))


def _partitions_there(cluster: Cluster) -> Iterator[TopicPartition]:
    """Partitions of all topics: offsets outlive a deleted one, which has no end to compare with."""
    for topic in list_topics(cluster):
        for each in topic.partitions:
            yield TopicPartition(topic.name or "", each.partition_index)


def _total_lag(rows: Sequence[Row]) -> int:
    """Of those partitions whose lag is known."""
    return sum(lag for row in rows if isinstance(lag := row["lag"], int))


def _state_row(found: Group) -> Row:
    return {
        "group": found.name,
        "type": found.group_type,
        "protocol": found.protocol_type or None,
        "state": found.state,
        "assignor": found.assignor or None,
        "epoch": found.epoch,
        "coordinator": found.coordinator,
        "members": len(found.members),
    }


def _member_row(found: Group, member: Member) -> Row:
    return {
        "group": found.name,
        "member": member.member_id,
        "instance": member.instance_id,
        "client": member.client_id,
        "host": member.client_host,
        "protocol": member.protocol,
        "epoch": member.epoch,
        "partitions": list(map(partition_name, member.partitions)),
        "target": list(map(partition_name, member.target)),
    }


def _lags(cluster: Cluster, found: Group, there: frozenset[TopicPartition]) -> list[Row]:
    owners = {where: member for member in found.members for where in member.partitions}
    committed = group_offsets(cluster, found.name)
    partitions = sorted(owners.keys() | committed.keys())
    ends = find_offsets(cluster, there.intersection(partitions), LATEST)
    rows: list[Row] = []
    for where in partitions:
        end = ends[where].offset if where in ends else None
        begun = committed.get(where)
        owner = owners.get(where)
        rows.append(
            {
                "group": found.name,
                "topic": where.topic,
                "partition": where.partition,
                "committed_offset": begun,
                "next_offset": end,
                "lag": None if end is None or begun is None else end - begun,
                "client": owner.client_id if owner else None,
                "host": owner.client_host if owner else None,
                "member": owner.member_id if owner else None,
            }
        )
    return rows


@group.command()
@click.argument("groups", nargs=-1, metavar="[NAME...]", shell_complete=completing.groups)
@click.option("--all-groups", is_flag=True, help="All groups that commit offsets.")
@with_cluster
def delete(cluster: Cluster, *, groups: tuple[str, ...], all_groups: bool) -> None:
    """Delete groups that have no members, with all they have committed."""

    def delete_one(name: str) -> str:
        delete_group(cluster, name)
        return f"Deleted group {name}."

    for_each(_chosen(cluster, groups, all_groups=all_groups), delete_one)


@group.command(name="delete-offsets")
@click.argument("name", shell_complete=completing.groups)
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    required=True,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions.",
)
@with_cluster
def delete_offsets(cluster: Cluster, *, name: str, topics: tuple[str, ...]) -> None:
    """Forget what the group NAME has committed for topics that none of its members reads."""
    committed = group_offsets(cluster, name)

    def delete_one(text: str) -> str:
        topic, numbers = topic_and_partitions("--topic", text)
        held = [where for where in committed if where.topic == topic]
        if numbers is not None:
            held = [TopicPartition(topic, number) for number in numbers]
        if not held:
            return f"Group {name} has committed nothing for {topic}."
        delete_group_offsets(cluster, name, held)
        return f"Deleted offsets of {', '.join(map(partition_name, held))} from group {name}."

    for_each(topics, delete_one)
