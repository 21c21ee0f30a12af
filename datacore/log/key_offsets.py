"""The last offset of each key, for so many keys as memory was given for.

Rules:

- The size is bounded by entries, each counted with what CPython takes for it. A full map is not
  an error: compaction goes as far as the map reaches, and further in its next round.
- A key of up to 16 bytes is kept as it is. A longer one is known by a digest of 17 bytes, so that
  neither takes more memory than the other, nor can be taken for it. That two keys have the same
  digest is as likely as with Kafka's MD5.
- It is made of many small dictionaries: one large one would stop the whole process for tens of
  milliseconds whenever it grows, and again when it goes.

Kafka's counterpart: ``SkimpyOffsetMap``.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY_BYTES: Final = 160
"""A key's object, an offset's, and a share of a dictionary: 148 were measured with 800,000 keys."""

_KEY_BYTES_MAX: Final = 16
_DIGEST_BYTES: Final = 17
_SHARDS: Final = 4096
_SHARD_BITS_AT: Final = 48
"""Dictionaries go by the low bits of a hash, so the shard must not."""


class KeyOffsets:
    """Keys and their last offsets, put in ascending order of offsets."""

    __slots__ = ("_shards", "count", "keys_max", "latest_offset")

    def __init__(self, bytes_max: int, load_factor: float = 1.0) -> None:
        """An empty map; arguments as for ``limit``."""
        self.limit(bytes_max, load_factor)
        self.count = 0
        self.latest_offset = -1
        """Up to here the log's keys are in the map."""
        self._shards: list[dict[bytes, int]] = [{} for _ in range(_SHARDS)]

    def limit(self, bytes_max: int, load_factor: float = 1.0) -> None:
        """Changes how much it may take.

        Args:
            bytes_max: All memory for it (log.cleaner.dedupe.buffer.size).
            load_factor: How much of that is used (log.cleaner.io.buffer.load.factor).
        """
        self.keys_max = max(int(bytes_max * load_factor) // ENTRY_BYTES, 1)

    @property
    def is_full(self) -> bool:
        """Whether no more keys should be put."""
        return self.count >= self.keys_max

    def put(self, key: bytes, offset: int) -> None:
        """Notes a record."""
        if len(key) > _KEY_BYTES_MAX:
            key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        shard = self._shards[hash(key) >> _SHARD_BITS_AT & _SHARDS - 1]
        before = len(shard)
        shard[key] = offset
        self.count += len(shard) - before

    def get(self, key: bytes) -> int:
        """The last offset of a key; -1 where it is not known."""
        if len(key) > _KEY_BYTES_MAX:
            key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        return self._shards[hash(key) >> _SHARD_BITS_AT & _SHARDS - 1].get(key, -1)

    def clear(self) -> Iterator[None]:
        """Forgets everything, a little with each step."""
        self.count = 0
        self.latest_offset = -1
        for shard in self._shards:
            if shard:
                shard.clear()
                yield
