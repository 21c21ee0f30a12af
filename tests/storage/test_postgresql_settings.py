"""A broker over a database that it cannot use: one sentence, exit status 2, and nothing is made."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from datacore.config import load_config
from datacore.server.serve import serve
from datacore.storage.engine import CannotStart
from datacore.storage.postgresql.config import PostgresqlConfig
from datacore.storage.postgresql.engine import PostgresqlEngine
from datacore.testing.engine_harness import LOG, on_loop, running
from tests.storage.postgresql_server import GUARDED, USER
from tests.storage.test_postgresql import PostgresqlHarness, config_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.postgresql_server import PostgresqlServer

PASSWORD: Final = "sesame"
WRONG: Final = "open-barley"
EVERYTHING: Final = (
    "select nspname from pg_namespace where nspname !~ '^pg_'"
    " union all select relnamespace::regnamespace || '.' || relname from pg_class order by 1"
)


@pytest.fixture(autouse=True)
def nobody_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the settings says who asks."""
    for name in [name for name in os.environ if name.startswith(("PG", "DATACORE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def guarded(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """A role with a password, and no right to make anything."""
    postgresql_server.statement(f"create role {GUARDED} login password '{PASSWORD}'")
    yield GUARDED
    owned = f"drop owned by {GUARDED}"
    postgresql_server.statement(owned, database="datacore")
    postgresql_server.statement(f"drop role {GUARDED}")


@pytest.fixture
def schema() -> str:
    return f"settings_{uuid.uuid4().hex}"


def flags_of(settings: dict[str, str]) -> dict[str, str]:
    return {f"postgresql.{name}": value for name, value in settings.items()}


def refusal(settings: dict[str, str]) -> str:
    """What a broker says that is started so, and must not start."""

    async def start() -> None:
        flags = {"broker.port": "0", "storage.engine": "postgresql", **flags_of(settings)}
        async with serve(load_config(flags=flags)):
            pass

    with pytest.raises(CannotStart) as refused:
        asyncio.run(start())
    said = str(refused.value)
    assert PASSWORD not in said
    assert WRONG not in said
    assert "\n" not in said
    assert len(said) < 400
    return said


def settings_for(trouble: str, server: PostgresqlServer, schema: str) -> dict[str, str]:
    """What is wrong in each case."""
    settings = {"host": server.host, "schema": schema}
    return (
        settings
        | {
            "wrong password": {"user": GUARDED, "password": WRONG},
            "no password": {"user": GUARDED},
            "no such user": {"user": "nobody_knows"},
            "no such database": {"database": "missing"},
            "no such host": {"host": "nowhere.invalid", "password": PASSWORD},
            "nobody listens": {"host": "127.0.0.1", "port": "1", "password": PASSWORD},
            "no such socket": {"host": "/nowhere"},
            "no right": {"user": GUARDED, "password": PASSWORD},
        }[trouble]
    )


EXPECTED: Final = {
    "wrong password": "user 'guarded' is not let in (postgresql.user, postgresql.password): "
    'password authentication failed for user "guarded"',
    "no password": "user 'guarded' is not let in (postgresql.user, postgresql.password): ",
    "no such user": "user 'nobody_knows' is not let in (postgresql.user, postgresql.password): ",
    "no such database": "there is no such database (postgresql.database): make it first",
    "no such host": "there is no such host (postgresql.host)",
    "nobody listens": "nobody listens there (postgresql.host, postgresql.port)",
    "no such socket": "nobody listens there (postgresql.host, postgresql.port)",
    "no right": "user 'guarded' may not use or make what is needed in schema ",
}


@pytest.mark.parametrize("trouble", list(EXPECTED))
def test_what_is_wrong_is_said_in_one_sentence_and_nothing_is_made(
    trouble: str, postgresql_server: PostgresqlServer, guarded: str, schema: str
) -> None:
    before = postgresql_server.statement(EVERYTHING, database="datacore")
    said = refusal(settings_for(trouble, postgresql_server, schema))
    assert said.startswith("postgresql://")
    assert f"#{schema} cannot be used: {EXPECTED[trouble]}" in said
    assert postgresql_server.statement(EVERYTHING, database="datacore") == before
    assert guarded == GUARDED


@pytest.mark.parametrize("trouble", ["wrong password", "no such database", "no right"])
def test_an_address_in_one_piece_is_named_as_such(
    trouble: str, postgresql_server: PostgresqlServer, guarded: str, schema: str
) -> None:
    settings = settings_for(trouble, postgresql_server, schema)
    user, password = settings.get("user", USER), settings.get("password", "")
    database = settings.get("database", "datacore")
    dsn = f"postgresql://{user}:{password}@/{database}?host={settings['host']}"
    said = refusal({"dsn": dsn, "schema": schema})
    assert said.startswith(f"postgresql:///{database}#{schema} cannot be used: ")
    assert "postgresql.dsn" in said or "postgresql.schema" in said
    assert guarded == GUARDED


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgres//someone:{PASSWORD}@host",
        f"postgresql://someone:{PASSWORD}/1@127.0.0.1:1/datacore",
        f"postgresql://someone:1/{PASSWORD}@127.0.0.1:1/datacore",
        f"postgresql://someone:{PASSWORD}#1@127.0.0.1:1/datacore",
        f"postgresql://someone:x@{PASSWORD}@127.0.0.1:1/datacore",
        f"postgresql://someone:{PASSWORD}@[::1/datacore",
        f"postgresql://someone:{PASSWORD}@127.0.0.1:x/datacore",
        f"postgresql://127.0.0.1:1/datacore?user=someone&password=x@{PASSWORD}",
        f"postgresql://someone:{PASSWORD}@127.0.0.1:1/datacore?sslmode=perhaps",
        f"host=127.0.0.1 password={PASSWORD}",
    ],
)
def test_an_address_that_cannot_be_read_shows_no_password(dsn: str, schema: str) -> None:
    assert " cannot be used: " in refusal({"dsn": dsn, "schema": schema})


def test_the_command_says_it_in_one_line_and_ends_with_status_2(
    postgresql_server: PostgresqlServer, schema: str
) -> None:
    settings = {"host": postgresql_server.host, "database": "missing", "schema": schema}
    flags = ["--storage-engine=postgresql"]
    flags += [f"--postgresql-{name}={value}" for name, value in settings.items()]
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "datacore",
            "broker",
            "start",
            "--storage-engine=postgresql",
            *flags,
        ],
        env={**os.environ, "DATACORE_BROKER__PORT": "0", "DATACORE_POSTGRESQL__PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"Error: the postgresql engine cannot start: postgresql://{postgresql_server.host}:5432/"
        f"missing#{schema} cannot be used: there is no such database (postgresql.database): "
        "make it first\n"
    )


@pytest.fixture
def config(postgresql_server: PostgresqlServer) -> PostgresqlConfig:
    return config_of(postgresql_server)


@on_loop
async def test_a_schema_of_a_newer_program_is_refused_and_left_as_it_is(
    postgresql_server: PostgresqlServer, config: PostgresqlConfig
) -> None:
    async with running(PostgresqlHarness(config)):
        pass
    postgresql_server.statement(
        f"insert into {config.schema}.migration values (9999)", database="datacore"
    )
    before = postgresql_server.statement(EVERYTHING, database="datacore")
    with pytest.raises(CannotStart, match="has change 9999, of a newer DataCore; this one knows"):
        await PostgresqlEngine(config).start()
    assert postgresql_server.statement(EVERYTHING, database="datacore") == before


@on_loop
async def test_a_schema_of_an_older_program_is_brought_up_to_date_by_who_may(
    postgresql_server: PostgresqlServer, guarded: str, config: PostgresqlConfig
) -> None:
    postgresql_server.statement(
        f"create schema {config.schema};"
        f" create table {config.schema}.migration (number int primary key);"
        f" grant usage on schema {config.schema} to {guarded};"
        f" grant select on all tables in schema {config.schema} to {guarded}",
        database="datacore",
    )
    before = postgresql_server.statement(EVERYTHING, database="datacore")
    with pytest.raises(CannotStart, match="may not use or make what is needed in schema"):
        await PostgresqlEngine(replace(config, user=guarded, password=PASSWORD)).start()
    assert postgresql_server.statement(EVERYTHING, database="datacore") == before
    async with running(PostgresqlHarness(config)) as engine:
        await engine.open_log(LOG, epoch=0)


@on_loop
async def test_who_may_make_nothing_may_use_what_somebody_else_has_made(
    postgresql_server: PostgresqlServer, guarded: str, config: PostgresqlConfig
) -> None:
    async with running(PostgresqlHarness(config)):
        pass
    postgresql_server.statement(
        f"grant usage on schema {config.schema} to {guarded};"
        f" grant all on all tables in schema {config.schema} to {guarded};"
        f" grant all on all sequences in schema {config.schema} to {guarded}",
        database="datacore",
    )
    harness = PostgresqlHarness(replace(config, user=guarded, password=PASSWORD))
    async with running(harness) as engine:
        await engine.open_log(LOG, epoch=0)


@pytest.mark.parametrize("made", ["table log (at int)", "table migration (name text)"])
@on_loop
async def test_a_schema_of_something_else_is_refused_and_left_as_it_is(
    made: str, postgresql_server: PostgresqlServer, config: PostgresqlConfig
) -> None:
    postgresql_server.statement(
        f"create schema {config.schema}; set search_path = {config.schema}; create {made}",
        database="datacore",
    )
    before = postgresql_server.statement(EVERYTHING, database="datacore")
    with pytest.raises(CannotStart, match=r"holds something that is not DataCore's, choose"):
        await PostgresqlEngine(config).start()
    assert postgresql_server.statement(EVERYTHING, database="datacore") == before


@on_loop
async def test_a_database_that_only_reads_is_refused(
    postgresql_server: PostgresqlServer, config: PostgresqlConfig
) -> None:
    postgresql_server.statement("create database reading")
    postgresql_server.statement("alter database reading set default_transaction_read_only = on")
    with pytest.raises(CannotStart, match="it only reads, as a standby does"):
        await PostgresqlEngine(replace(config, database="reading")).start()


def test_what_was_set_shows_no_password() -> None:
    config = PostgresqlConfig(dsn=f"postgresql://someone:{PASSWORD}@host/x", password=PASSWORD)
    assert PASSWORD not in repr(config)
    assert PASSWORD not in PostgresqlEngine(config).place
