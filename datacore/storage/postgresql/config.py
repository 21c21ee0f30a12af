"""What the PostgreSQL engine can be told, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

_LIMITS = {
    "pool": (3, 1000),
    "flush_bytes": (64 * 1024, 256 * 1024 * 1024),
    "unflushed_bytes_max": (1024 * 1024, 2**40),
    "cache_bytes": (1024 * 1024, 2**40),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlConfig:
    """Settings of one PostgreSQL engine."""

    dsn: str | None = field(default=None, repr=False)
    """Everything in one address (``postgresql://user:password@host:port/database``), instead."""

    host: str = "127.0.0.1"
    """A host, or the folder of a Unix socket."""

    port: int = 5432
    database: str = "datacore"
    user: str = "datacore"
    password: str | None = field(default=None, repr=False)

    schema: str = "datacore"
    """Holds everything of one cluster; made when missing."""

    pool: int = 8
    """Connections at most, beside the one that shows that this engine lives."""

    flush_timeout_s: float = 10.0
    """How long a round of group commit is tried before its appends fail."""

    statement_timeout_s: float = 30.0
    """How long any other statement may take."""

    flush_bytes: int = 8 * 1024 * 1024
    """What one transaction writes at most, unless a single append is larger."""

    unflushed_bytes_max: int = 256 * 1024 * 1024
    """Appends are refused while the store has this much to catch up with."""

    cache_bytes: int = 128 * 1024 * 1024
    """Batches that are kept in memory for readers."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _LIMITS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                message = f"{name} must lie between {lowest} and {highest}, not {value}"
                raise ValueError(message)
