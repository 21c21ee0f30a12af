"""Fixtures for tests that need a Kafka broker: ``kafka`` and ``kafka_topic``.

Loaded by pytest wherever datacore is installed, so it imports nothing until a fixture is used. The
ini option ``kafka_scope`` says how long a broker lives: ``function`` (each test its own; starting
one takes some milliseconds), ``class``, ``module``, ``package`` or ``session``.
"""

import re
from typing import TYPE_CHECKING, Literal, cast, get_args
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.testing.broker import Broker

Scope = Literal["session", "package", "module", "class", "function"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the ini option."""
    parser.addini(
        "kafka_scope", "How long the broker of the kafka fixtures lives.", default="function"
    )


def _scope(fixture_name: str, config: pytest.Config) -> Scope:  # noqa: ARG001  # pytest's signature
    scope = config.getini("kafka_scope")
    if scope not in get_args(Scope):
        raise pytest.UsageError(f"kafka_scope: expected one of {get_args(Scope)}, got {scope!r}")
    return cast("Scope", scope)


@pytest.fixture(scope=_scope)
def kafka_broker() -> "Iterator[Broker]":
    """A running broker with the memory engine on a free port."""
    from datacore.testing.broker import Broker  # noqa: PLC0415  # see the module's rule

    with Broker() as broker:
        yield broker


@pytest.fixture(scope=_scope)
def kafka(kafka_broker: "Broker") -> str:
    """Bootstrap address of a running broker."""
    return kafka_broker.bootstrap_servers


@pytest.fixture
def kafka_topic(kafka: str, request: pytest.FixtureRequest) -> str:
    """Name of an empty topic with one partition that is this test's alone."""
    from datacore.client.admin import create_topic  # noqa: PLC0415  # as above
    from datacore.client.cluster import Cluster  # noqa: PLC0415

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:200].strip("-")
    topic = f"{name}-{uuid4().hex[:8]}"
    with Cluster(kafka) as cluster:
        create_topic(cluster, topic, partitions=1, replication_factor=1)
    return topic
