"""``datacore cluster describe`` and ``datacore health``."""

import click

from datacore._generated.api_keys import API_NAMES
from datacore.cli.listing import Output, Row, output_option, show
from datacore.cli.session import with_cluster
from datacore.client.cluster import Cluster


@click.group()
def cluster() -> None:
    """The brokers of a cluster."""


@cluster.command()
@output_option
@with_cluster
def describe(cluster: Cluster, *, output: Output) -> None:
    """List the brokers, and which of them is the controller."""
    found = cluster.retrying(cluster.metadata)
    rows: list[Row] = [
        {
            "cluster_id": found.cluster_id,
            "broker": broker.node_id,
            "host": broker.host,
            "port": broker.port,
            "rack": broker.rack,
            "controller": broker.node_id == found.controller_id,
        }
        for broker in sorted(found.brokers, key=lambda broker: broker.node_id)
    ]
    show(rows, ["cluster_id", "broker", "host", "port", "rack", "controller"], output)


@cluster.command()
@output_option
@with_cluster
def apis(cluster: Cluster, *, output: Output) -> None:
    """List the APIs that a broker serves, and their versions."""
    rows: list[Row] = [
        {
            "api": API_NAMES.get(key, "unknown"),
            "key": key,
            "min_version": lowest,
            "max_version": highest,
        }
        for key, (lowest, highest) in sorted(cluster.any_broker().versions().items())
    ]
    show(rows, ["api", "key", "min_version", "max_version"], output)


@click.command()
@with_cluster
def health(cluster: Cluster) -> None:
    """Exit with status 0 when a broker answers ApiVersions and Metadata, else with 1."""
    connection = cluster.any_broker()
    apis = len(connection.versions())
    brokers = len(cluster.metadata().brokers)
    click.echo(f"{connection.address} is healthy: {apis} APIs, {brokers} broker(s) in its cluster.")
