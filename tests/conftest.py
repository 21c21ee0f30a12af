"""What every test may lean on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from datacore.server.open_files import raise_open_files_limit
from tests.storage.postgresql_server import running_server
from tests.storage.s3_server import running_s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.postgresql_server import PostgresqlServer
    from tests.storage.s3_server import S3Server

# How long one example takes is the machine's business; a limit per example fails by chance on a
# busy one, and the whole test has pytest's own limit. `make test` tries the same examples each
# time, so that a change never fails for what another one did; `make test-all` draws new ones.
hypothesis.settings.register_profile(
    "datacore",
    deadline=None,
    derandomize=os.environ.get("DATACORE_HYPOTHESIS") != "thorough",
)
hypothesis.settings.load_profile("datacore")

# Flows that several tests walk through explain their failed assertions, as test modules do. Here,
# because whoever imports them first must find that said.
pytest.register_assert_rewrite(
    "tests.handlers.group_flow", "tests.handlers.record_sets", "tests.handlers.topic_flow"
)


# As a broker does when it starts: an engine that a test has in this process opens as many files,
# and an ordinary user may open no more than 1024 until then.
raise_open_files_limit()


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the broker does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server for all tests; each has a schema of its own."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server for all tests; each has a prefix of its own."""
    with running_s3_server() as server:
        yield server
