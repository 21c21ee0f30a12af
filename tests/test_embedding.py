"""A broker inside an asyncio program, as the package's front page shows it."""

import subprocess
import sys

import anyio
import pytest

import datacore
from datacore.config import load_config


@pytest.mark.anyio
async def test_serve_runs_a_broker_for_as_long_as_its_context() -> None:
    config = load_config(flags={"storage.engine": "memory", "broker.port": 0})
    async with datacore.serve(config) as running:
        address = running.bootstrap_servers
        host, _, port = address.rpartition(":")
        async with await anyio.connect_tcp(host, int(port)):
            pass
    with pytest.raises(OSError, match="All connection attempts failed"):
        await anyio.connect_tcp(host, int(port))


def test_the_package_imports_no_server_until_it_is_asked_for() -> None:
    program = "import sys, datacore; sys.exit('datacore.server' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'server_of_everything'"):
        _ = datacore.server_of_everything  # type: ignore[attr-defined]  # that is the point
