"""What tests of engines share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.storage.postgresql_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.postgresql_server import PostgresqlServer


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server for all tests; each has a schema of its own."""
    with running_server() as server:
        yield server
