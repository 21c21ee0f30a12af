"""docs/cli.md: every command, in the words of its own ``--help``.

Read off click's parameters rather than its formatted help, whose layout differs between releases.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

import click

from datacore.cli.listing import Listing, OutputOption
from datacore.cli.main import root
from docs._pages.markdown import GENERATED, code, joined, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INTRODUCTION: Final = """\
# The command line

Every command but `broker start`, `log dump` and `completion` speaks the Kafka protocol, so it works
against Apache Kafka, too. Exit status 0 is done, 1 an error of the cluster or the machine, 2 a
mistake in arguments or configuration; an error is one sentence on standard error. `-h` or `--help`
shows the same as this page. In a clone, the command is `.venv/bin/datacore`.

Where a command takes `-o json`, it prints one array of objects with the keys below; a listing of
one thing is still an array. Keys may be added in a later release; none changes its meaning. Times
are milliseconds since 1970.

`eval "$(datacore completion bash)"` in ~/.bashrc completes commands, options, topics and groups
(`zsh` and `fish`, too).

Commands that speak the protocol have these options besides their own:
"""
_PICTURES: Final = """\
![A group is listed, its offsets are reset](picture-groups.svg)

![Records are read by a template and deleted](picture-records.svg)

![Settings of a topic are altered and shown](picture-settings.svg)
"""
_KAFKAS_TOOLS: Final = (
    ("kafka-topics", "topic create, list, describe, alter, delete"),
    ("kafka-console-producer", "produce"),
    ("kafka-console-consumer", "consume"),
    ("kafka-consumer-groups, kafka-groups", "group"),
    ("kafka-get-offsets", "offset list"),
    ("kafka-delete-records", "records delete"),
    ("kafka-configs, kafka-client-metrics", "config describe, alter, list; quota for quotas"),
    ("kafka-cluster, kafka-broker-api-versions", "cluster describe, apis, unregister-broker"),
    ("kafka-features", "cluster features, update-features"),
    ("kafka-metadata-quorum describe", "cluster quorum"),
    ("kafka-log-dirs", "cluster log-dirs"),
    ("kafka-reassign-partitions", "partition reassign, list-reassignments"),
    ("kafka-leader-election", "partition elect-leaders"),
    ("kafka-transactions", "transaction"),
    ("kafka-producer-perf-test", "bench produce"),
    ("kafka-consumer-perf-test", "bench consume"),
    ("kafka-e2e-latency", "bench latency"),
    ("kafka-dump-log", "log dump"),
)
"""What does the work of which tool of Apache Kafka."""

_CONNECTION: Final = ("bootstrap_server", "command_config", "request_timeout_ms")
"""Parameters of ``datacore.cli.session.with_cluster``."""


def command_line() -> str:
    """The page."""
    commands = dict(_commands(root, click.Context(root), "datacore"))
    shared = {
        option.name: option
        for command in commands.values()
        for option in _options(command)
        if option.name in _CONNECTION
    }
    parts = [GENERATED, _INTRODUCTION, _option_table(shared.values())]
    parts.append("For those who know Kafka's own tools:")
    tools = ([code(tool), code(f"datacore {command}")] for tool, command in _KAFKAS_TOOLS)
    parts.append(table(["Kafka's tool", "here"], tools))
    parts.append(_PICTURES)
    for path, command in commands.items():
        arguments = [each for each in command.params if isinstance(each, click.Argument)]
        parts.append(f"## `{' '.join([path, *map(_argument, arguments)])}`")
        parts.append(inspect.cleandoc(command.help or ""))
        if own := [option for option in _options(command) if option.name not in _CONNECTION]:
            parts.append(_option_table(own))
            parts.extend(_keys(listing) for each in own for listing in _listings(each))
    return joined(parts)


def _commands(
    command: click.Command, context: click.Context, path: str
) -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by what one types for it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        member = command.get_command(context, name)
        assert member is not None
        yield from _commands(member, click.Context(member, parent=context), f"{path} {name}")


def _options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _listings(option: click.Option) -> tuple[Listing, ...]:
    return option.listings if isinstance(option, OutputOption) else ()


def _keys(listing: Listing) -> str:
    """The keys of a listing in JSON."""
    where = f"Keys in JSON, {listing.when}:" if listing.when else "Keys in JSON:"
    rows = [[code(key), about] for key, about in listing.columns.items()]
    return f"{where}\n\n{table(['key', 'what it is'], rows)}"


def _option_table(options: Iterable[click.Option]) -> str:
    return table(["option", "what it says"], map(_option, options))


def _option(option: click.Option) -> list[str]:
    names = [f"{name}{_value(option)}" for name in option.opts]
    about = [option.help or ""]
    if option.required:
        about.append("Required.")
    if option.show_default and isinstance(option.default, str | int):
        about.append(f"Default: {code(option.default)}.")
    if isinstance(option.envvar, str):
        about.append(f"Or {code(option.envvar)} in the environment.")
    return [", ".join(map(code, names + option.secondary_opts)), " ".join(about).strip()]


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if option.metavar:
        return f" {option.metavar}"
    if isinstance(option.type, click.Choice):
        return f" {'|'.join(map(str, option.type.choices))}"
    return " N" if isinstance(option.type, click.IntRange | click.types.IntParamType) else " TEXT"
