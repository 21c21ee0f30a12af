"""Spec names to Python names."""

import builtins
import keyword
import re
from typing import Final

_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

RESERVED_CLASS_NAMES: Final = frozenset(
    {"Buffer", "ClassVar", "DecodeError", "EncodeError", "Final", "Message", "Self", "Struct"}
    | set(dir(builtins))
)
"""Names that a generated module already uses for something else."""

MESSAGE_ATTRIBUTES: Final = frozenset(
    {
        "api_key",
        "decode",
        "encode",
        "encode_parts",
        "flexible_from",
        "latest_stable_version",
        "max_version",
        "min_version",
        "record_type",
        "unknown_tagged_fields",
    }
)
"""What every message class has beside its fields."""


def snake_case(name: str) -> str:
    """`TimeoutMs` to `timeout_ms`; KRaft is one word; a keyword gets an underscore behind it."""
    snake = _BOUNDARY.sub("_", name.replace("KRaft", "Kraft")).lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake
