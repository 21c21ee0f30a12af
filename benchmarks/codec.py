"""Codecs side by side: ours, kio's, kafka-python's and aiokafka's, on the same messages.

    python -m benchmarks.codec [--rounds 7]

Every side gets the bytes that ours wrote, and must write the same bytes again, or it is reported
as not comparable. Messages: Produce v9 with one partition and 1 KB of records, Fetch response v12
and Metadata response v12 with 1,000 partitions each, and Metadata response v5 for aiokafka, which
knows no flexible versions of it. The best of some rounds is printed, sides taking turns, in
microseconds a message; the cyclic collector is off in all of them (timeit's way).

kio 0.6 reads in native code (Rust) and writes in Python; the others are Python on both ways.
"""

import argparse
import contextlib
import datetime as dt
import gc
import importlib
import importlib.metadata
import io
import platform
import sys
import timeit
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datacore._generated.fetch import FetchableTopicResponse, FetchResponse
from datacore._generated.fetch import PartitionData as FetchedPartition
from datacore._generated.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from datacore._generated.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from datacore.wire.message import WireMessage

PARTITIONS: Final = 1000
SECONDS_A_ROUND: Final = 0.15


@dataclass(frozen=True, slots=True)
class Side:
    """One codec on one message."""

    name: str
    decode: Callable[[], object]
    encode: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """One message, and where the other sides have it."""

    title: str
    message: WireMessage
    version: int
    kio: str
    kafka_python: str
    aiokafka: str | None


def cases() -> Iterator[Case]:
    """The messages."""
    produced = PartitionProduceData(index=3, records=bytes(1000))
    topic = TopicProduceData(name="topic-name", partition_data=[produced])
    yield Case(
        "Produce request v9, 1 partition",
        ProduceRequest(acks=-1, timeout_ms=30000, topic_data=[topic]),
        9,
        "produce.v9.request.ProduceRequest",
        "producer.produce.ProduceRequest",
        None,
    )
    fetched = [
        FetchedPartition(
            partition_index=index,
            high_watermark=1_000_000 + index,
            last_stable_offset=1_000_000 + index,
            log_start_offset=0,
            aborted_transactions=None,
            records=bytes(100),
        )
        for index in range(PARTITIONS)
    ]
    yield Case(
        f"Fetch response v12, {PARTITIONS} partitions",
        FetchResponse(responses=[FetchableTopicResponse(topic="topic-name", partitions=fetched)]),
        12,
        "fetch.v12.response.FetchResponse",
        "consumer.fetch.FetchResponse",
        None,
    )
    partitions = [
        MetadataResponsePartition(
            partition_index=index,
            leader_id=index % 3 + 1,
            replica_nodes=[1, 2, 3],
            isr_nodes=[1, 2, 3],
        )
        for index in range(PARTITIONS)
    ]
    response = MetadataResponse(
        cluster_id="cluster-identifier",
        controller_id=1,
        brokers=[
            MetadataResponseBroker(node_id=node, host="broker.example", port=9092)
            for node in (1, 2, 3)
        ],
        topics=[MetadataResponseTopic(name="topic-name", partitions=partitions)],
    )
    for version in (12, 5):
        yield Case(
            f"Metadata response v{version}, {PARTITIONS} partitions",
            response,
            version,
            f"metadata.v{version}.response.MetadataResponse",
            "metadata.metadata.MetadataResponse",
            "metadata.MetadataResponse_v5" if version == 5 else None,
        )


def sides(case: Case) -> Iterator[Side]:
    """All codecs that are installed and write the same bytes."""
    frame = case.message.encode(case.version)
    decode = type(case.message).decode
    message, _ = decode(frame, case.version)
    yield Side(
        "datacore",
        lambda: decode(frame, case.version),
        lambda: message.encode(case.version),
    )
    for name, build in (
        ("kio", _kio),
        ("kafka-python", _kafka_python),
        ("aiokafka", _aiokafka),
    ):
        try:
            side = build(case, frame)
        except ImportError:
            print(f"  {name}: not installed")
            continue
        if side is None:
            continue
        if side.encode() != frame:
            print(f"  {name}: writes other bytes, not comparable")
            continue
        yield side


def _named(package: str, path: str) -> Any:
    module, _, name = path.rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(importlib.import_module(f"{package}.{module}"), name)


def _kio(case: Case, frame: bytes) -> Side:
    entity = _named("kio.schema", case.kio)
    read = _named("kio", "serial.entity_reader")(entity)
    write = _named("kio", "serial.entity_writer")(entity)
    message, _ = read(frame, 0)

    def encode() -> bytes:
        out = io.BytesIO()
        write(out, message)
        return out.getvalue()

    return Side("kio", lambda: read(frame, 0), encode)


def _kafka_python(case: Case, frame: bytes) -> Side:
    codec = _named("kafka.protocol", case.kafka_python)
    version = case.version
    message = codec.decode(frame, version=version)
    message._header = None  # what its own decode leaves unset, its encode asks for
    return Side(
        "kafka-python",
        lambda: codec.decode(frame, version=version),
        lambda: bytes(message.encode(version=version)),
    )


def _aiokafka(case: Case, frame: bytes) -> Side | None:
    if case.aiokafka is None:
        return None
    codec = _named("aiokafka.protocol", case.aiokafka)
    message = codec.decode(io.BytesIO(frame))
    return Side(
        "aiokafka", lambda: codec.decode(io.BytesIO(frame)), lambda: bytes(message.encode())
    )


def microseconds(action: Callable[[], object]) -> float:
    """What one call takes in a round of its own."""
    timer = timeit.Timer(action)
    number, taken = timer.autorange()
    number = max(1, round(number * SECONDS_A_ROUND / taken))
    return timer.timeit(number) / number * 1e6


def measure(case: Case, rounds: int) -> None:
    """Print one table."""
    print(f"\n{case.title} ({len(case.message.encode(case.version))} bytes)")
    found = list(sides(case))
    decoding: dict[str, float] = dict.fromkeys([side.name for side in found], float("inf"))
    encoding = dict(decoding)
    for _ in range(rounds):
        for side in found:
            gc.collect()
            decoding[side.name] = min(decoding[side.name], microseconds(side.decode))
            encoding[side.name] = min(encoding[side.name], microseconds(side.encode))
    print(f"  {'us':14}{'decode':>10}{'encode':>10}{'both':>10}   times ours")
    our_decode, our_encode = decoding["datacore"], encoding["datacore"]
    for side in found:
        decode, encode = decoding[side.name], encoding[side.name]
        ratios = (
            decode / our_decode,
            encode / our_encode,
            (decode + encode) / (our_decode + our_encode),
        )
        shown = "".join(f"{each:8.2f}" for each in ratios)
        print(f"  {side.name:14}{decode:10.2f}{encode:10.2f}{decode + encode:10.2f}{shown}")


def describe_machine() -> None:
    """Print what the figures depend on."""
    model = platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    print(f"date          {dt.datetime.now(tz=dt.UTC):%Y-%m-%d %H:%M} UTC")
    print(f"machine       {model}, {platform.system()} {platform.release()}")
    print(f"python        {platform.python_implementation()} {platform.python_version()}")
    for package in ("kio", "kafka-python", "aiokafka"):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        print(f"{package:14}{version}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="codecs side by side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="whether it works: no figures")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    describe_machine()
    for case in cases():
        measure(case, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
