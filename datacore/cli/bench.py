"""``datacore bench``: load on any broker, and what it took.

What it measures and what not is said in ``datacore.client.load``: batches are encoded before the
clock starts, fetched records are counted and not decoded. Ctrl-C ends a load and shows what was
done until then. Kafka's counterparts:
``kafka-producer-perf-test``, ``kafka-consumer-perf-test``, ``kafka-e2e-latency``.
"""

import time
from collections.abc import Sequence
from typing import Final

import click

from datacore.cli import completing
from datacore.cli.failure import Failure
from datacore.cli.listing import Listing, Output, output_option
from datacore.cli.progress import progress
from datacore.cli.session import with_cluster
from datacore.cli.stopping import stop_wished
from datacore.client.cluster import Cluster
from datacore.client.load import end_to_end_latencies, fetch_load, produce_load
from datacore.client.producer import ACKS_ALL
from datacore.record.compression import Codec

_MIB: Final = 1 << 20
_ACKS: Final = {"0": 0, "1": 1, "all": ACKS_ALL}
_LATENCY: Final = {
    "avg_ms": "Mean wait for the answer.",
    "p50_ms": "Half of them waited no longer.",
    "p95_ms": "95 of 100.",
    "p99_ms": "99 of 100.",
    "p999_ms": "999 of 1000.",
    "max_ms": "The longest.",
}
_PRODUCED = Listing(
    {
        "records": "How many were acknowledged.",
        "elapsed_s": "In how many seconds.",
        "records_per_s": "The rate.",
        "mib_per_s": "Likewise, values only, in MiB.",
        **_LATENCY,
    }
)
_CONSUMED = Listing(
    {
        "records": "How many were read.",
        "elapsed_s": "In how many seconds, from the first fetch to the last record.",
        "records_per_s": "The rate.",
        "mib_per_s": "Likewise, batches as they are stored, in MiB.",
    }
)
_WAITED = Listing({"records": "How many were sent, one at a time.", **_LATENCY})


@click.group()
def bench() -> None:
    """Load a broker and print what it takes."""


@bench.command()
@click.option(
    "--topic",
    required=True,
    shell_complete=completing.topics,
    help="A topic that exists.",
)
@click.option(
    "--num-records",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many to write.",
)
@click.option(
    "--record-size", default=100, show_default=True, type=click.IntRange(min=0), help="Bytes."
)
@click.option(
    "--batch-records",
    default=500,
    show_default=True,
    type=click.IntRange(min=1),
    help="Records a request.",
)
@click.option(
    "--throughput", type=click.FloatRange(min=0, min_open=True), help="The most records a second."
)
@click.option(
    "--acks",
    type=click.Choice(list(_ACKS)),
    default="all",
    show_default=True,
    help="Whose acknowledgement to wait for.",
)
@click.option(
    "--codec",
    type=click.Choice([codec.name.lower() for codec in Codec]),
    default="none",
    show_default=True,
    help="How batches are compressed.",
)
@click.option(
    "--in-flight",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Requests that wait for their answer at a time.",
)
@click.option("--seed", default=1, show_default=True, help="Of the values.")
@output_option(_PRODUCED)
@with_cluster
def produce(
    cluster: Cluster,
    *,
    topic: str,
    num_records: int,
    record_size: int,
    batch_records: int,
    throughput: float | None,
    acks: str,
    codec: str,
    in_flight: int,
    seed: int,
    output: Output,
) -> None:
    """Write records as fast as the broker takes them; waits are those of whole requests."""
    waits_s: list[float] = []
    written = 0
    with progress("records", num_records) as advance, stop_wished() as is_stop_wished:
        begun_s = 0.0
        for each in produce_load(
            cluster,
            topic,
            records=num_records,
            record_bytes=record_size,
            batch_records=batch_records,
            acks=_ACKS[acks],
            codec=Codec[codec.upper()],
            in_flight=in_flight,
            records_per_s=throughput,
            seed=seed,
        ):
            # The clock starts when the first request was sent: encoding came before.
            begun_s = begun_s or time.perf_counter() - each.wait_s
            waits_s.append(each.wait_s)
            written += each.records
            advance(each.records)
            if is_stop_wished():
                break
        elapsed_s = time.perf_counter() - begun_s
    row = {
        "records": written,
        **_rate(written, written * record_size, elapsed_s),
        **_latency(waits_s),
    }
    _PRODUCED.show([row], output)


@bench.command()
@click.option(
    "--topic",
    required=True,
    shell_complete=completing.topics,
    help="A topic that exists.",
)
@click.option(
    "--num-records",
    "--messages",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many to read.",
)
@click.option(
    "--timeout",
    "timeout_ms",
    default=10_000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="MS",
    help="Give up when nothing came for so long.",
)
@output_option(_CONSUMED)
@with_cluster
def consume(
    cluster: Cluster, *, topic: str, num_records: int, timeout_ms: int, output: Output
) -> None:
    """Read records from the beginning as fast as the broker sends them."""
    count = size_bytes = 0
    with progress("records", num_records) as advance, stop_wished() as is_stop_wished:
        begun_s = last_s = time.perf_counter()
        for each in fetch_load(cluster, topic):
            now_s = time.perf_counter()
            if each.records:
                last_s = now_s
                count += each.records
                size_bytes += each.size_bytes
                advance(each.records)
            is_over = count >= num_records or now_s - last_s > timeout_ms / 1000
            if is_over or is_stop_wished():
                break
    if not count:
        raise Failure(f"nothing came from {topic} in {timeout_ms} ms: `datacore bench produce`")
    _CONSUMED.show([{"records": count, **_rate(count, size_bytes, last_s - begun_s)}], output)


@bench.command()
@click.option(
    "--topic",
    required=True,
    shell_complete=completing.topics,
    help="A topic that exists.",
)
@click.option(
    "--num-records",
    default=1_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many to write.",
)
@click.option(
    "--record-size", default=100, show_default=True, type=click.IntRange(min=0), help="Bytes."
)
@click.option(
    "--acks",
    type=click.Choice(["1", "all"]),
    default="all",
    show_default=True,
    help="Whose acknowledgement to wait for.",
)
@output_option(_WAITED)
@with_cluster
def latency(
    cluster: Cluster, *, topic: str, num_records: int, record_size: int, acks: str, output: Output
) -> None:
    """Write one record at a time, and see how long it takes to a waiting reader."""
    waits_s: list[float] = []
    with (
        cluster.another() as reader,
        progress("records", num_records) as advance,
        stop_wished() as is_stop_wished,
    ):
        for wait_s in end_to_end_latencies(
            cluster,
            reader,
            topic,
            records=num_records,
            record_bytes=record_size,
            acks=_ACKS[acks],
        ):
            waits_s.append(wait_s)
            advance(1)
            if is_stop_wished():
                break
    _WAITED.show([{"records": len(waits_s), **_latency(waits_s)}], output)


def _rate(records: int, size_bytes: int, elapsed_s: float) -> dict[str, float]:
    elapsed_s = max(elapsed_s, 1e-9)
    return {
        "elapsed_s": round(elapsed_s, 3),
        "records_per_s": round(records / elapsed_s, 1),
        "mib_per_s": round(size_bytes / elapsed_s / _MIB, 2),
    }


def _latency(waits_s: Sequence[float]) -> dict[str, float]:
    ordered = sorted(waits_s)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)

    return {
        "avg_ms": round(sum(ordered) / len(ordered) * 1000, 3),
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "p999_ms": at(0.999),
        "max_ms": round(ordered[-1] * 1000, 3),
    }
