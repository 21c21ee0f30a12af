"""Names that a shell completes by asking the cluster: of topics and of groups.

Rules: a second at most, and silence instead of errors, for somebody is typing. The codecs are
imported when a shell asks, never by a command.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click

from datacore.cli.session import DEFAULT_BOOTSTRAP
from datacore.client.cluster import Cluster
from datacore.client.errors import ClientError
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PATIENCE_S: Final = 1.0
_NAMES_MAX: Final = 1_000


def topics(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Topics whose names begin with what was typed."""
    from datacore.client.topics import list_topics  # noqa: PLC0415  # a shell's call only

    return _names(
        context, incomplete, lambda cluster: (each.name or "" for each in list_topics(cluster))
    )


def groups(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Groups whose ids begin with what was typed."""
    from datacore.client.groups import list_groups  # noqa: PLC0415  # a shell's call only

    return _names(
        context, incomplete, lambda cluster: (each.group_id for each in list_groups(cluster))
    )


def _names(
    context: click.Context, incomplete: str, ask: Callable[[Cluster], Iterable[str]]
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # a shell's call only

    bootstrap = context.params.get("bootstrap_server") or DEFAULT_BOOTSTRAP
    try:
        with Cluster(bootstrap, timeout_s=_PATIENCE_S, retry_timeout_s=_PATIENCE_S) as cluster:
            found = sorted(name for name in ask(cluster) if name.startswith(incomplete))
    except (ClientError, KafkaError, ValueError):
        return []
    return [CompletionItem(name) for name in found[:_NAMES_MAX]]
