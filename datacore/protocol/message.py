"""What every generated wire message can do, as types for code that works with any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from typing import Self

    from datacore.wire.buffer import Buffer


class Message(Protocol):
    """A request or a response of any API."""

    api_key: ClassVar[int]
    min_version: ClassVar[int]
    max_version: ClassVar[int]

    def encode(self, version: int) -> bytes:
        """The body's bytes."""

    def encode_parts(self, version: int) -> list[Buffer]:
        """The body's bytes with records left as the views they are."""

    @classmethod
    def decode(cls, data: Buffer, version: int, at: int = 0) -> tuple[Self, int]:
        """The message that starts at ``at``, and where it ends."""
