"""What the S3 engine can be told, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIMITS: dict[str, tuple[float, float]] = {
    "linger_s": (0, 1),
    "flush_bytes": (64 * 1024, 256 * 1024 * 1024),
    "flush_timeout_s": (0.1, 600),
    "unflushed_bytes_max": (1024 * 1024, 2**40),
    "cache_bytes": (1024 * 1024, 2**40),
    "disk_cache_bytes": (1024 * 1024, 2**50),
    "rewrite_interval_s": (1, 86_400),
    "grace_s": (60, 30 * 86_400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """Settings of one S3 engine."""

    bucket: str = "datacore"
    """Must exist."""

    prefix: str = ""
    """Of every key; one prefix of one bucket is one cluster."""

    endpoint: str | None = None
    """``http://host:port`` or ``https://...`` of a server that is not AWS; path style."""

    region: str = "us-east-1"
    access_key: str | None = None
    """None takes what ``credentials.py`` finds."""

    secret_key: str | None = field(default=None, repr=False)

    profile: str | None = None
    """Of AWS's files of credentials."""

    ca_file: str | None = None
    """Certificates that the endpoint's is signed by, beside those of the system."""

    linger_s: float = 0.0
    """How long a round of group commit waits for more before it is written."""

    flush_timeout_s: float = 10.0
    """How long a round is tried before its appends fail."""

    request_timeout_s: float = 10.0
    """How long one request may take."""

    flush_bytes: int = 8 * 1024 * 1024
    """What one round takes of one log, and about what an object of a round holds."""

    unflushed_bytes_max: int = 256 * 1024 * 1024
    """Appends are refused while the store has this much to catch up with."""

    cache_bytes: int = 128 * 1024 * 1024
    """Batches that are kept in memory for readers."""

    disk_cache_dir: Path | None = None
    """Where batches that were read are kept as well; None keeps none."""

    disk_cache_bytes: int = 1024 * 1024 * 1024
    """How much of them."""

    rewrite_interval_s: float = 60.0
    """How often what the rounds have written is put in order, log by log."""

    grace_s: float = 3600.0
    """How long an object that nothing refers to stays; clocks may run apart by a factor of two."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _LIMITS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                message = f"{name} must lie between {lowest} and {highest}, not {value}"
                raise ValueError(message)
        if self.flush_timeout_s > self.grace_s / 4:
            # What waits for the journal twice as long must not refer to what is deleted meanwhile.
            message = f"flush_timeout_s must not be above a quarter of grace_s, {self.grace_s / 4}"
            raise ValueError(message)
