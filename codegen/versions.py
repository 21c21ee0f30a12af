"""Version syntax of the specs: ``none``, ``3``, ``0-4`` and ``2+``.

Kafka's counterpart is org.apache.kafka.message.Versions. An open end (``2+``) is cut to a
message's valid versions before anything is generated.
"""

import re
from dataclasses import dataclass
from typing import Final

OPEN: Final = 32767
"""Stands for 'and all later ones': versions are int16."""

_SYNTAX: Final = re.compile(r"(?P<low>\d{1,5})(?:(?P<open>\+)|-(?P<high>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Versions:
    """An inclusive range; ``low > high`` is none at all."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: object) -> "Versions":
        """Read the specs' syntax.

        Raises:
            ValueError: It is not that syntax.
        """
        if text == "none":
            return NONE
        match = _SYNTAX.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"not a version range: {text!r}")
        low = int(match["low"])
        high = OPEN if match["open"] else int(match["high"] or low)
        if not low <= high <= OPEN:
            raise ValueError(f"not a version range: {text!r}")
        return cls(low, high)

    def __str__(self) -> str:
        if self.low > self.high:
            return "none"
        if self.high == OPEN:
            return f"{self.low}+"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    def within(self, valid: "Versions") -> frozenset[int]:
        """The single versions of this range that `valid` holds too."""
        return frozenset(range(max(self.low, valid.low), min(self.high, valid.high) + 1))


NONE: Final = Versions(0, -1)
ALL: Final = Versions(0, OPEN)
