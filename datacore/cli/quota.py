"""``datacore quota``: what users, clients and addresses may use.

Kafka's counterpart: ``kafka-configs`` with ``--user``, ``--client-id`` and ``--ip``.
"""

from collections.abc import Callable

import click

from datacore.cli.failure import Mistake
from datacore.cli.listing import Listing, Output, output_option
from datacore.cli.session import with_cluster
from datacore.cli.wording import names, settings
from datacore.client.cluster import Cluster
from datacore.client.quotas import CLIENT_ID, IP, USER, alter_quotas, describe_quotas

_QUOTAS = Listing(
    {
        "user": "The user's name, <default> for all others; null where it is for any.",
        "client_id": "The client's id, likewise.",
        "ip": "The address, likewise.",
        "quota": "producer_byte_rate, consumer_byte_rate, request_percentage and so on.",
        "value": "Its limit, a number.",
    }
)
_DEFAULT_NAME = "<default>"


def _entity_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that name an entity, as Kafka's tool calls them."""
    for option in (
        click.option("--ip-defaults", is_flag=True, help="All addresses without their own."),
        click.option("--ip", help="The address."),
        click.option("--client-defaults", is_flag=True, help="All client ids without their own."),
        click.option("--client-id", help="The client of that id."),
        click.option("--user-defaults", is_flag=True, help="All users without their own."),
        click.option("--user", help="The user of that name."),
    ):
        command = option(command)
    return command


def _entity(
    user: str | None,
    client_id: str | None,
    ip: str | None,
    *,
    user_defaults: bool,
    client_defaults: bool,
    ip_defaults: bool,
) -> dict[str, str | None]:
    entity: dict[str, str | None] = {}
    for kind, name, is_default in (
        (USER, user, user_defaults),
        (CLIENT_ID, client_id, client_defaults),
        (IP, ip, ip_defaults),
    ):
        if name is not None and is_default:
            raise Mistake(f"expected a {kind} or the default of all, not both")
        if name is not None or is_default:
            entity[kind] = name
    if IP in entity and len(entity) > 1:
        raise Mistake("--ip: expected no user and no client id beside it")
    return entity


@click.group()
def quota() -> None:
    """What users, clients and addresses may use."""


@quota.command()
@_entity_options
@output_option(_QUOTAS)
@with_cluster
def describe(
    cluster: Cluster,
    *,
    user: str | None,
    user_defaults: bool,
    client_id: str | None,
    client_defaults: bool,
    ip: str | None,
    ip_defaults: bool,
    output: Output,
) -> None:
    """Show quotas that match; without an option, all there are."""
    entity = _entity(
        user,
        client_id,
        ip,
        user_defaults=user_defaults,
        client_defaults=client_defaults,
        ip_defaults=ip_defaults,
    )
    rows = [
        {
            "user": _shown(each.entity, USER),
            "client_id": _shown(each.entity, CLIENT_ID),
            "ip": _shown(each.entity, IP),
            "quota": name,
            "value": value,
        }
        for each in describe_quotas(cluster, entity)
        for name, value in sorted(each.values.items())
    ]
    _QUOTAS.show(sorted(rows, key=lambda row: [str(cell) for cell in row.values()]), output)


def _shown(entity: dict[str, str | None], kind: str) -> str | None:
    if kind not in entity:
        return None
    name = entity[kind]
    return _DEFAULT_NAME if name is None else name


@quota.command()
@_entity_options
@click.option(
    "--add-config", "added", multiple=True, metavar="NAME=NUMBER,...", help="Quotas to set."
)
@click.option(
    "--delete-config", "deleted", multiple=True, metavar="NAME,...", help="Quotas to remove."
)
@click.option("--validate-only", is_flag=True, help="Change nothing, say what would happen.")
@with_cluster
def alter(
    cluster: Cluster,
    *,
    user: str | None,
    user_defaults: bool,
    client_id: str | None,
    client_defaults: bool,
    ip: str | None,
    ip_defaults: bool,
    added: tuple[str, ...],
    deleted: tuple[str, ...],
    validate_only: bool,
) -> None:
    """Set or remove quotas, such as producer_byte_rate, of one entity."""
    entity = _entity(
        user,
        client_id,
        ip,
        user_defaults=user_defaults,
        client_defaults=client_defaults,
        ip_defaults=ip_defaults,
    )
    if not entity:
        raise Mistake("expected --user, --client-id, --ip, or the default of one of them")
    values: dict[str, float | None] = {
        name: _number(name, value) for name, value in settings("--add-config", added).items()
    }
    values |= dict.fromkeys(names("--delete-config", deleted))
    if not values:
        raise Mistake("expected --add-config or --delete-config")
    alter_quotas(cluster, entity, values, validate_only=validate_only)
    who = ", ".join(f"{kind} {_shown(entity, kind)}" for kind in entity)
    done = "could be altered" if validate_only else "altered"
    click.echo(f"{len(values)} quota(s) of {who} {done}.")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Mistake(f"--add-config: {name}: expected a number, got {text!r}") from None
