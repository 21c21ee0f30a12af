"""``datacore transaction``: list, describe, producers, fence, abort, find-hanging.

A transaction hangs when a partition holds it open and no coordinator knows of it any more; readers
of committed records wait for it for ever. Kafka's counterpart: ``kafka-transactions`` (KIP-664).
"""

import time
from typing import Final

import click

from datacore._generated.errors import ErrorCode
from datacore.cli import completing
from datacore.cli.failure import Failure, Mistake
from datacore.cli.listing import Listing, Output, Row, output_option
from datacore.cli.progress import progress
from datacore.cli.session import for_each, with_cluster
from datacore.cli.topic_choice import chosen_partitions
from datacore.cli.wording import partition_name
from datacore.client.cluster import Cluster
from datacore.client.subscription import TopicPartition
from datacore.client.transactions import (
    ProducerState,
    Transaction,
    abort_transaction,
    describe_producers,
    describe_transaction,
    fence_producer,
    list_transactions,
)
from datacore.protocol.errors import KafkaError

_TRANSACTIONS = Listing(
    {
        "transactional_id": "Its id.",
        "coordinator": "Id of the broker that coordinates it.",
        "producer_id": "The producer's id.",
        "state": "Empty, Ongoing, CompleteCommit and so on.",
    }
)
_DESCRIBED = Listing(
    {
        "transactional_id": "Its id.",
        "coordinator": "Address of the broker that coordinates it.",
        "producer_id": "The producer's id.",
        "producer_epoch": "The producer's epoch.",
        "state": "Empty, Ongoing, CompleteCommit and so on.",
        "timeout_ms": "How long a transaction may be open.",
        "start_ms": "When the open or the last transaction began; null where none has.",
        "duration_ms": "How long it has been open; null where none is.",
        "partitions": "What it has written to.",
    },
    times=["start_ms"],
)
_PRODUCERS = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "producer_id": "The producer's id.",
        "producer_epoch": "The producer's epoch.",
        "coordinator_epoch": "Epoch of the coordinator that ended its last transaction.",
        "last_sequence": "The sequence of its last record.",
        "last_timestamp_ms": "When it last wrote.",
        "transaction_start_offset": "Where its open transaction begins; null where none is.",
    },
    times=["last_timestamp_ms"],
)
_HANGING = Listing(
    {
        "topic": "The topic's name.",
        "partition": "The partition's number.",
        "producer_id": "The producer's id.",
        "producer_epoch": "The producer's epoch.",
        "coordinator_epoch": "Epoch of the coordinator that ended its last transaction.",
        "start_offset": "Where the transaction begins: what `transaction abort` asks for.",
        "last_timestamp_ms": "When the producer last wrote.",
        "duration_ms": "How long ago that was.",
    },
    times=["last_timestamp_ms"],
)
_MAX_TIMEOUT_DEFAULT_MINUTES: Final = 15
_ENDED: Final = {"Empty", "CompleteCommit", "CompleteAbort", "Dead"}


@click.group()
def transaction() -> None:
    """Transactions, and those that hang."""


@transaction.command(name="list")
@click.option("--state", "states", multiple=True, help="Those in this state, such as Ongoing.")
@click.option("--producer-id", "producer_ids", type=int, multiple=True, help="Those of this one.")
@click.option(
    "--duration-filter",
    type=click.IntRange(min=0),
    metavar="MS",
    help="Those open for longer; from Kafka 3.8 on.",
)
@click.option(
    "--transactional-id-pattern", metavar="REGEX", help="Those that match; from Kafka 4.1 on."
)
@output_option(_TRANSACTIONS)
@with_cluster
def list_(
    cluster: Cluster,
    *,
    states: tuple[str, ...],
    producer_ids: tuple[int, ...],
    duration_filter: int | None,
    transactional_id_pattern: str | None,
    output: Output,
) -> None:
    """List transactional ids and their states."""
    found = list_transactions(
        cluster,
        states=states,
        producer_ids=producer_ids,
        duration_ms=-1 if duration_filter is None else duration_filter,
        pattern=transactional_id_pattern,
    )
    _TRANSACTIONS.show((each._asdict() for each in found), output)


@transaction.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@output_option(_DESCRIBED)
@with_cluster
def describe(cluster: Cluster, *, ids: tuple[str, ...], output: Output) -> None:
    """Show what coordinators know of transactional ids."""
    now_ms = time.time_ns() // 1_000_000
    rows = [_described_row(describe_transaction(cluster, each), now_ms) for each in ids]
    _DESCRIBED.show(rows, output)


def _described_row(found: Transaction, now_ms: int) -> Row:
    is_open = found.state not in _ENDED
    return {
        **found._asdict(),
        "partitions": list(map(partition_name, found.partitions)),
        "duration_ms": now_ms - found.start_ms if is_open and found.start_ms is not None else None,
    }


@transaction.command()
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    required=True,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions.",
)
@click.option("--broker-id", type=click.IntRange(min=0), help="Ask this replica, not the leader.")
@output_option(_PRODUCERS)
@with_cluster
def producers(
    cluster: Cluster, *, topics: tuple[str, ...], broker_id: int | None, output: Output
) -> None:
    """Show the producers that partitions remember."""
    wanted = chosen_partitions(cluster, topics)
    rows = [
        {
            "topic": each.where.topic,
            "partition": each.where.partition,
            "producer_id": each.producer_id,
            "producer_epoch": each.producer_epoch,
            "coordinator_epoch": each.coordinator_epoch,
            "last_sequence": each.last_sequence,
            "last_timestamp_ms": each.last_timestamp_ms,
            "transaction_start_offset": each.transaction_start_offset,
        }
        for each in describe_producers(cluster, wanted, broker=broker_id)
    ]
    _PRODUCERS.show(rows, output)


@transaction.command()
@click.option("--topic", required=True, help="The topic's name.")
@click.option("--partition", required=True, type=click.IntRange(min=0), help="Its number.")
@click.option(
    "--start-offset",
    type=click.IntRange(min=0),
    help="Where the transaction begins; else give producer and epochs.",
)
@click.option("--producer-id", type=click.IntRange(min=0), help="As `producers` shows it.")
@click.option("--producer-epoch", type=click.IntRange(min=0), help="Likewise.")
@click.option("--coordinator-epoch", type=click.IntRange(min=0), help="Likewise, 0 for -1.")
@with_cluster
def abort(
    cluster: Cluster,
    *,
    topic: str,
    partition: int,
    start_offset: int | None,
    producer_id: int | None,
    producer_epoch: int | None,
    coordinator_epoch: int | None,
) -> None:
    """Abort a hanging transaction in one partition, past its coordinator."""
    named = (producer_id, producer_epoch, coordinator_epoch)
    if (start_offset is None) == all(each is None for each in named):
        raise Mistake("expected --start-offset, or a producer with its epochs")
    where = TopicPartition(topic, partition)
    if start_offset is not None:
        found = _transaction_at(cluster, where, start_offset)
        # Where no coordinator has ever ended one of this producer's, -1 is what is remembered.
        named = (found.producer_id, found.producer_epoch, max(found.coordinator_epoch, 0))
    producer, epoch, coordinator = named
    if producer is None or epoch is None or coordinator is None:
        raise Mistake("expected --producer-id, --producer-epoch and --coordinator-epoch together")
    abort_transaction(
        cluster,
        where,
        producer_id=producer,
        producer_epoch=epoch,
        coordinator_epoch=coordinator,
    )
    click.echo(f"Aborted the transaction of producer {producer} in {partition_name(where)}.")


@transaction.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@with_cluster
def fence(cluster: Cluster, *, ids: tuple[str, ...]) -> None:
    """Take transactional ids from their producers, and abort what these have open."""

    def fence_one(transactional_id: str) -> str:
        # An id that nobody uses would come to life by being fenced.
        describe_transaction(cluster, transactional_id)
        producer_id, epoch = fence_producer(cluster, transactional_id)
        return f"Fenced {transactional_id}: producer {producer_id} is at epoch {epoch} now."

    for_each(ids, fence_one)


def _transaction_at(cluster: Cluster, where: TopicPartition, start_offset: int) -> ProducerState:
    for each in describe_producers(cluster, [where]):
        if each.transaction_start_offset == start_offset:
            return each
    raise Failure(
        f"{partition_name(where)} has no open transaction that begins at {start_offset}: "
        "`datacore transaction producers` shows those that are open"
    )


@transaction.command(name="find-hanging")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=completing.topics,
    metavar="TOPIC[:0,1]",
    help="A topic, or some of its partitions; all topics by default.",
)
@click.option(
    "--max-transaction-timeout",
    type=click.IntRange(min=0),
    default=_MAX_TIMEOUT_DEFAULT_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="What transaction.max.timeout.ms of the brokers allows.",
)
@output_option(_HANGING)
@with_cluster
def find_hanging(
    cluster: Cluster, *, topics: tuple[str, ...], max_transaction_timeout: int, output: Output
) -> None:
    """Find transactions that partitions hold open and no coordinator knows."""
    wanted = chosen_partitions(cluster, topics, internal=True)
    now_ms = time.time_ns() // 1_000_000
    oldest_ms = now_ms - max_transaction_timeout * 60_000
    suspects: list[ProducerState] = []
    with progress("partitions", len(wanted)) as advance:
        for where in wanted:
            suspects += (
                each
                for each in describe_producers(cluster, [where])
                if each.transaction_start_offset is not None and each.last_timestamp_ms <= oldest_ms
            )
            advance(1)
    known = _known_to_coordinators(cluster, suspects)
    rows = [
        {
            "topic": each.where.topic,
            "partition": each.where.partition,
            "producer_id": each.producer_id,
            "producer_epoch": each.producer_epoch,
            "coordinator_epoch": each.coordinator_epoch,
            "start_offset": each.transaction_start_offset,
            "last_timestamp_ms": each.last_timestamp_ms,
            "duration_ms": now_ms - each.last_timestamp_ms,
        }
        for each in suspects
        if (each.producer_id, each.where) not in known
    ]
    _HANGING.show(rows, output)


def _known_to_coordinators(
    cluster: Cluster, suspects: list[ProducerState]
) -> set[tuple[int, TopicPartition]]:
    """Producer and partition of every transaction that a coordinator will still end itself."""
    if not suspects:
        return set()
    known: set[tuple[int, TopicPartition]] = set()
    producer_ids = sorted({each.producer_id for each in suspects})
    for listed in list_transactions(cluster, producer_ids=producer_ids):
        if listed.state in _ENDED:
            continue
        try:
            found = describe_transaction(cluster, listed.transactional_id)
        except KafkaError as error:
            if error.code != ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
                raise
            continue
        known |= {(found.producer_id, where) for where in found.partitions}
    return known
