"""Every generated class beside the spec that it comes from, and values for them.

`values` makes a hypothesis strategy out of a spec, `full_value` one fixed message in which nothing
is left at its default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from codegen.field_type import INTEGER_RANGES
from codegen.generate import by_module
from codegen.merge import load_messages
from codegen.module_source import ModuleSource
from codegen.names import snake_case
from codegen.resolved import Field, Message, Struct
from datacore.wire.message import WireMessage, WireStruct
from datacore.wire.tagged_fields import TaggedFields

SPECS: Final = Path(__file__).parents[2] / "specs"
_UNKNOWN_TAGS: Final = st.lists(
    st.tuples(st.integers(1000, 2**32 - 1), st.binary(max_size=8)),
    max_size=2,
    unique_by=lambda each: each[0],
).map(lambda fields: tuple(sorted(fields)))

_SCALARS: Final[dict[str, st.SearchStrategy[object]]] = {
    "bool": st.booleans(),
    "float64": st.floats(allow_nan=False),
    "uuid": st.binary(min_size=16, max_size=16),
    "string": st.text(max_size=12) | st.sampled_from(["", "ü" * 100]),
    "bytes": st.binary(max_size=12) | st.just(bytes(200)),
    "records": st.binary(max_size=12) | st.just(bytes(200)),
    **{name: st.integers(low, high) for name, (low, high) in INTEGER_RANGES.items()},
}
_FULL_SCALARS: Final[dict[str, object]] = {
    "bool": True,
    "float64": 1.5,
    "uuid": bytes(range(16)),
    "string": "ab",
    "bytes": b"abc",
    "records": b"abcd",
    **dict.fromkeys(INTEGER_RANGES, 77),
}


@dataclass(frozen=True, slots=True)
class Generated:
    """A message's spec and where its classes are."""

    message: Message
    module_name: str
    source: ModuleSource

    @property
    def message_class(self) -> type[WireMessage]:
        """The class of the message itself."""
        found: type[WireMessage] = self._class(self.message.root)
        return found

    def _class(self, struct: Struct) -> Any:
        module = import_module(self.module_name)
        return getattr(module, self.source.class_name(self.message, struct))

    def values(self, version: int) -> st.SearchStrategy[WireMessage]:
        """All messages that this version can say."""
        return self._values(self.message.root, version)

    def _values(self, struct: Struct, version: int) -> st.SearchStrategy[Any]:
        fields = {
            snake_case(each.spec_name): self._field_values(each, version)
            for each in struct.fields
            if version in each.versions
        }
        if version in self.message.flexible:
            fields["unknown_tagged_fields"] = _UNKNOWN_TAGS
        made = self._class(struct)
        return st.fixed_dictionaries(fields).map(lambda each: made(**each))

    def _field_values(self, each: Field, version: int) -> st.SearchStrategy[object]:
        if each.struct is not None:
            one = self._values(each.struct, version)
        else:
            one = _SCALARS[each.type.element]
        if each.type.is_array:
            one = st.lists(one, max_size=2)
            if each.struct is None and each.type.element not in ("string", "bytes"):
                one |= st.lists(_SCALARS[each.type.element], min_size=31, max_size=34)
        return st.none() | one if version in each.nullable else one

    def full_value(
        self, version: int, unknown_tagged_fields: TaggedFields = ((1000, b"xyz"),)
    ) -> WireMessage:
        """Every field set, two elements in every array."""
        value = self._full_value(self.message.root, version, unknown_tagged_fields)
        assert isinstance(value, WireMessage)
        return value

    def _full_value(self, struct: Struct, version: int, unknown: TaggedFields) -> WireStruct:
        fields: dict[str, object] = {}
        for each in struct.fields:
            if version in each.versions:
                fields[snake_case(each.spec_name)] = self._full_field(each, version, unknown)
        if version in self.message.flexible:
            fields["unknown_tagged_fields"] = unknown
        value: WireStruct = self._class(struct)(**fields)
        return value

    def _full_field(self, each: Field, version: int, unknown: TaggedFields) -> object:
        if each.struct is not None:
            one: object = self._full_value(each.struct, version, unknown)
        else:
            one = _FULL_SCALARS[each.type.element]
        return [one, one] if each.type.is_array else one


def load(specs: Path, package: str) -> Iterator[Generated]:
    """All messages of `specs`, whose modules are in `package`."""
    for path, members in by_module(load_messages(specs)).items():
        source = ModuleSource(members)
        module_name = ".".join([package, *Path(path).with_suffix("").parts])
        for message in members:
            yield Generated(message, module_name, source)


@cache
def all_generated() -> tuple[Generated, ...]:
    """Every message of datacore/_generated."""
    return tuple(load(SPECS, "datacore._generated"))


def name_of(generated: Generated) -> str:
    """What a test's parameter is called."""
    return generated.message.name
