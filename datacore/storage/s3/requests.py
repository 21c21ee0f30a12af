"""What was asked of a bucket: requests and bytes are what a bucket costs.

Rules: plain counters since the engine began, retries and failures included, for a server bills
those as well. A listing counts one for each 1,000 keys, a deletion one for each request. The text
is one line of ``name=value`` that programs can take apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Requests:
    """Counters of one engine."""

    puts: int = 0
    gets: int = 0
    lists: int = 0
    deletes: int = 0
    failed: int = 0
    """Of all these: refused, or without an answer."""
    written_bytes: int = 0
    read_bytes: int = 0
    appended_bytes: int = 0
    """Batches that became durable; ``written_bytes`` over this is how often each was written."""

    def __str__(self) -> str:
        return " ".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))
