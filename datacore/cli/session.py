"""What every command that talks to a cluster shares: where it is, and what its errors say.

``with_cluster`` adds the options of the connection to a command and hands it a ``Cluster``.
"""

import functools
from collections.abc import Callable
from typing import Final

import click

from datacore._generated.errors import ErrorCode
from datacore.cli.failure import Failure, Mistake
from datacore.client.cluster import Cluster, parse_bootstrap
from datacore.client.errors import BrokerUnreachableError, ClientError
from datacore.protocol.errors import KafkaError

_NEXT_STEPS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "`datacore topic list` shows those that exist",
    ErrorCode.TOPIC_ALREADY_EXISTS: "`datacore topic describe` shows what it is like",
    ErrorCode.GROUP_ID_NOT_FOUND: "`datacore group list` shows those that exist",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "use letters, digits, '.', '_' and '-', 249 at most",
    ErrorCode.INVALID_PARTITIONS: "a topic's number of partitions can only grow",
    ErrorCode.INVALID_REPLICATION_FACTOR: "at most one replica a broker: see `cluster describe`",
    ErrorCode.MESSAGE_TOO_LARGE: "raise max.message.bytes of the topic, or send less at a time",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "ask for the right to this topic",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "ask for the right to this group",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "ask for the right to administer this cluster",
}


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a function of a cluster a command with the options of the connection."""

    @click.option(
        "--bootstrap-server",
        default="127.0.0.1:9092",
        show_default=True,
        envvar="DATACORE_BOOTSTRAP_SERVER",
        metavar="HOST:PORT,...",
        help="A broker to ask first; several where one may be away.",
    )
    @click.option(
        "--request-timeout-ms",
        default=30_000,
        show_default=True,
        type=click.IntRange(min=1),
        help="The longest wait for an answer.",
    )
    @functools.wraps(command)
    def run(*, bootstrap_server: str, request_timeout_ms: int, **options: object) -> None:
        timeout_s = request_timeout_ms / 1000
        try:
            bootstrap = parse_bootstrap(bootstrap_server)
        except ValueError as error:
            raise Mistake(f"--bootstrap-server: {error}") from None
        try:
            with Cluster(bootstrap, timeout_s=timeout_s, retry_timeout_s=timeout_s) as cluster:
                command(cluster, **options)
        except KafkaError as error:
            raise Failure(explain(error)) from None
        except BrokerUnreachableError as error:
            raise Failure(
                f"{error}: is the broker running, and --bootstrap-server right?"
            ) from None
        except ClientError as error:
            raise Failure(str(error)) from None

    return run


def explain(error: KafkaError) -> str:
    """A broker's refusal as one sentence that says what to do next, where that is known."""
    message = (error.message or "").strip().rstrip(".")
    said = f"{error.code.name}: {message}" if message else error.code.name
    next_step = _NEXT_STEPS.get(error.code)
    return f"{said}: {next_step}" if next_step else said
