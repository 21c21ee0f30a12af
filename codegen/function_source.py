"""What writing a decode and an encode function have in common: lines, names, runs of fields."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from codegen.field_type import FIXED_SIZES
from codegen.module_source import ModuleSource
from codegen.names import snake_case
from codegen.resolved import Field, Message, Struct
from codegen.shapes import shape

_TAKEN = frozenset(
    {
        "at",
        "count",
        "cuts",
        "data",
        "end",
        "fields",
        "items",
        "m",
        "n",
        "new",
        "out",
        "s",
        "size",
        "tag",
        "unknown",
        "view",
    }
)
_SIZES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "d": 8, "16s": 16}
ARRAY_WORDS = {
    "bool": "bools",
    "uuid": "uuids",
    "float64": "float64s",
    **{name: f"{name}s" for name in FIXED_SIZES if "int" in name},
}
"""Ends of the names of datacore.wire.arrays' functions."""


class FunctionSource(ABC):
    """The lines of one function for one version of a message.

    A run of fixed-width fields is held back until something of another kind comes, and then
    becomes one call of the struct module.
    """

    def __init__(self, module: ModuleSource, message: Message, version: int) -> None:
        self.module = module
        self.message = message
        self.version = version
        self.flexible = version in message.flexible
        self.lines: list[str] = []
        self.run: list[tuple[str, str]] = []
        self._depth = 0
        self._variables: dict[str, int] = {}

    def line(self, text: str) -> None:
        """Add one line at the present depth."""
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add `head` and put what follows one level deeper; no run reaches across its end."""
        self.line(head)
        self._depth += 1
        yield
        self.flush()
        self._depth -= 1

    @contextmanager
    def guard(self, condition: str) -> Iterator[None]:
        """Put what follows under a condition that raises: the run goes on behind it."""
        self.line(f"if {condition}:")
        self._depth += 1
        yield
        self._depth -= 1

    @abstractmethod
    def flush(self) -> None:
        """End the run."""

    def variable(self, name: str) -> str:
        """A local name that nothing else in the function has."""
        base = snake_case(name)
        if base in _TAKEN:
            base += "_"
        count = self._variables[base] = self._variables.get(base, 0) + 1
        return base if count == 1 else f"{base}_{count}"

    def is_shared(self, element: Struct) -> bool:
        """Whether arrays of this struct have a function of their own in this version."""
        shared = self.module.shared_shapes[self.message.name]
        return shape(self.message, element, self.version) in shared

    def is_compact(self, each: Field) -> bool:
        """Whether lengths of this field have the compact form in this version."""
        return self.flexible and self.version not in each.inflexible

    def known_tags(self, struct: Struct) -> list[Field]:
        """The struct's tagged fields in this version, by tag."""
        tagged = [each for each in struct.fields if self.version in each.tagged]
        return sorted(tagged, key=lambda each: each.tag or 0)

    def label(self, struct: Struct, each: Field) -> str:
        """What errors call a field."""
        return f'"{struct.name}.{snake_case(each.spec_name)}"'

    @staticmethod
    def run_size(codes: list[str]) -> int:
        """Bytes of a run."""
        return sum(_SIZES[code] for code in codes)
