"""Kafka Connect's workers: their settings, and their door for people (REST).

worker = DistributedWorker(program, bootstrap, folder, exactly_once=True)
with worker.running() as process:
    worker.put("lines", {"connector.class": ..., ...})
    until(lambda: worker.states("lines") == ["RUNNING"], ...)
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compat.applications import Application, application
from tests.compat.environments import Program
from tests.oracle.apache_kafka import free_port

__all__ = ["SINK", "SOURCE", "DistributedWorker", "properties", "standalone"]

SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
_CLI = "org.apache.kafka.connect.cli."
_STRINGS = "org.apache.kafka.connect.storage.StringConverter"
_ANSWER_TIMEOUT_S = 30.0


def properties(path: Path, settings: Mapping[str, object]) -> Path:
    """Writes a file of Java's properties."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _worker_settings(bootstrap: str, port: int) -> dict[str, object]:
    return {
        "bootstrap.servers": bootstrap,
        "key.converter": _STRINGS,
        "value.converter": _STRINGS,
        "listeners": f"http://127.0.0.1:{port}",
        "offset.flush.interval.ms": 300,
    }


def standalone(
    program: Program, bootstrap: str, folder: Path, connectors: Mapping[str, Mapping[str, object]]
) -> list[str]:
    """The command of a standalone worker that has these connectors."""
    offsets = {"offset.storage.file.filename": folder / "offsets"}
    settings = _worker_settings(bootstrap, free_port()) | offsets
    files = [properties(folder / "worker.properties", settings)]
    files += [
        properties(folder / f"{name}.properties", {"name": name, **each})
        for name, each in connectors.items()
    ]
    return [*program.command, f"{_CLI}ConnectStandalone", *map(str, files)]


@dataclass(frozen=True, slots=True)
class DistributedWorker:
    """The only worker of a cluster that keeps its connectors and offsets in topics.

    Attributes:
        port: of its door, the same at each start.
    """

    program: Program
    bootstrap: str
    folder: Path
    port: int = field(default_factory=free_port)

    @contextmanager
    def running(self) -> Iterator[Application]:
        """Starts it; it is gone when the block ends."""
        topics = {
            f"{kind}.storage.{name}": value
            for kind in ("config", "offset", "status")
            for name, value in (("topic", f"connect-{kind}"), ("replication.factor", 1))
        }
        settings = {
            **_worker_settings(self.bootstrap, self.port),
            **topics,
            "group.id": "connect",
            "offset.storage.partitions": 3,
            "status.storage.partitions": 2,
            "exactly.once.source.support": "enabled",
            # One that is killed is gone soon, and what it had is taken over at once.
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
            "scheduled.rebalance.max.delay.ms": 0,
        }
        file = properties(self.folder / "worker.properties", settings)
        command = [*self.program.command, f"{_CLI}ConnectDistributed", str(file)]
        with application(command, self.folder) as process:
            yield process

    def put(self, name: str, config: Mapping[str, object]) -> bool:
        """Makes or alters a connector; False while the worker cannot yet."""
        return self._ask("PUT", f"connectors/{name}/config", config) is not None

    def states(self, name: str) -> list[str]:
        """Of the connector, then of each of its tasks; empty while nothing is known of it."""
        status = self._ask("GET", f"connectors/{name}/status")
        if status is None:
            return []
        return [each["state"] for each in (status["connector"], *status["tasks"])]

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """What it answers; None while it starts, rebalances or has no answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_TIMEOUT_S) as answer:
                return json.load(answer)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return None
