"""The database as the engine uses it: every statement about logs stands here.

Rules:

- Whoever opened a log last is its owner, by a token of its own. Each statement that changes a log
  names the token, and changes nothing where it is not the log's any more.
- Where a method says nothing of errors, it raises ``Unavailable`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.storage.chunked.chunk import CHUNK_BYTES
from datacore.storage.chunked.segments import Segment
from datacore.storage.chunked.store import OpenedLog
from datacore.storage.engine import LogName
from datacore.storage.postgresql.connections import Connections
from datacore.storage.postgresql.opening import chunk_of, fenced, take_free_logs, take_log
from datacore.storage.postgresql.together import Together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import asyncpg

    from datacore.storage.chunked.chunk import Chunk
    from datacore.storage.chunked.store import Round
    from datacore.storage.postgresql.config import PostgresqlConfig

ROWS_AT_ONCE: Final = 256
PURGED_AT_ONCE: Final = 512


class Store:
    """The logs of one schema."""

    def __init__(self, config: PostgresqlConfig) -> None:
        self.connections = Connections(config)
        self._flush_timeout_s = config.flush_timeout_s
        self._opens = Together(self._open_free_logs)
        self._closes = Together(self._close_logs)
        self._saves = Together(self._save_snapshots)
        self._drawn: dict[int, list[int]] = {}
        """Tokens of which nobody knows whether they are a log's by now, and the one before them."""

    # --- logs

    async def list_logs(self) -> list[LogName]:
        """Every log that exists."""
        rows = await self.connections.fetch("select name from log where not is_deleted")
        return [LogName(row["name"]) for row in rows]

    async def open_log(self, name: LogName, epoch: int) -> OpenedLog:
        """Makes this engine the owner of a log, made when missing.

        Raises:
            Fenced: It was opened before with a higher epoch.
            HeldElsewhere: It is open with this one, in an engine that lives.
        """
        # A broker that starts opens thousands of logs that are free.
        opened = await self._opens.ask(name, epoch)
        return opened or await take_log(self.connections, name, epoch)

    async def _open_free_logs(self, epochs: Mapping[LogName, int]) -> dict[LogName, OpenedLog]:
        return await take_free_logs(self.connections, epochs)

    async def own_again(self, log_id: int, owner: int) -> OpenedLog:
        """Takes a new token in place of one whose last statement may still be under way.

        Raises:
            Fenced: Somebody else owns the log, or it was deleted.
            Unavailable: The database does not answer.
        """
        # One that was drawn before may be the log's: its answer was lost.
        tokens = self._drawn.setdefault(log_id, [owner])
        drawn = await self.connections.fetch("select nextval('ownership') as token")
        tokens.append(drawn[0]["token"])
        rows = await self.connections.fetch(
            "update log set owner = $2 where log_id = $1 and owner = any($3::bigint[])"
            " and not is_deleted returning owner, start_offset, end_offset",
            log_id,
            tokens[-1],
            tokens,
        )
        del self._drawn[log_id]
        if not rows:
            raise fenced()
        return OpenedLog(log_id, *rows[0])

    async def close_log(self, log_id: int, owner: int) -> None:
        """Lets anybody open the log with the same epoch."""
        await self._closes.ask(log_id, owner)

    async def _close_logs(self, owners: Mapping[int, int]) -> dict[int, None]:
        # Rows are locked in one order by all who lock several of them.
        await self.connections.fetch(
            "update log set instance = null from ("
            "select log.log_id from log join unnest($1::bigint[], $2::bigint[])"
            " as given (log_id, owner) using (log_id, owner) order by log_id for update of log"
            ") as closed where log.log_id = closed.log_id",
            list(owners),
            list(owners.values()),
        )
        return {}

    async def delete_log(self, name: LogName) -> None:
        """Takes a log's name away, and its owner's right; ``purge`` frees the space."""
        await self.connections.fetch(
            "update log set is_deleted = true, owner = nextval('ownership')"
            " where name = $1 and not is_deleted",
            name,
        )

    async def purge(self) -> bool:
        """Frees some of the space of deleted logs.

        Returns:
            Whether there is more.
        """
        rows = await self.connections.fetch("select log_id from log where is_deleted limit 1")
        if not rows:
            return False
        log_id = rows[0]["log_id"]
        gone = await self.connections.fetch(
            "delete from chunk where log_id = $1 and base_offset in"
            " (select base_offset from chunk where log_id = $1 order by base_offset limit $2)"
            " returning base_offset",
            log_id,
            PURGED_AT_ONCE,
        )
        if not gone:
            async with self.connections.transaction() as connection:
                for table in ("segment", "snapshot", "replacement", "log"):
                    await connection.execute(f"delete from {table} where log_id = $1", log_id)
        return True

    async def segments(self, log_id: int) -> list[Segment]:
        """A log's segments."""
        rows = await self.connections.fetch(
            "select base_offset, next_offset, size_bytes, first_timestamp_ms, max_timestamp_ms,"
            " size_bytes as durable_bytes from segment where log_id = $1 order by base_offset",
            log_id,
        )
        return [Segment(*row) for row in rows]

    # --- appending

    async def append(self, rounds: Sequence[Round]) -> set[int]:
        """Adds to several logs in one transaction: to each whole or not at all.

        Returns:
            The ids of the logs that were where their round begins, and the owner's.

        Raises:
            Unavailable: Perhaps it is done, perhaps not.
        """
        segments = [(each.log_id, segment) for each in rounds for segment in each.segments]
        chunks = [(each.log_id, chunk) for each in rounds for chunk in each.chunks]
        rows = await self.connections.fetch(
            _APPEND,
            [each.log_id for each in rounds],
            [each.owner for each in rounds],
            [each.base_offset for each in rounds],
            [each.next_offset for each in rounds],
            [log_id for log_id, _ in segments],
            [segment.base_offset for _, segment in segments],
            [segment.next_offset for _, segment in segments],
            [segment.size_bytes for _, segment in segments],
            [segment.first_timestamp_ms for _, segment in segments],
            [segment.max_timestamp_ms for _, segment in segments],
            [log_id for log_id, _ in chunks],
            [chunk.base_offset for _, chunk in chunks],
            [chunk.next_offset for _, chunk in chunks],
            [chunk.max_timestamp_ms for _, chunk in chunks],
            [chunk.data for _, chunk in chunks],
            timeout_s=self._flush_timeout_s,
        )
        return {row["log_id"] for row in rows}

    async def owned_ends(self, rounds: Iterable[Round]) -> dict[int, int]:
        """The ends of the logs that are still their owner's, by id."""
        given = list(rounds)
        rows = await self.connections.fetch(
            "select log_id, end_offset from log join unnest($1::bigint[], $2::bigint[])"
            " as given (log_id, owner) using (log_id, owner)",
            [each.log_id for each in given],
            [each.owner for each in given],
        )
        return {row["log_id"]: row["end_offset"] for row in rows}

    # --- reading

    async def read(
        self, log_id: int, offset: int, before_offset: int, max_bytes: int
    ) -> list[Chunk]:
        """Chunks from the one that answers for ``offset``, up to ``max_bytes`` and one more."""
        rows = await self.connections.fetch(
            _READ, log_id, offset, before_offset, max_bytes + CHUNK_BYTES, ROWS_AT_ONCE
        )
        return [chunk_of(row) for row in rows]

    async def find_timestamp(self, log_id: int, timestamp_ms: int, offset: int) -> Chunk | None:
        """The first chunk behind ``offset`` that has that timestamp or a later one."""
        rows = await self.connections.fetch(
            "select base_offset, next_offset, max_timestamp_ms, data from chunk"
            " where log_id = $1 and max_timestamp_ms >= $2 and next_offset > $3"
            " order by base_offset limit 1",
            log_id,
            timestamp_ms,
            offset,
        )
        return chunk_of(rows[0]) if rows else None

    async def stored_bytes(self, log_id: int, offset: int, next_offset: int) -> int:
        """Bytes of the chunks of this range, the one that answers for ``offset`` included."""
        rows = await self.connections.fetch(
            "select coalesce(sum(octet_length(data)), 0) as size from chunk"
            " where log_id = $1 and next_offset > $2 and base_offset < $3",
            log_id,
            offset,
            next_offset,
        )
        return int(rows[0]["size"])

    # --- truncating

    async def truncate_before(self, log_id: int, owner: int, offset: int) -> None:
        """Moves a log's start and frees the chunks and segments before it.

        Raises:
            Fenced: The log is somebody else's.
        """
        async with self.connections.transaction() as connection:
            await _change(connection, "update log set start_offset = $3", log_id, owner, offset)
            for table in ("segment", "chunk"):
                await connection.execute(
                    f"delete from {table} where log_id = $1 and base_offset < $2"
                    " and next_offset <= $2",
                    log_id,
                    offset,
                )

    async def truncate_after(
        self, log_id: int, owner: int, offset: int, last: Chunk | None
    ) -> None:
        """Cuts a log's end.

        Args:
            log_id: Whose.
            owner: The token.
            offset: The new end.
            last: What is left of the chunk that the end falls into, where it does.

        Raises:
            Fenced: The log is somebody else's.
        """
        async with self.connections.transaction() as connection:
            await _change(connection, "update log set end_offset = $3", log_id, owner, offset)
            cut = await connection.fetch(
                "delete from chunk where log_id = $1 and next_offset > $2"
                " returning base_offset, octet_length(data) as size",
                log_id,
                offset,
            )
            if last is not None:
                await _insert_chunks(connection, "chunk", log_id, [last])
            await connection.execute(
                "delete from segment where log_id = $1 and base_offset >= $2", log_id, offset
            )
            await connection.execute(
                "delete from snapshot where log_id = $1 and next_offset > $2", log_id, offset
            )
            segment = await connection.fetchrow(
                "select base_offset, next_offset from segment"
                " where log_id = $1 and next_offset > $2",
                log_id,
                offset,
            )
            if segment is None:
                return
            gone_bytes = sum(
                row["size"]
                for row in cut
                if segment["base_offset"] <= row["base_offset"] < segment["next_offset"]
            )
            await connection.execute(
                "update segment set next_offset = $3, size_bytes = size_bytes - $4,"
                " max_timestamp_ms = (select coalesce(max(max_timestamp_ms), -1) from chunk"
                " where chunk.log_id = $1 and chunk.base_offset >= $2)"
                " where log_id = $1 and base_offset = $2",
                log_id,
                segment["base_offset"],
                offset,
                gone_bytes - (last.size if last is not None else 0),
            )

    # --- replacing

    async def prepare_replacement(self, log_id: int, chunks: Sequence[Chunk]) -> None:
        """Stores chunks that are to take the place of others, aside."""
        async with self.connections.transaction() as connection:
            await _insert_chunks(connection, "replacement", log_id, chunks)

    async def replace(
        self, log_id: int, owner: int, base_offset: int, next_offset: int, segments: list[Segment]
    ) -> None:
        """Puts what was prepared in the place of a range of whole segments.

        Raises:
            Fenced: The log is somebody else's.
        """
        async with self.connections.transaction() as connection:
            await _change(connection, "update log set owner = owner", log_id, owner)
            for table in ("chunk", "segment"):
                await connection.execute(
                    f"delete from {table} where log_id = $1"
                    " and base_offset >= $2 and base_offset < $3",
                    log_id,
                    base_offset,
                    next_offset,
                )
            await connection.execute(
                "insert into chunk select * from replacement where log_id = $1", log_id
            )
            await connection.execute("delete from replacement where log_id = $1", log_id)
            await _insert_segments(connection, log_id, segments)

    async def drop_replacement(self, log_id: int) -> None:
        """Forgets what was prepared."""
        await self.connections.fetch("delete from replacement where log_id = $1", log_id)

    # --- summaries

    async def save_snapshot(self, log_id: int, owner: int, offset: int, data: bytes) -> None:
        """Replaces a log's summary.

        Raises:
            Fenced: The log is somebody else's.
        """
        if not await self._saves.ask(log_id, (owner, offset, data), size=len(data)):
            raise fenced()

    async def _save_snapshots(
        self, summaries: Mapping[int, tuple[int, int, bytes]]
    ) -> dict[int, bool]:
        rows = await self.connections.fetch(
            "insert into snapshot select log_id, next_offset, data"
            " from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])"
            " as given (log_id, owner, next_offset, data) join log using (log_id, owner)"
            " order by log_id"
            " on conflict (log_id) do update set next_offset = excluded.next_offset,"
            " data = excluded.data returning log_id",
            list(summaries),
            [owner for owner, _, _ in summaries.values()],
            [offset for _, offset, _ in summaries.values()],
            [data for _, _, data in summaries.values()],
        )
        return {row["log_id"]: True for row in rows}

    async def load_snapshot(self, log_id: int) -> tuple[int, bytes] | None:
        """A log's summary."""
        rows = await self.connections.fetch(
            "select next_offset, data from snapshot where log_id = $1", log_id
        )
        return (rows[0]["next_offset"], rows[0]["data"]) if rows else None


async def _change(
    connection: asyncpg.Connection, update: str, log_id: int, owner: int, *values: object
) -> None:
    """Changes the row of a log that is this owner's."""
    done = await connection.execute(
        f"{update} where log_id = $1 and owner = $2", log_id, owner, *values
    )
    if done == "UPDATE 0":
        raise fenced()


async def _insert_chunks(
    connection: asyncpg.Connection, table: str, log_id: int, chunks: Sequence[Chunk]
) -> None:
    await connection.executemany(
        f"insert into {table} values ($1, $2, $3, $4, $5)",
        [
            (log_id, chunk.base_offset, chunk.next_offset, chunk.max_timestamp_ms, chunk.data)
            for chunk in chunks
        ],
    )


async def _insert_segments(
    connection: asyncpg.Connection, log_id: int, segments: Sequence[Segment]
) -> None:
    await connection.executemany(
        "insert into segment values ($1, $2, $3, $4, $5, $6)",
        [
            (
                log_id,
                segment.base_offset,
                segment.next_offset,
                segment.size_bytes,
                segment.first_timestamp_ms,
                segment.max_timestamp_ms,
            )
            for segment in segments
        ],
    )


_APPEND: Final = """
with moved as (
    update log set end_offset = given.next_offset
    from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
        as given (log_id, owner, base_offset, next_offset)
    where log.log_id = given.log_id and log.owner = given.owner
        and log.end_offset = given.base_offset and not log.is_deleted
    returning log.log_id
), segments as (
    insert into segment
    select given.* from unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[])
        as given (log_id, base_offset, next_offset, size_bytes, first_timestamp_ms,
            max_timestamp_ms)
        join moved using (log_id)
    on conflict (log_id, base_offset) do update set
        next_offset = excluded.next_offset,
        size_bytes = segment.size_bytes + excluded.size_bytes,
        max_timestamp_ms = greatest(segment.max_timestamp_ms, excluded.max_timestamp_ms)
), chunks as (
    insert into chunk
    select given.* from unnest($11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
            $15::bytea[])
        as given (log_id, base_offset, next_offset, max_timestamp_ms, data)
        join moved using (log_id)
)
select log_id from moved
"""

_READ: Final = """
select base_offset, next_offset, max_timestamp_ms, data from (
    select base_offset, next_offset, max_timestamp_ms, data,
        coalesce(sum(octet_length(data)) over (
            order by base_offset rows between unbounded preceding and 1 preceding), 0) as before
    from chunk
    where log_id = $1 and next_offset > $2 and base_offset < $3
        and base_offset >= (
            select coalesce(max(base_offset), 0) from chunk where log_id = $1 and base_offset <= $2
        )
    order by base_offset
    limit $5
) as first_ones
where before < $4
order by base_offset
"""
