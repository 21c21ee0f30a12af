"""The rows of ``make bench``, by section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bulk import (
    LARGE_REQUESTS,
    SMALL_REQUESTS,
    consume_load,
    produce_load,
    tail_load,
)
from benchmarks.crowds import beside_idle_load, heartbeats_load, session_load, topics_load
from benchmarks.latency import half_saturated_load, paced_load
from benchmarks.load import PAGE_CACHE
from benchmarks.raw_loads import bulk_load, reading_load, requests_load
from benchmarks.sides import DURABILITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.load import Load

_LZ4 = {"compression.type": "lz4"}
_ZSTD = {"compression.type": "zstd"}

PRODUCE = [
    produce_load("produce 1 KB, 1 MB requests", count=300_000, settings=LARGE_REQUESTS),
    produce_load("produce 1 KB, 16 KB requests", count=150_000, settings=SMALL_REQUESTS),
    produce_load(
        "produce 1 KB, lz4, 1 MB requests", count=300_000, settings={**LARGE_REQUESTS, **_LZ4}
    ),
    produce_load(
        "produce 1 KB, lz4, 16 KB requests",
        count=150_000,
        durabilities=PAGE_CACHE,
        settings={**SMALL_REQUESTS, **_LZ4},
    ),
    produce_load(
        "produce 1 KB, zstd, 1 MB requests",
        count=300_000,
        durabilities=PAGE_CACHE,
        settings={**LARGE_REQUESTS, **_ZSTD},
    ),
    produce_load(
        "produce 1 KB, zstd, 16 KB requests",
        count=150_000,
        durabilities=PAGE_CACHE,
        settings={**SMALL_REQUESTS, **_ZSTD},
    ),
    produce_load(
        "produce 100 B, 1 MB requests",
        count=500_000,
        value_bytes=100,
        settings={**LARGE_REQUESTS, "batch.num.messages": 10_000},
    ),
    produce_load(
        "produce 1 KB, 16 KB requests, 16 producers",
        count=150_000,
        producers=16,
        settings=SMALL_REQUESTS,
    ),
    produce_load(
        "produce 1 KB, 16 KB requests, idempotent",
        count=150_000,
        durabilities=PAGE_CACHE,
        settings={**SMALL_REQUESTS, "enable.idempotence": True},
    ),
    produce_load(
        "produce 1 KB, 16 KB requests, transactions of 1,000 records",
        count=100_000,
        transaction_records=1000,
        settings=SMALL_REQUESTS,
    ),
    bulk_load(
        "produce 100 B, 1 MB requests, raw client",
        value_bytes=100,
        request_bytes=1_000_000,
        total_bytes=200_000_000,
    ),
    bulk_load(
        "produce 1 KB, 16 KB requests, raw client",
        value_bytes=1024,
        request_bytes=16_384,
        total_bytes=200_000_000,
    ),
]

CONSUME = [
    consume_load(
        "consume 1 KB, 1 MB batches",
        count=300_000,
        batch_bytes=1_000_000,
        durabilities=DURABILITIES,
    ),
    consume_load(
        "consume 1 KB, 16 KB batches", count=300_000, batch_bytes=16_384, durabilities=DURABILITIES
    ),
    consume_load(
        "consume 1 KB, 16 KB batches, first time",
        count=300_000,
        batch_bytes=16_384,
        is_first_time=True,
        durabilities=DURABILITIES,
    ),
    consume_load(
        "consume 1 KB, 16 KB batches, cold", count=150_000, batch_bytes=16_384, is_cold=True
    ),
    consume_load(
        "consume 1 KB, 16 KB responses",
        count=60_000,
        batch_bytes=16_384,
        partitions=1,
        settings={"fetch.message.max.bytes": 16_384},
    ),
    consume_load(
        "consume 1 KB, 16 KB batches, 16 consumers",
        count=300_000 // 16 * 16,
        batch_bytes=16_384,
        partitions=16,
        consumers=16,
    ),
    reading_load(
        "consume 1 KB, 1 MB responses, raw client",
        response_bytes=1 << 20,
        connections=1,
        total_bytes=400_000_000,
    ),
    reading_load(
        "consume 1 KB, 1 MB responses, 16 raw clients",
        response_bytes=1 << 20,
        connections=16,
        total_bytes=400_000_000,
    ),
    reading_load(
        "consume 1 KB, 16 KB responses, 16 raw clients",
        response_bytes=16_384,
        connections=16,
        total_bytes=100_000_000,
    ),
    tail_load(
        "consume 1 KB while it is produced, 16 KB requests", count=150_000, settings=SMALL_REQUESTS
    ),
]

REQUESTS = [
    requests_load("16 connections, one in flight", connections=16, requests=60_000),
    requests_load("latency, 1 connection, linger 0", connections=1, requests=5_000),
    requests_load("256 connections, one in flight", connections=256, requests=60_000),
    requests_load(
        "16 connections, 8 in flight",
        connections=16,
        requests=100_000,
        in_flight=8,
        durabilities=PAGE_CACHE,
    ),
]

LATENCY = [
    paced_load("1,000 messages/s, end to end", rate=1_000),
    paced_load("10,000 messages/s, end to end", rate=10_000),
    half_saturated_load("half of saturation, end to end", saturating_records=200_000),
]

PARTITIONS = [
    *(
        requests_load(
            f"16 connections, one in flight, {count:,} partitions",
            connections=16,
            requests=30_000,
            partitions=count,
            durabilities=PAGE_CACHE,
        )
        for count in (1, 100, 1_000, 5_000)
    ),
    *(
        session_load(
            f"a record and its fetch, {count:,} partitions in the session",
            partitions=count,
            rounds=500,
        )
        for count in (1, 100, 1_000, 5_000)
    ),
]

CONNECTIONS = [beside_idle_load("16 connections beside 2,000 idle", idle=2_000, requests=60_000)]

GROUPS = [heartbeats_load("heartbeats of 500 members", members=500, requests=40_000)]

LOADS: Mapping[str, Sequence[Load]] = {
    "produce": PRODUCE,
    "consume": CONSUME,
    "requests": REQUESTS,
    "latency": LATENCY,
    "partitions": PARTITIONS,
    "connections": CONNECTIONS,
    "groups": GROUPS,
}

GROWTH: Mapping[str, Sequence[tuple[int, Load]]] = {
    "partitions written to": [
        (
            count,
            requests_load(
                f"growth: {count} partitions",
                connections=16,
                requests=8_000,
                partitions=count,
            ),
        )
        for count in (1, 10, 100, 1_000, 5_000)
    ],
    "partitions in a fetch session": [
        (count, session_load(f"growth: {count} in a session", partitions=count, rounds=200))
        for count in (1, 10, 100, 1_000, 5_000)
    ],
    "connections": [
        (
            count,
            requests_load(f"growth: {count} connections", connections=count, requests=8_000),
        )
        for count in (1, 4, 16, 64, 256, 1_024)
    ],
    "bytes in a batch": [
        (
            size,
            requests_load(
                f"growth: {size} B",
                connections=1,
                requests=max(min(3_000, 200_000_000 // size), 100),
                value_bytes=size,
            ),
        )
        for size in (200, 1_024, 4_096, 16_384, 65_536, 262_144, 1_000_000)
    ],
    "topics in a request": [
        (count, topics_load(f"growth: {count} topics", topics=count, requests=4_000 // count))
        for count in (1, 4, 16, 64, 256)
    ],
}
"""By what grows: its size, and the load that has it."""
