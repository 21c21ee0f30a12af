"""The schema and its numbered changes, each applied once, whoever comes first.

Rules: a change that has been released is never edited; a schema that is newer than this program is
refused. An advisory lock lets several engines start at once.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from datacore.storage.engine import CannotStart

if TYPE_CHECKING:
    import asyncpg

MIGRATION_LOCK: Final = 0x6461_7461
"""Key of the advisory lock that whoever changes the schema holds."""


async def migrate(connection: asyncpg.Connection, schema: str) -> None:
    """Brings the schema to what this program knows: all of it, or nothing is changed.

    Raises:
        CannotStart: It is of a newer program.
    """
    changes = _changes()
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        done = await _last_change(connection, schema)
        if done > max(changes):
            message = (
                f"schema {schema!r} has change {done}, of a newer DataCore; this one knows "
                f"{max(changes)}: use that one, or another schema (postgresql.schema)"
            )
            raise CannotStart(message)
        for number, statements in sorted(changes.items()):
            if number > done:
                await connection.execute(statements)
                await connection.execute("insert into migration values ($1)", number)


async def _last_change(connection: asyncpg.Connection, schema: str) -> int:
    """The last change that was applied; where there was none yet, the schema is made."""
    # Who may not make tables may still use those that somebody else has made.
    if await connection.fetchval("select to_regnamespace($1)", schema) is None:
        await connection.execute(f'create schema "{schema}"')
    if await connection.fetchval("select to_regclass($1)", f"{schema}.migration") is None:
        await connection.execute("create table migration (number int primary key)")
    done: int = await connection.fetchval("select coalesce(max(number), 0) from migration")
    return done


def _changes() -> dict[int, str]:
    folder = resources.files("datacore.storage.postgresql.migrations")
    return {
        int(file.name.partition("_")[0]): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }
