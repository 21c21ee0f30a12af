"""Types of spec fields, and how wide they are on the wire.

Kafka's counterpart is org.apache.kafka.message.FieldType.
"""

import re
from dataclasses import dataclass
from typing import Final

FIXED_FORMATS: Final = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "float64": "d",
    "uuid": "16s",
}
"""Types of one fixed width, each with its character of the struct module."""

FIXED_SIZES: Final = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "float64": 8,
    "uuid": 16,
}

INTEGER_RANGES: Final = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
}

VARIABLE: Final = frozenset({"string", "bytes", "records"})
PYTHON_TYPES: Final = {
    "bool": "bool",
    "float64": "float",
    "uuid": "bytes",
    "string": "str",
    "bytes": "bytes",
    "records": "Buffer | None",
} | dict.fromkeys(INTEGER_RANGES, "int")

_STRUCT_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class FieldType:
    """One value, or an array of it."""

    element: str
    is_array: bool

    @classmethod
    def parse(cls, text: object) -> "FieldType":
        """Read ``int32``, ``[]string``, ``TopicData``, ``[]TopicData``.

        Raises:
            ValueError: It is no type that this generator knows.
        """
        if isinstance(text, str):
            element = text.removeprefix("[]")
            is_array = element != text
            known = element in FIXED_FORMATS or element in VARIABLE
            if known and not (is_array and element == "records"):
                return cls(element, is_array)
            if not known and _STRUCT_NAME.fullmatch(element):
                return cls(element, is_array)
        raise ValueError(f"unknown type: {text!r}")

    def __str__(self) -> str:
        return f"[]{self.element}" if self.is_array else self.element

    @property
    def is_struct_element(self) -> bool:
        """Whether the value, or each of the array's, is a struct."""
        return self.element not in FIXED_FORMATS and self.element not in VARIABLE

    @property
    def is_struct(self) -> bool:
        """Whether it is one struct."""
        return self.is_struct_element and not self.is_array

    @property
    def may_be_null(self) -> bool:
        """Whether the wire has a way to say null for it."""
        return self.is_array or self.element not in FIXED_FORMATS

    @property
    def fixed_format(self) -> str | None:
        """The struct module's character, for a single value of fixed width."""
        return None if self.is_array else FIXED_FORMATS.get(self.element)
