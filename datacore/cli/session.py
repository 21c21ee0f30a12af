"""What every command that talks to a cluster shares: where it is, and what its errors say.

``with_cluster`` adds the options of the connection to a command and hands it a ``Cluster``.
Options win over ``--command-config``, which wins over what is built in.
"""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

import click

from datacore.cli.command_config import ClientSettings, read_client_settings
from datacore.cli.failure import Failure, Mistake, explain
from datacore.client.cluster import Cluster, parse_bootstrap
from datacore.client.connection import CLIENT_ID
from datacore.client.errors import BrokerUnreachableError, ClientError
from datacore.protocol.errors import KafkaError

T = TypeVar("T")

DEFAULT_BOOTSTRAP: Final = "127.0.0.1:9092"
DEFAULT_TIMEOUT_MS: Final = 30_000


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a function of a cluster a command with the options of the connection."""

    @click.option(
        "--bootstrap-server",
        envvar="DATACORE_BOOTSTRAP_SERVER",
        metavar="HOST:PORT,...",
        help="A broker to ask first; several where one may be away.  "
        f"[default: {DEFAULT_BOOTSTRAP}]",
    )
    @click.option(
        "--command-config",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A properties file of Kafka's clients.",
    )
    @click.option(
        "--request-timeout-ms",
        type=click.IntRange(min=1),
        help=f"The longest wait for an answer.  [default: {DEFAULT_TIMEOUT_MS}]",
    )
    @functools.wraps(command)
    def run(
        *,
        bootstrap_server: str | None,
        command_config: Path | None,
        request_timeout_ms: int | None,
        **options: object,
    ) -> None:
        settings = read_client_settings(command_config) if command_config else ClientSettings()
        servers = bootstrap_server or settings.bootstrap_servers or DEFAULT_BOOTSTRAP
        timeout_ms = request_timeout_ms or settings.request_timeout_ms or DEFAULT_TIMEOUT_MS
        try:
            bootstrap = parse_bootstrap(servers)
        except ValueError as error:
            raise Mistake(f"--bootstrap-server: {error}") from None
        with Cluster(
            bootstrap,
            client_id=settings.client_id or CLIENT_ID,
            timeout_s=timeout_ms / 1000,
            retry_timeout_s=timeout_ms / 1000,
        ) as cluster:
            try:
                command(cluster, **options)
            except (KafkaError, ClientError) as error:
                raise Failure(sentence(error)) from None

    return run


def for_each(things: Iterable[T], act: Callable[[T], str]) -> None:
    """Does it to each and prints what was done; a refusal of one does not stop the others.

    Raises:
        Failure: Some were refused; a single one is the failure itself.
    """
    refused: list[str] = []
    done = 0
    for thing in things:
        try:
            click.echo(act(thing))
            done += 1
        except (KafkaError, ClientError) as error:
            refused.append(sentence(error))
    if refused:
        *before, last = refused
        for each in before:
            click.echo(f"Error: {each}", err=True)
        raise Failure(last)


def sentence(error: KafkaError | ClientError) -> str:
    """What went wrong, and what to do next where that is known."""
    if isinstance(error, KafkaError):
        return explain(error)
    if isinstance(error, BrokerUnreachableError):
        return f"{error}: is the broker running, and --bootstrap-server right?"
    return str(error)
