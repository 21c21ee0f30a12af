"""What the functions of one generated module share: class names, layouts, imports, functions."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field

from codegen.field_type import FIXED_SIZES
from codegen.names import RESERVED_CLASS_NAMES, snake_case
from codegen.resolved import Field, Message, Struct
from codegen.shapes import Shape, shared_element_shapes
from codegen.spec_error import SpecError

_FORMAT_NAMES = {"?": "t", "B": "ub", "H": "uh", "I": "ui", "16s": "u", "x": "z"}


@dataclass(slots=True)
class ModuleSource:
    """Collects while the emitters run; the template prints it."""

    messages: list[Message]
    class_names: dict[tuple[str, str], str] = field(init=False)
    imports: dict[str, set[str]] = field(default_factory=dict)
    layouts: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    """Source of each function by its body, so that equal wire shapes share one."""
    shared_shapes: dict[str, set[Shape]] = field(init=False)
    """By message, the shapes of array elements that have functions of their own."""
    _names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.class_names = _class_names(self.messages)
        self.shared_shapes = {each.name: shared_element_shapes(each) for each in self.messages}

    def use(self, module: str, *names: str) -> None:
        """Import `names` from `module`."""
        self.imports.setdefault(module, set()).update(names)

    def layout(self, kind: str, codes: Iterable[str]) -> str:
        """The name of the `pack` or `unpack_from` of a run of fixed-width fields."""
        codes = tuple(codes)
        name = f"_{kind}_" + "_".join(_squeezed(codes))
        method = "pack" if kind == "pack" else "unpack_from"
        self.layouts[name] = f'{name} = Struct(">{"".join(codes)}").{method}'
        self.use("struct", "Struct")
        return name

    def function(self, name: str, parameters: str, result: str, body: list[str]) -> str:
        """Add a function, or find the one that has the same body; its name."""
        text = "\n".join(body)
        key = f"{parameters}->{result}\n{text}"
        if key not in self._names:
            self._names[key] = name
            self.functions[name] = f"def {name}({parameters}) -> {result}:\n" + textwrap.indent(
                text, "    "
            )
        return self._names[key]

    def class_name(self, message: Message, struct: Struct) -> str:
        """The Python class of a struct of one message."""
        return self.class_names[message.name, struct.name]


def _squeezed(codes: tuple[str, ...]) -> list[str]:
    """`iiih` as `i3`, `h`: a layout's name says its fields."""
    parts: list[tuple[str, int]] = []
    for code in codes:
        name = _FORMAT_NAMES.get(code, code)
        if parts and parts[-1][0] == name:
            parts[-1] = (name, parts[-1][1] + 1)
        else:
            parts.append((name, 1))
    return [name if count == 1 else f"{name}{count}" for name, count in parts]


def _class_names(messages: list[Message]) -> dict[tuple[str, str], str]:
    """Structs keep the spec's name; where two messages of a module share it, both are prefixed."""
    owners: dict[str, list[str]] = {}
    for message in messages:
        for struct in message.structs():
            owners.setdefault(struct.name, []).append(message.name)
    names: dict[tuple[str, str], str] = {}
    for message in messages:
        for struct in message.structs():
            shared = len(owners[struct.name]) > 1 and struct.name != message.name
            name = f"{message.name}{struct.name}" if shared else struct.name
            if name in RESERVED_CLASS_NAMES or name in names.values():
                raise SpecError(message.file, struct.name, f"class name {name} is taken")
            names[message.name, struct.name] = name
    return names


def shares_default(struct: Struct) -> bool:
    """Whether a default of this struct can be shared: nothing in it can be changed in place."""
    return all(
        not each.type.is_array and (each.struct is None or shares_default(each.struct))
        for each in struct.fields
    )


def default_name(class_name: str) -> str:
    """The constant that holds a struct's shared default."""
    return f"_DEFAULT_{snake_case(class_name).upper()}"


def is_flexible(message: Message) -> bool:
    """Whether structs of the message can ever hold unknown tagged fields."""
    return bool(message.flexible)


def is_optional(each: Field) -> bool:
    """Whether the Python attribute may be None."""
    return bool(each.nullable) or each.default == "null" or each.type.element == "records"


def min_size(message: Message, struct: Struct, version: int) -> int:
    """The fewest bytes that a struct takes on the wire, at least 1."""
    flexible = version in message.flexible
    size = 1 if flexible else 0
    for each in struct.fields:
        if version in each.versions and version not in each.tagged:
            size += _min_field_size(message, each, version)
    return max(size, 1)


def _min_field_size(message: Message, each: Field, version: int) -> int:
    compact = version in message.flexible and version not in each.inflexible
    if each.type.is_array:
        return 1 if compact else 4
    if each.struct is not None:
        return 1 if version in each.nullable else min_size(message, each.struct, version)
    if each.type.element in FIXED_SIZES:
        return FIXED_SIZES[each.type.element]
    if compact:
        return 1
    return 2 if each.type.element == "string" else 4


def min_element_size(message: Message, each: Field, version: int) -> int:
    """The fewest bytes that one element of an array takes."""
    compact = version in message.flexible and version not in each.inflexible
    if each.struct is not None:
        return min_size(message, each.struct, version)
    if each.type.element in FIXED_SIZES:
        return FIXED_SIZES[each.type.element]
    if compact:
        return 1
    return 2 if each.type.element == "string" else 4


def has_records(struct: Struct) -> bool:
    """Whether a struct carries record sets."""
    return any(
        each.type.element == "records" or (each.struct is not None and has_records(each.struct))
        for each in struct.fields
    )
