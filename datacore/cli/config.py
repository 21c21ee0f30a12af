"""``datacore config``: settings of topics, brokers, groups, client metrics and loggers.

Kafka's counterparts: ``kafka-configs`` (but for quotas and users) and ``kafka-client-metrics``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import click

from datacore._generated.describe_configs import DescribeConfigsResourceResult
from datacore.cli import completing
from datacore.cli.command_config import parse_properties
from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.session import with_cluster
from datacore.cli.wording import names, settings
from datacore.client.cluster import Cluster
from datacore.client.configs import (
    CLUSTER_DEFAULT,
    Alteration,
    Operation,
    ResourceType,
    alter_configs,
    describe_configs,
    list_config_resources,
)

_SOURCES: Final = {
    1: "topic",
    2: "broker, dynamic",
    3: "brokers, dynamic",
    4: "broker, static",
    5: "default",
    6: "broker logger, dynamic",
    7: "client metrics, dynamic",
    8: "group, dynamic",
}
_DEFAULT: Final = 5
_TYPES: Final = {
    1: "boolean",
    2: "string",
    3: "int",
    4: "short",
    5: "long",
    6: "double",
    7: "list",
    8: "class",
    9: "password",
}
_WORDS: Final = {
    ResourceType.TOPIC: "topic",
    ResourceType.BROKER: "broker",
    ResourceType.BROKER_LOGGER: "broker-logger",
    ResourceType.CLIENT_METRICS: "client-metrics",
    ResourceType.GROUP: "group",
}
_SETTINGS = Listing(
    {
        "name": "The setting's name.",
        "value": "Its value; null where it has none or is secret.",
        "source": "Where the value was set, or default.",
        "read_only": "Whether it cannot be altered while the broker runs.",
        "type": "The type of its value, in Kafka's words; null before Kafka 2.6.",
        "sensitive": "Whether its value is never shown.",
        "synonyms": "NAME=VALUE of all places that set it, the one in force first.",
        "documentation": "What it is for; null where the broker does not tell.",
    },
    only_json=["type", "sensitive", "synonyms", "documentation"],
)
_RESOURCES = Listing({"type": "topic, broker, group and so on.", "name": "Its name."})


class Resource(NamedTuple):
    """What the settings belong to."""

    kind: ResourceType
    name: str

    def __str__(self) -> str:
        word = _WORDS[self.kind].replace("-", " ")
        return f"{word} {self.name}" if self.name else "all brokers"


def _resource_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that name a resource, as Kafka's tool calls them."""
    for option in (
        click.option("--group", help="The group of that name."),
        click.option("--client-metrics", help="The client metrics subscription of that name."),
        click.option(
            "--broker-logger", type=click.IntRange(min=0), help="Log levels of the broker."
        ),
        click.option("--broker-defaults", is_flag=True, help="What all brokers were told."),
        click.option("--broker", type=click.IntRange(min=0), help="The broker of that id."),
        click.option("--topic", shell_complete=completing.topics, help="The topic of that name."),
    ):
        command = option(command)
    return command


def _resource(
    topic: str | None,
    broker: int | None,
    broker_logger: int | None,
    client_metrics: str | None,
    group: str | None,
    *,
    broker_defaults: bool,
) -> Resource:
    named = [
        Resource(kind, str(name))
        for kind, name in (
            (ResourceType.TOPIC, topic),
            (ResourceType.BROKER, broker),
            (ResourceType.BROKER_LOGGER, broker_logger),
            (ResourceType.CLIENT_METRICS, client_metrics),
            (ResourceType.GROUP, group),
        )
        if name is not None
    ]
    named += [Resource(ResourceType.BROKER, CLUSTER_DEFAULT)] if broker_defaults else []
    if len(named) != 1:
        raise Mistake(
            "expected one of --topic, --broker, --broker-defaults, --broker-logger, "
            "--client-metrics, --group"
        )
    return named[0]


@click.group()
def config() -> None:
    """Settings of topics, brokers, groups and client metrics."""


@config.command()
@_resource_options
@click.option("--all", "show_all", is_flag=True, help="Also settings that have their default.")
@output_option(_SETTINGS)
@with_cluster
def describe(
    cluster: Cluster,
    *,
    topic: str | None,
    broker: int | None,
    broker_defaults: bool,
    broker_logger: int | None,
    client_metrics: str | None,
    group: str | None,
    show_all: bool,
    output: Output,
) -> None:
    """Show settings, and where they come from."""
    resource = _resource(
        topic, broker, broker_logger, client_metrics, group, broker_defaults=broker_defaults
    )
    found = describe_configs(cluster, resource.kind, resource.name, documentation=output == "json")
    is_logger = resource.kind is ResourceType.BROKER_LOGGER
    rows = [
        _row(each)
        for each in found
        if show_all or is_logger or not (each.is_default or each.config_source == _DEFAULT)
    ]
    _SETTINGS.show(rows, output)


def _row(found: DescribeConfigsResourceResult) -> Row:
    return {
        "name": found.name,
        "value": None if found.is_sensitive else found.value,
        "source": _SOURCES.get(found.config_source, "unknown"),
        "read_only": found.read_only,
        "type": _TYPES.get(found.config_type),
        "sensitive": found.is_sensitive,
        "synonyms": [f"{each.name}={each.value}" for each in found.synonyms],
        "documentation": found.documentation or None,
    }


@config.command()
@_resource_options
@click.option(
    "--add-config",
    "added",
    multiple=True,
    metavar="NAME=VALUE,...",
    help="Settings to set; [a,b] holds a list together.",
)
@click.option(
    "--add-config-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A properties file of settings to set.",
)
@click.option(
    "--delete-config",
    "deleted",
    multiple=True,
    metavar="NAME,...",
    help="Settings to give back to their default.",
)
@click.option(
    "--append-config", "appended", multiple=True, metavar="NAME=VALUE,...", help="To a list's end."
)
@click.option(
    "--subtract-config", "subtracted", multiple=True, metavar="NAME=VALUE,...", help="From a list."
)
@click.option("--validate-only", is_flag=True, help="Change nothing, say what would happen.")
@with_cluster
def alter(
    cluster: Cluster,
    *,
    topic: str | None,
    broker: int | None,
    broker_defaults: bool,
    broker_logger: int | None,
    client_metrics: str | None,
    group: str | None,
    added: tuple[str, ...],
    add_config_file: Path | None,
    deleted: tuple[str, ...],
    appended: tuple[str, ...],
    subtracted: tuple[str, ...],
    validate_only: bool,
) -> None:
    """Change settings, all of them or none."""
    resource = _resource(
        topic, broker, broker_logger, client_metrics, group, broker_defaults=broker_defaults
    )
    file = _read(add_config_file) if add_config_file is not None else {}
    to_set = file | settings("--add-config", added)
    to_append = settings("--append-config", appended)
    to_subtract = settings("--subtract-config", subtracted)
    alterations = [
        *(Alteration(k, Operation.SET, v) for k, v in to_set.items()),
        *(Alteration(each, Operation.DELETE) for each in names("--delete-config", deleted)),
        *(Alteration(k, Operation.APPEND, v) for k, v in to_append.items()),
        *(Alteration(k, Operation.SUBTRACT, v) for k, v in to_subtract.items()),
    ]
    if not alterations:
        raise Mistake("expected --add-config, --delete-config or another change")
    alter_configs(cluster, resource.kind, resource.name, alterations, validate_only=validate_only)
    done = "could be altered" if validate_only else "altered"
    click.echo(f"{len(alterations)} setting(s) of {resource} {done}.")


def _read(path: Path) -> dict[str, str]:
    try:
        return parse_properties(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"--add-config-file: {path} cannot be read: {error}") from None


@config.command(name="list")
@click.option(
    "--type", "types", type=click.Choice(list(_WORDS.values())), multiple=True, help="Only these."
)
@output_option(_RESOURCES)
@with_cluster
def list_(cluster: Cluster, *, types: tuple[str, ...], output: Output) -> None:
    """List what has settings; before Kafka 4.1 brokers tell client metrics only."""
    kinds = [kind for kind, word in _WORDS.items() if word in types]
    rows = [
        {"type": _WORDS[kind], "name": name}
        for kind, name in list_config_resources(cluster, kinds)
        if not kinds or kind in kinds
    ]
    _RESOURCES.show(rows, output)
