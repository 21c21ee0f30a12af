"""``datacore config describe``: the settings of a topic or a broker, and where they come from."""

import click

from datacore.cli.failure import Mistake
from datacore.cli.listing import Output, output_option, show
from datacore.cli.session import with_cluster
from datacore.client import admin
from datacore.client.cluster import Cluster

_SOURCES = {
    1: "topic",
    2: "broker, dynamic",
    3: "brokers, dynamic",
    4: "broker, static",
    5: "default",
    6: "broker logger, dynamic",
    7: "client metrics, dynamic",
    8: "group, dynamic",
}


@click.group()
def config() -> None:
    """Settings of topics and brokers."""


@config.command()
@click.option("--topic", help="The topic of that name.")
@click.option("--broker", type=click.IntRange(min=0), help="The broker of that id.")
@click.option("--all", "show_all", is_flag=True, help="Also settings that have their default.")
@output_option
@with_cluster
def describe(
    cluster: Cluster, *, topic: str | None, broker: int | None, show_all: bool, output: Output
) -> None:
    """Show the settings of a topic or of a broker."""
    if (topic is None) == (broker is None):
        raise Mistake("expected either --topic or --broker")
    if topic is not None:
        found = admin.describe_configs(cluster, admin.TOPIC_RESOURCE, topic)
    else:
        found = admin.describe_configs(cluster, admin.BROKER_RESOURCE, str(broker))
    rows = [
        {
            "name": each.name,
            "value": None if each.is_sensitive else each.value,
            "source": _SOURCES.get(each.config_source, "unknown"),
            "read_only": each.read_only,
        }
        for each in found
        if show_all or not (each.is_default or _SOURCES.get(each.config_source) == "default")
    ]
    show(rows, ["name", "value", "source", "read_only"], output)
