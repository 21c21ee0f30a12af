"""Loads over raw connections: small requests, and bulk from a client that is not the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bulk import KIB, PARTITIONS, SMALL_REQUESTS, produce
from benchmarks.load import PAGE_CACHE, Load
from benchmarks.raw_client import (
    Reading,
    Repeating,
    batch_of,
    check_produced,
    converse,
    produce_frame,
)
from benchmarks.sides import DURABILITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.load import Measured, Stage
    from benchmarks.sides import Durability

VALUE_BYTES = 200


def requests_load(
    name: str,
    *,
    connections: int,
    requests: int,
    in_flight: int = 1,
    partitions: int = 1,
    value_bytes: int = VALUE_BYTES,
    durabilities: Sequence[Durability] = DURABILITIES,
) -> Load:
    """Produce requests with one record, acks=all, to all partitions in turn."""

    def run(stage: Stage) -> Measured:
        count = stage.smaller(partitions)
        topic = stage.lasting_topic(count)
        total = max(requests // stage.divisor, connections * in_flight)
        address = stage.side.address
        batch = batch_of(bytes(value_bytes))
        frames = [produce_frame({(topic, at): batch}) for at in range(count)]
        stage.once("check", lambda: check_produced(address, frames))
        # Each connection begins elsewhere, so that together they write to all partitions at once.
        turned = [frames[at % count :] + frames[: at % count] for at in range(connections)]

        def act() -> list[float]:
            talks = [Repeating(each) for each in turned]
            return converse(address, talks, requests=total, in_flight=in_flight).latencies_ms

        return stage.measure(total, act)

    return Load(name, "req", run, durabilities)


def bulk_load(
    name: str, *, value_bytes: int, request_bytes: int, total_bytes: int, connections: int = 1
) -> Load:
    """Whole batches that were encoded once, five requests in flight: what the broker can take."""

    def run(stage: Stage) -> Measured:
        topic = stage.new_topic(PARTITIONS)
        records = max(request_bytes // (value_bytes + 12), 1)
        batch = batch_of(bytes(value_bytes), records)
        frames = [produce_frame({(topic, at): batch}) for at in range(PARTITIONS)]
        check_produced(stage.side.address, frames)
        total = max(total_bytes // stage.divisor // (records * value_bytes), 5 * connections)

        def act() -> list[float]:
            talks = [Repeating(frames) for _ in range(connections)]
            converse(stage.side.address, talks, requests=total, in_flight=5)
            return []

        return stage.measure(
            total * records * value_bytes / 1e9, act, written_bytes=total * len(frames[0])
        )

    return Load(name, "GB", run, PAGE_CACHE)


def reading_load(name: str, *, response_bytes: int, connections: int, total_bytes: int) -> Load:
    """Everything again and again, with a partition a connection; no record is decoded."""

    def run(stage: Stage) -> Measured:
        partitions = max(connections, PARTITIONS)

        def fill() -> str:
            topic = stage.new_topic(partitions)
            produce(
                stage.side,
                topic,
                count=total_bytes // stage.divisor // KIB,
                value=bytes(KIB),
                settings=SMALL_REQUESTS,
                partitions=partitions,
            )
            return topic

        topic = stage.once("topic", fill)
        end = total_bytes // stage.divisor // KIB // partitions

        def act() -> list[float]:
            talks = [
                Reading(
                    topic, dict.fromkeys(range(at, partitions, connections), end), response_bytes
                )
                for at in range(connections)
            ]
            converse(stage.side.address, talks)
            return []

        return stage.measure(end * partitions * KIB / 1e9, act)

    return Load(name, "GB", run, PAGE_CACHE)
