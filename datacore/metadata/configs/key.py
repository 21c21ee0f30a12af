"""What a config is: its name, type, default, valid values, and what becomes of it here.

The tables beside this file are made of these. Facts (names, types, defaults, valid values,
importance, how a config may be altered) are Apache Kafka 4.1's; Kafka's counterparts are
``ConfigDef`` and ``DynamicBrokerConfig``.
"""

from __future__ import annotations

import re
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value: TypeAlias = "bool | int | float | str | list[str]"
"""What the text of a config means."""


class ConfigType(IntEnum):
    """Types as DescribeConfigs v3 numbers them."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Importance(Enum):
    """How many people should know a config."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Update(Enum):
    """How a broker's config is altered while the broker runs (KIP-226)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per broker"
    CLUSTER_WIDE = "cluster-wide"
    """For all brokers or for one."""


class Effect(Enum):
    """What becomes of a config here."""

    YES = "yes"
    """It takes effect as on Apache Kafka."""
    NO = "no"
    """It is validated, stored and shown, and changes nothing."""
    REFUSED = "refused"
    """Only its default is taken: to accept another value would promise what is not there."""


class InvalidConfig(ValueError):
    """A config's name or value is not acceptable; the message says why."""


class Range(msgspec.Struct, frozen=True):
    """A number from ``low`` to ``high``, or the one beside the range."""

    low: float | None = None
    high: float | None = None
    beside: int | None = None

    def objection(self, value: Value) -> str | None:
        """Why a value is not valid; None where it is."""
        assert isinstance(value, int | float)
        if value == self.beside:
            return None
        if self.low is not None and not value >= self.low:
            return f"Value must be at least {self.low:.15g}"
        if self.high is not None and not value <= self.high:
            return f"Value must be no more than {self.high:.15g}"
        return None

    def __str__(self) -> str:
        if self.high is None:
            return f"at least {self.low:.15g}"
        beside = "" if self.beside is None else f"{self.beside}, "
        return f"{beside}{self.low:.15g} to {self.high:.15g}"


class OneOf(msgspec.Struct, frozen=True):
    """A text, or each item of a list, is one of these; a list may have to hold one of them."""

    choices: tuple[str, ...]
    ignores_case: bool = False
    needed: str | None = None

    def objection(self, value: Value) -> str | None:
        """Why a value is not valid; None where it is."""
        for item in value if isinstance(value, list) else [str(value)]:
            if not any(
                item == choice or (self.ignores_case and item.lower() == choice.lower())
                for choice in self.choices
            ):
                return f"String must be one of: {', '.join(self.choices)}"
        if isinstance(value, list) and self.needed is not None and self.needed not in value:
            return f"{self.needed} must be among them"
        return None

    def __str__(self) -> str:
        choices = ", ".join(f"`{choice}`" for choice in self.choices)
        return choices if self.needed is None else f"{choices}; `{self.needed}` is needed"


class Shape(msgspec.Struct, frozen=True):
    """A text of a certain form, which ``words`` describe."""

    pattern: str
    words: str

    def objection(self, value: Value) -> str | None:
        """Why a value is not valid; None where it is."""
        text = ",".join(value) if isinstance(value, list) else str(value)
        return None if re.fullmatch(self.pattern, text, re.DOTALL) else f"Expected {self.words}"

    def __str__(self) -> str:
        return self.words


Valid: TypeAlias = Range | OneOf | Shape


class ConfigKey(msgspec.Struct, frozen=True):
    """One config.

    Attributes:
        name: Its name.
        type: Its type.
        default: What holds where nobody says anything; None is nothing.
        importance: Kafka's word for how many people should know it.
        valid: What else a value of the type must be.
        about: What it says, in a sentence.
        effect: What becomes of it here.
        synonym: The broker config that gives a topic config its default.
        otherwise: Configs of the same meaning in other units, asked in this order where this one
            is not set, each with its unit in terms of this one's.
        update: How it is altered while the broker runs; says nothing about configs of others.
        kafka_default: Apache Kafka's default, where this one is another.
        is_internal: Whether it is not shown by DescribeConfigs.
    """

    name: str
    type: ConfigType
    default: str | None
    importance: Importance
    valid: Valid | None = None
    about: str = ""
    effect: Effect = Effect.NO
    synonym: str | None = None
    otherwise: tuple[tuple[str, int], ...] = ()
    update: Update = Update.READ_ONLY
    kafka_default: str | None = None
    is_internal: bool = False

    @property
    def takes_effect(self) -> bool:
        """Whether it changes what this broker does."""
        return self.effect is Effect.YES

    @property
    def is_sensitive(self) -> bool:
        """Whether its value is a secret, which nobody is told."""
        return self.type is ConfigType.PASSWORD

    def check(self, text: str) -> str:
        """The one way to write a value.

        Raises:
            InvalidConfig: The text is no value that this config can have.
        """
        value = self.parse(text)
        objection = self.valid.objection(value) if self.valid is not None else None
        if objection is not None:
            self._refuse(text, objection)
        if self.effect is Effect.REFUSED and text != self.default:
            self._refuse(text, "this broker has nothing that it could configure")
        match value:
            case bool():
                return str(value).lower()
            case int():
                return str(value)
            case list():
                return ",".join(value)
            case _:
                return text.strip()

    def parse(self, text: str) -> Value:
        """What a text means, whether or not it is valid.

        Raises:
            InvalidConfig: It is not of this config's type.
        """
        text = text.strip()
        match self.type:
            case ConfigType.BOOLEAN:
                if text.lower() not in {"true", "false"}:
                    self._refuse(text, "Expected value to be either true or false")
                return text.lower() == "true"
            case ConfigType.INT | ConfigType.SHORT | ConfigType.LONG:
                low, high = _INTEGERS[self.type]
                if not re.fullmatch(_INTEGER, text) or not low <= int(text) <= high:
                    self._refuse(text, f"Not a number of type {self.type.name}")
                return int(text)
            case ConfigType.DOUBLE:
                if not re.fullmatch(_DOUBLE, text):
                    self._refuse(text, "Not a number of type DOUBLE")
                return float(text.rstrip("dDfF") if text[-1] in "dDfF" else text)
            case ConfigType.LIST:
                return [item.strip() for item in text.split(",")] if text else []
            case _:
                return text

    def _refuse(self, text: str, reason: str) -> None:
        shown = "[hidden]" if self.is_sensitive else text
        raise InvalidConfig(f"Invalid value {shown} for configuration {self.name}: {reason}")


_INTEGERS: Final[Mapping[ConfigType, tuple[int, int]]] = {
    ConfigType.SHORT: (-(2**15), 2**15 - 1),
    ConfigType.INT: (-(2**31), 2**31 - 1),
    ConfigType.LONG: (-(2**63), 2**63 - 1),
}
# Compiled when a first value is read: a start need not pay for it.
_INTEGER: Final = r"[+-]?[0-9]{1,40}"
_DOUBLE: Final = r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?)"

# What the tables are written with.
BOOLEAN: Final = ConfigType.BOOLEAN
STRING: Final = ConfigType.STRING
INT: Final = ConfigType.INT
SHORT: Final = ConfigType.SHORT
LONG: Final = ConfigType.LONG
DOUBLE: Final = ConfigType.DOUBLE
LIST: Final = ConfigType.LIST
CLASS: Final = ConfigType.CLASS
PASSWORD: Final = ConfigType.PASSWORD
HIGH: Final = Importance.HIGH
MEDIUM: Final = Importance.MEDIUM
LOW: Final = Importance.LOW
PER_BROKER: Final = Update.PER_BROKER
CLUSTER_WIDE: Final = Update.CLUSTER_WIDE
YES: Final = Effect.YES
REFUSED: Final = Effect.REFUSED
LONG_MAX: Final = "9223372036854775807"
INT_MAX: Final = "2147483647"
CODECS: Final = OneOf(("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"))
TIMESTAMP_TYPES: Final = OneOf(("CreateTime", "LogAppendTime"))
CLEANUP_POLICIES: Final = OneOf(("compact", "delete"))
GZIP_LEVELS: Final = Range(1, 9, beside=-1)
NOT_EMPTY: Final = Shape(r".*\S.*", "a text that is not empty")


def at_least(low: float) -> Range:
    """Numbers from ``low`` on."""
    return Range(low)


def by_name(rows: Iterable[ConfigKey]) -> dict[str, ConfigKey]:
    """A table in the order of its names."""
    return {key.name: key for key in sorted(rows, key=lambda key: key.name)}
