"""What commands are run against: DataCore, and with ``-m compat`` Apache Kafka, by the same tests.

A test that asks for ``call`` runs once on each. Commands run in this process, for a process each
takes a third of a second; every group has a test of the real binary as well.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
from click.testing import CliRunner

from datacore._generated.api_keys import ApiKey
from datacore.cli.main import root
from datacore.client.cluster import Cluster
from datacore.testing import Broker
from tests.cli.command import Done
from tests.oracle.apache_kafka import ApacheKafka

Command = Callable[..., Done]
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A cluster of one broker, whose id is 1."""

    bootstrap: str
    is_datacore: bool
    apis: frozenset[int]

    def needs(self, *apis: ApiKey) -> None:
        """Skips a test of what DataCore does not serve; Apache Kafka serves all there is."""
        if missing := [api.name for api in apis if api not in self.apis]:
            assert self.is_datacore
            pytest.skip(f"DataCore does not serve {', '.join(missing)}")


@pytest.fixture(
    scope="session", params=["datacore", pytest.param("kafka-4.1.1", marks=pytest.mark.compat)]
)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    is_datacore = request.param == "datacore"
    with Broker() if is_datacore else ApacheKafka("4.1.1", heap="512m") as broker:
        bootstrap = broker.bootstrap_servers if isinstance(broker, Broker) else broker.bootstrap
        with Cluster(bootstrap) as cluster:
            apis = frozenset(cluster.any_broker().versions())
        yield Target(bootstrap, is_datacore, apis)


@pytest.fixture
def call(target: Target) -> Command:
    """Runs a command in this process."""
    return caller(target.bootstrap)


@pytest.fixture
def cluster(target: Target) -> Iterator[Cluster]:
    with Cluster(target.bootstrap) as connected:
        yield connected


@pytest.fixture
def name() -> str:
    """A name that nothing else has: of a topic, a group, whatever."""
    return f"n{uuid.uuid4().hex[:12]}"


def caller(bootstrap: str) -> Command:
    """Runs commands in this process against a broker."""

    def run(*arguments: str) -> Done:
        environment = {"DATACORE_BOOTSTRAP_SERVER": bootstrap}
        result = CliRunner(env=environment).invoke(root, arguments, prog_name="datacore")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


def soon(look: Callable[[], T], expected: T, /) -> T:
    """What a look shows once it is what is expected, or at last.

    A broker of Apache Kafka hears of what its controller acknowledged a moment later.
    """
    deadline_s = time.monotonic() + 10
    while (seen := look()) != expected and time.monotonic() < deadline_s:
        continue
    return seen
