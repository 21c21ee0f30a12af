"""The two sides of every comparison, each as a process of its own with its own defaults.

Durability is the same on both in each of two settings: ``page-cache`` (Kafka's default: a write is
acknowledged when the kernel has it) and ``flush`` (a write with acks=all is acknowledged when the
device has it).
"""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Durability = Literal["page-cache", "flush"]
DURABILITIES: tuple[Durability, ...] = ("page-cache", "flush")
KAFKA_VERSION = "4.1.1"


@dataclass(frozen=True, slots=True)
class Side:
    """A running broker."""

    name: str
    bootstrap: str
    pid: int
    start_up_s: float
    data_dir: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.bootstrap.rpartition(":")
        return host, int(port)


def has_java() -> bool:
    """Whether Apache Kafka can run here at all."""
    return shutil.which("java") is not None


@contextmanager
def datacore(durability: Durability) -> Iterator[Side]:
    """DataCore on its disk engine."""
    with BrokerProcess(disk_sync=durability == "flush") as broker:
        yield Side(
            "DataCore",
            broker.bootstrap_servers,
            broker.pid,
            broker.start_up_s,
            broker.data_dir,
        )


@contextmanager
def apache_kafka(durability: Durability) -> Iterator[Side]:
    """Apache Kafka, one KRaft node, its defaults apart from replication factors."""
    kafka = ApacheKafka(KAFKA_VERSION, properties=kafka_properties(durability))
    started_s = time.monotonic()
    with kafka:
        start_up_s = time.monotonic() - started_s
        yield Side(
            f"Apache Kafka {KAFKA_VERSION}", kafka.bootstrap, kafka.pid, start_up_s, kafka.data_dir
        )


def kafka_properties(durability: Durability) -> dict[str, str]:
    """What of Apache Kafka's defaults is changed for that durability."""
    return {"log.flush.interval.messages": "1"} if durability == "flush" else {}
