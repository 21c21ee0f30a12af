"""How logs of the database become this engine's, and what is learned of them with that.

Rules:

- Logs that are free are taken many at a time, with what their owner is about to ask: segments, the
  summary, and the batches behind it where they are few. So a broker with thousands of logs starts
  with some dozens of statements.
- What is learned is asked for when the logs are this engine's already, in a statement of its own:
  one statement sees what was there when it began, and the owner before may still have written then.
- Rows are locked in one order by all who lock several of them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.chunk import Chunk
from datacore.storage.chunked.segments import Segment
from datacore.storage.chunked.store import HeldElsewhere, Learned, OpenedLog
from datacore.storage.engine import Fenced, LogName, StorageError
from datacore.storage.postgresql.connections import INSTANCE_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import asyncpg

    from datacore.storage.postgresql.connections import Connections

SUMMARY_BYTES_MAX: Final = 16 * 1024
"""A larger summary is left for who asks for it."""
TAIL_BYTES_MAX: Final = 64 * 1024
"""So are batches where there are more."""
TAIL_CHUNKS_MAX: Final = 16


async def take_free_logs(
    connections: Connections, epochs: Mapping[LogName, int]
) -> dict[LogName, OpenedLog]:
    """Makes this engine the owner of those logs that exist and are nobody else's.

    Raises:
        Unavailable: Perhaps it is done, perhaps not.
    """
    rows = await connections.fetch(
        _TAKE, list(epochs), list(epochs.values()), connections.instance, INSTANCE_LOCK
    )
    learned = await _learn(connections, [row["log_id"] for row in rows]) if rows else {}
    return {
        LogName(row["name"]): OpenedLog(
            row["log_id"],
            row["owner"],
            row["start_offset"],
            row["end_offset"],
            learned.get(row["log_id"]),
        )
        for row in rows
    }


async def _learn(connections: Connections, log_ids: Sequence[int]) -> dict[int, Learned]:
    found = await connections.fetch(_LEARN, log_ids, SUMMARY_BYTES_MAX)
    summed = {row["log_id"]: max(row["summed_offset"] or 0, row["start_offset"]) for row in found}
    unsummed = {
        row["log_id"]: summed[row["log_id"]]
        for row in found
        if summed[row["log_id"]] < row["end_offset"]
    }
    chunks: dict[int, list[Chunk]] = {}
    if unsummed:
        for row in await connections.fetch(
            _TAILS, list(unsummed), list(unsummed.values()), TAIL_BYTES_MAX, TAIL_CHUNKS_MAX
        ):
            with suppress(StorageError):  # who reads it is told that it is damaged
                chunks.setdefault(row["log_id"], []).append(chunk_of(row))
    return {
        row["log_id"]: Learned(
            _segments_of(row),
            row["stored_bytes"],
            is_summary_known=row["summed_offset"] is None or row["summary"] is not None,
            summary=_summary_of(row),
            chunks=chunks.get(row["log_id"], []),
        )
        for row in found
    }


async def take_log(connections: Connections, name: LogName, epoch: int) -> OpenedLog:
    """Makes this engine the owner of a log, made when missing.

    Raises:
        Fenced: It was opened before with a higher epoch.
        HeldElsewhere: It is open with this one, in an engine that lives.
        Unavailable: Perhaps it is done, perhaps not.
    """
    async with connections.transaction() as connection:
        await connection.execute(
            "insert into log (name, epoch, owner) values ($1, $2, 0)"
            " on conflict (name) where not is_deleted do nothing",
            name,
            epoch,
        )
        row = await connection.fetchrow(
            "select * from log where name = $1 and not is_deleted for update", name
        )
        if row["epoch"] > epoch:
            message = f"{name} was opened with epoch {row['epoch']}, behind which is {epoch}"
            raise Fenced(message)
        if row["epoch"] == epoch and row["instance"] not in {None, connections.instance}:
            is_free = await connection.fetchval(
                "select pg_try_advisory_xact_lock($1, $2)", INSTANCE_LOCK, row["instance"]
            )
            if not is_free:
                message = f"{name} is open in another broker, with the same epoch {epoch}"
                raise HeldElsewhere(message)
        owner = await connection.fetchval(
            "update log set epoch = $2, owner = nextval('ownership'), instance = $3"
            " where log_id = $1 returning owner",
            row["log_id"],
            epoch,
            connections.instance,
        )
        await connection.execute("delete from replacement where log_id = $1", row["log_id"])
    return OpenedLog(row["log_id"], owner, row["start_offset"], row["end_offset"])


def chunk_of(row: asyncpg.Record) -> Chunk:
    """A chunk that a statement has returned."""
    return Chunk(
        row["data"],
        base_offset=row["base_offset"],
        next_offset=row["next_offset"],
        max_timestamp_ms=row["max_timestamp_ms"],
    )


def fenced() -> Fenced:
    """What to raise where a statement found the log to be somebody else's."""
    return Fenced("the log was opened by somebody else, or deleted")


def _segments_of(row: asyncpg.Record) -> list[Segment]:
    columns: Iterable[tuple[int, ...]] = zip(
        row["base_offsets"] or (),
        row["next_offsets"] or (),
        row["sizes"] or (),
        row["first_timestamps"] or (),
        row["max_timestamps"] or (),
        row["sizes"] or (),
        strict=True,
    )
    return [Segment(*values) for values in columns]


def _summary_of(row: asyncpg.Record) -> tuple[int, bytes] | None:
    """None too where there is one that is large."""
    return (row["summed_offset"], row["summary"]) if row["summary"] is not None else None


_TAKE: Final = """
with free as (
    select log.log_id, given.epoch
    from unnest($1::text[], $2::bigint[]) as given (name, epoch)
        join log on log.name = given.name and not log.is_deleted
    where case
        when log.epoch <> given.epoch then log.epoch < given.epoch
        when log.instance is null or log.instance = $3 then true
        else pg_try_advisory_xact_lock($4, log.instance::int)
    end
    order by log.log_id
    for update of log
), taken as (
    update log set epoch = free.epoch, owner = nextval('ownership'), instance = $3
    from free where log.log_id = free.log_id
    returning log.log_id, name, owner, start_offset, end_offset
), dropped as (
    delete from replacement using taken where replacement.log_id = taken.log_id
)
select log_id, name, owner, start_offset, end_offset from taken
"""

_LEARN: Final = """
select log.log_id, log.start_offset, log.end_offset,
    base_offsets, next_offsets, sizes, first_timestamps, max_timestamps,
    snapshot.next_offset as summed_offset,
    case when octet_length(snapshot.data) <= $2 then snapshot.data end as summary,
    case when base_offsets is null then 0 when base_offsets[1] >= start_offset then sizes[1] else (
        -- It begins within a segment, and the chunks before that are gone.
        select coalesce(sum(octet_length(data)), 0) from chunk
        where chunk.log_id = log.log_id and chunk.next_offset > start_offset
            and chunk.base_offset < next_offsets[1]
    ) end::bigint as stored_bytes
from log
    left join snapshot using (log_id)
    cross join lateral (
        select array_agg(base_offset order by base_offset) as base_offsets,
            array_agg(next_offset order by base_offset) as next_offsets,
            array_agg(size_bytes order by base_offset) as sizes,
            array_agg(first_timestamp_ms order by base_offset) as first_timestamps,
            array_agg(max_timestamp_ms order by base_offset) as max_timestamps
        from segment where segment.log_id = log.log_id and segment.next_offset > log.start_offset
    ) as segments
where log.log_id = any($1::bigint[])
"""

_TAILS: Final = """
select given.log_id, tail.*
from unnest($1::bigint[], $2::bigint[]) as given (log_id, summed_offset)
    cross join lateral (
        select base_offset, next_offset, max_timestamp_ms, data from (
            select base_offset, next_offset, max_timestamp_ms, data,
                sum(octet_length(data)) over (order by base_offset) as size
            from (
                select * from chunk
                where chunk.log_id = given.log_id and chunk.next_offset > given.summed_offset
                order by base_offset limit $4
            ) as first_ones
        ) as sized
        where size <= $3
    ) as tail
"""
