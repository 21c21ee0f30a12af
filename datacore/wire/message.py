"""What generated classes stand on: equality, representation, and the way in and out of bytes.

A `WireStruct` is a plain slotted record of values. A `WireMessage` adds the tables of its decode
and encode functions, one entry a version, equal wire shapes sharing a function. A
`RecordsMessage` hands its record sets on as views, in and out.
"""

import struct
from collections.abc import Callable
from typing import Any, ClassVar, Final, NoReturn, Self, TypeVar

from datacore.wire.buffer import Buffer
from datacore.wire.errors import DecodeError, EncodeError

ZERO_UUID: Final = bytes(16)

UNSET: Final[Any] = object()
"""Default of constructor arguments whose real default is made anew for each object."""

DecodeFunction = Callable[[Any, int], tuple[Any, int]]
EncodeFunction = Callable[..., None]
"""Takes the message and the list of pieces; for records also the list of their places in it."""


new: Final = object.__new__
"""Makes an object whose slots a decode function fills."""

StructT = TypeVar("StructT", bound="WireStruct")


class WireStruct:
    """Values in slots; compared by value, views by their bytes."""

    __slots__: tuple[str, ...] = ()
    __hash__: ClassVar[None]  # type: ignore[assignment]  # mutable, so not hashable

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        # Identity of the slots is identity of the class, a shared default's class included.
        if not isinstance(other, WireStruct) or self.__slots__ is not other.__slots__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        values = (f"{name}={_shown(getattr(self, name))}" for name in self.__slots__)
        return f"{type(self).__name__}({', '.join(values)})"


def shared_default(value: StructT) -> StructT:
    """Make `value` unchangeable, so that all messages can share it as a field's default.

    Structs in tagged fields are rarely sent but always there; making one for each partition of a
    Fetch would cost more than the rest of the partition.
    """
    kind = type(value)
    frozen = type(kind.__name__, (kind,), {"__slots__": (), "__setattr__": _refuse_change})
    # Its slots are those of the class it stands for, or the two would never compare equal.
    type.__setattr__(frozen, "__slots__", kind.__slots__)
    value.__class__ = frozen
    return value


def _refuse_change(self: WireStruct, name: str, value: object) -> NoReturn:
    raise AttributeError(
        f"this {type(self).__name__} is a default that all messages share:"
        f" assign a new one instead of setting {name} to {value!r}"
    )


def _shown(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, memoryview) else repr(value)


class WireMessage(WireStruct):
    """A message in all its versions."""

    __slots__ = ()

    api_key: ClassVar[int]
    record_type: ClassVar[int]
    min_version: ClassVar[int]
    max_version: ClassVar[int]
    latest_stable_version: ClassVar[int]
    flexible_from: ClassVar[int]
    decoders: ClassVar[tuple[DecodeFunction, ...]]
    encoders: ClassVar[tuple[EncodeFunction, ...]]

    @classmethod
    def decode(cls, data: Buffer, version: int, at: int = 0) -> tuple[Self, int]:
        """Read a message that starts at `at`.

        Returns:
            The message and the position behind it.

        Raises:
            DecodeError: There is no such version, or the bytes are no such message.
        """
        place = version - cls.min_version
        if not 0 <= place < len(cls.decoders):
            raise DecodeError(f"{cls.__name__} has no version {version}")
        frame = data if type(data) is bytes else bytes(data)
        try:
            message, end = cls.decoders[place](frame, at)
        except (DecodeError, UnicodeDecodeError, struct.error, IndexError) as error:
            raise DecodeError(f"{cls.__name__} version {version}: {error}") from error
        if end > len(frame):
            raise DecodeError(f"{cls.__name__} version {version}: ends behind the data")
        return message, end

    def encode(self, version: int) -> bytes:
        """The message's bytes in a version.

        Raises:
            EncodeError: There is no such version, or it cannot say what the message holds.
        """
        place = version - self.min_version
        if not 0 <= place < len(self.encoders):
            raise EncodeError(f"{type(self).__name__} has no version {version}")
        out: list[Buffer] = []
        try:
            self.encoders[place](self, out)
        except (EncodeError, UnicodeEncodeError, struct.error) as error:
            raise EncodeError(f"{type(self).__name__} version {version}: {error}") from error
        return b"".join(out)

    def encode_parts(self, version: int) -> list[Buffer]:
        """Like `encode`, in the form in which messages with records come in several parts."""
        return [self.encode(version)]


class RecordsMessage(WireMessage):
    """A message that carries record sets: they are views of the frame, and leave as they came."""

    __slots__ = ()

    @classmethod
    def decode(cls, data: Buffer, version: int, at: int = 0) -> tuple[Self, int]:
        """Read a message that starts at `at`; its records are views of `data`.

        Returns:
            The message and the position behind it.

        Raises:
            DecodeError: There is no such version, or the bytes are no such message.
        """
        place = version - cls.min_version
        if not 0 <= place < len(cls.decoders):
            raise DecodeError(f"{cls.__name__} has no version {version}")
        try:
            message, end = cls.decoders[place](data, at)
        except (DecodeError, UnicodeDecodeError, struct.error, IndexError) as error:
            raise DecodeError(f"{cls.__name__} version {version}: {error}") from error
        if end > len(data):
            raise DecodeError(f"{cls.__name__} version {version}: ends behind the data")
        return message, end

    def encode(self, version: int) -> bytes:
        """The message's bytes in a version, records copied in.

        Raises:
            EncodeError: There is no such version, or it cannot say what the message holds.
        """
        out, _ = self._pieces(version)
        return b"".join(out)

    def encode_parts(self, version: int) -> list[Buffer]:
        """The message's bytes in order: record sets as they are, what is between them joined.

        Raises:
            EncodeError: There is no such version, or it cannot say what the message holds.
        """
        out, record_sets = self._pieces(version)
        parts: list[Buffer] = []
        start = 0
        for place in record_sets:
            parts.append(b"".join(out[start:place]))
            parts.append(out[place])
            start = place + 1
        if start < len(out):
            parts.append(b"".join(out[start:]))
        return parts

    def _pieces(self, version: int) -> tuple[list[Buffer], list[int]]:
        """The pieces of the message, and at which places among them the record sets are."""
        place = version - self.min_version
        if not 0 <= place < len(self.encoders):
            raise EncodeError(f"{type(self).__name__} has no version {version}")
        out: list[Buffer] = []
        record_sets: list[int] = []
        try:
            self.encoders[place](self, out, record_sets)
        except (EncodeError, UnicodeEncodeError, struct.error) as error:
            raise EncodeError(f"{type(self).__name__} version {version}: {error}") from error
        return out, record_sets
