"""The ``datacore`` command: every subcommand by name, and what exit statuses mean.

0 is done, 1 an error of the cluster or the machine, 2 a mistake in arguments or configuration.
An error is one sentence on standard error that says what to do next.
"""

import click

from datacore.cli.lazy import LazyCommand, LazyGroup
from datacore.version import VERSION

_COMMANDS = {
    "broker": LazyCommand("datacore.cli.broker:broker", "Run a broker."),
    "topic": LazyCommand("datacore.cli.topic:topic", "Create, list, describe, alter, delete."),
    "produce": LazyCommand("datacore.cli.produce:produce", "Write lines as records."),
    "consume": LazyCommand("datacore.cli.consume:consume", "Print records."),
    "group": LazyCommand("datacore.cli.group:group", "Consumer groups and their lag."),
    "offset": LazyCommand("datacore.cli.offset:offset", "Where partitions begin and end."),
    "records": LazyCommand("datacore.cli.records:records", "Delete records."),
    "cluster": LazyCommand("datacore.cli.cluster:cluster", "The brokers of a cluster."),
    "config": LazyCommand("datacore.cli.config:config", "Settings of topics, brokers, groups."),
    "quota": LazyCommand("datacore.cli.quota:quota", "What users and clients may use."),
    "partition": LazyCommand("datacore.cli.partition:partition", "Replicas and leaders."),
    "transaction": LazyCommand(
        "datacore.cli.transaction:transaction", "Transactions, and those that hang."
    ),
    "health": LazyCommand("datacore.cli.cluster:health", "Whether a broker answers."),
    "bench": LazyCommand("datacore.cli.bench:bench", "Load a broker and print what it takes."),
    "log": LazyCommand("datacore.cli.log:log", "Look into the files of a log."),
    "completion": LazyCommand(
        "datacore.cli.completion:completion", "Completion of this command in a shell."
    ),
}

root = LazyGroup(
    "datacore",
    _COMMANDS,
    help="Apache Kafka's protocol, whole, in one pip install of Python.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
root = click.version_option(VERSION, message="%(prog)s %(version)s")(root)


def main() -> None:
    """Runs the command line and ends the process."""
    root(prog_name="datacore")
