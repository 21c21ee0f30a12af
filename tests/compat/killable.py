"""The broker under test as a process that a test may end: DataCore's, or Apache Kafka's.

DATACORE_COMPAT_KAFKA=4.1.1 makes it that release of Apache Kafka.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import datacore
from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka

__all__ = ["Killable", "started"]

# Two cores with several JVMs on them; one start that is given up fails all tests after it.
_START_S = 120.0


class _Process(Protocol):
    def start(self) -> None: ...

    def stop(self) -> int | None: ...

    def kill(self) -> None: ...

    def log(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Killable:
    """A broker that keeps its port and its data when it ends and starts again.

    Attributes:
        name: of the broker and its release, for the results.
        process: what runs it; whoever started it ends it for good.
    """

    name: str
    bootstrap: str
    process: _Process

    def restart(self) -> None:
        """An orderly end, and a new start."""
        self.process.stop()
        self.process.start()

    def crash(self) -> None:
        """kill -9, and a new start."""
        self.process.kill()
        self.process.start()


@contextmanager
def started() -> Iterator[Killable]:
    """Start the broker under test; it is gone when the block ends."""
    if release := os.environ.get("DATACORE_COMPAT_KAFKA"):
        with ApacheKafka(release) as kafka:
            yield Killable(f"Apache Kafka {release}", kafka.bootstrap, kafka)
        return
    with BrokerProcess(start_timeout_s=_START_S) as broker:
        yield Killable(f"DataCore {datacore.__version__}", broker.bootstrap_servers, broker)
