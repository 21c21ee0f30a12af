"""Why a database cannot be used, as one sentence that says what to change.

Rules: no sentence shows a password. The server's own words are shown where they are the best there
are, without its details and hints, which have lines of their own. An address that cannot be read is
not shown at all, for parts of its password may stand anywhere in it.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from datacore.storage.engine import CannotStart

if TYPE_CHECKING:
    from datacore.storage.postgresql.config import PostgresqlConfig

_HOSTS: Final = re.compile(r"([\w.%-]*|\[[\da-fA-F:.%]+\])(:\d+)?(,([\w.%-]+)(:\d+)?)*")
_FOREIGN: Final = (
    asyncpg.DuplicateTableError,
    asyncpg.DuplicateObjectError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedTableError,
    asyncpg.WrongObjectTypeError,
)


def place_of(config: PostgresqlConfig) -> str:
    """Which schema of which database, without user and password."""
    database = f"{config.host}:{config.port}/{config.database}"
    if config.dsn is not None:
        database = _without_secrets(config.dsn)
    return f"postgresql://{database}#{config.schema}"


def _without_secrets(dsn: str) -> str:
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return ""
    hosts = parts.netloc.rpartition("@")[2]
    is_address = parts.scheme in {"postgres", "postgresql"} and "@" not in parts.path
    if not is_address or _HOSTS.fullmatch(hosts) is None:
        return ""
    return f"{hosts}{parts.path}"


def refusal(error: BaseException | None, config: PostgresqlConfig) -> CannotStart | None:
    """What the settings make impossible; None where trying again may do."""
    why = _why(error, config)
    return CannotStart(f"{place_of(config)} cannot be used: {why}") if why is not None else None


def _why(error: BaseException | None, config: PostgresqlConfig) -> str | None:
    who, key = f"user {config.user!r}", "postgresql."
    names = {each: f"{key}{each}" for each in ("host", "port", "database", "user", "password")}
    if config.dsn is not None:
        who, names = "the user", dict.fromkeys(names, "postgresql.dsn")
    where = f"{names['host']}, {names['port']}" if config.dsn is None else names["host"]
    match error:
        case asyncpg.PostgresError():
            return _servers_why(error, config, who, names)
        case socket.gaierror():
            return f"there is no such host ({names['host']})"
        case ConnectionRefusedError() | FileNotFoundError():
            return f"nobody listens there ({where})"
        case TimeoutError():
            return f"nobody answers there ({where})"
        case OSError():
            return f"it cannot be reached ({where}): {one_line(error)}"
        case asyncpg.ClientConfigurationError() if "DSN" not in str(error):
            return f"the connection cannot be as it is asked for: {one_line(error)}"
        case ValueError() if config.dsn is not None:
            return (
                "postgresql.dsn cannot be read: it looks like postgresql://user:password@host:port"
                "/database, with %XX for what has a meaning there"
            )
    return None


def _servers_why(
    error: asyncpg.PostgresError, config: PostgresqlConfig, who: str, names: dict[str, str]
) -> str | None:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():  # a wrong password is one, too
            return f"{who} is not let in ({names['user']}, {names['password']}): {one_line(error)}"
        case asyncpg.InvalidCatalogNameError():
            return f"there is no such database ({names['database']}): make it first"
        case asyncpg.InsufficientPrivilegeError():
            return (
                f"{who} may not use or make what is needed in schema {config.schema!r}"
                f" ({names['user']}, postgresql.schema): {one_line(error)}"
            )
        case asyncpg.ReadOnlySQLTransactionError():
            return f"it only reads, as a standby does ({names['host']})"
        case _ if isinstance(error, _FOREIGN):
            return (
                f"schema {config.schema!r} holds something that is not DataCore's, choose another"
                f" (postgresql.schema): {one_line(error)}"
            )
    return None


def one_line(error: BaseException) -> str:
    """What an error says, without details and hints."""
    said = error.args[0] if isinstance(error, asyncpg.PostgresError) and error.args else error
    return " ".join(str(said).split()) or type(error).__name__
