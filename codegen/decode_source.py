"""Straight-line decode functions, one a wire shape.

Position and bounds: `at` moves over `data`, whose end is `size`. Fixed-width reads raise behind
the end by themselves; a slice that reaches behind it is cut short and leaves `at` behind the end,
which the next read or the caller's last check refuses; counts are checked before anything is made.
"""

from codegen.class_source import default_source
from codegen.field_type import FIXED_FORMATS, FIXED_SIZES
from codegen.function_source import ARRAY_WORDS, FunctionSource
from codegen.module_source import ModuleSource, has_records, min_element_size
from codegen.names import snake_case
from codegen.resolved import Field, Message, Struct
from datacore.wire.arrays import READY

_WIRE = "datacore.wire"


def decode_function(module: ModuleSource, message: Message, version: int) -> str:
    """Add the function that reads one version of a message; its name."""
    source = _DecodeSource(module, message, version)
    root = source.new_struct(message.root, "m")
    source.struct(message.root, root)
    source.flush()
    source.line(f"return {root}, at")
    name = f"_decode_{snake_case(message.name)}_{version}"
    class_name = module.class_name(message, message.root)
    result = f"tuple[{class_name}, int]"
    return module.function(
        name, f"data: {source.data_type}, at: int", result, source.body(with_size=True)
    )


class _DecodeSource(FunctionSource):
    def __init__(self, module: ModuleSource, message: Message, version: int) -> None:
        super().__init__(module, message, version)
        self._has_records = has_records(message.root)
        self._uses_size = False
        self._uses_view = False
        self.data_type = "Buffer" if self._has_records else "bytes"
        if self._has_records:
            module.use(f"{_WIRE}.buffer", "Buffer")

    def body(self, *, with_size: bool = False) -> list[str]:
        """The finished lines, behind those that set up what they use."""
        first = ["size = len(data)"] if with_size and self._uses_size else []
        if self._uses_view:
            first.append("view = data if type(data) is memoryview else memoryview(data)")
        return first + self.lines

    def new_struct(self, struct: Struct, variable: str) -> str:
        """Make an object for a struct; its variable."""
        self.module.use(f"{_WIRE}.message", "new")
        self.line(f"{variable} = new({self.module.class_name(self.message, struct)})")
        return variable

    def struct(self, struct: Struct, owner: str) -> None:
        """Fill all slots of `owner`."""
        self._defaults(struct, owner)
        for each in struct.fields:
            if self.version in each.versions and self.version not in each.tagged:
                self._field(struct, each, owner)
        if self.flexible:
            self._tags(struct, owner)
        elif self.message.flexible:
            self.line(f"{owner}.unknown_tagged_fields = ()")

    def _defaults(self, struct: Struct, owner: str) -> None:
        same: dict[str, list[str]] = {}
        for each in struct.fields:
            if self.version not in each.versions or self.version in each.tagged:
                value = default_source(self.module, self.message, each)
                target = f"{owner}.{snake_case(each.spec_name)}"
                if value == "[]" or value.endswith("()"):
                    self.line(f"{target} = {value}")
                else:
                    same.setdefault(value, []).append(target)
        for value, targets in same.items():
            self.line(f"{' = '.join(targets)} = {value}")

    def flush(self) -> None:
        if not self.run:
            return
        codes = [code for code, _ in self.run]
        targets = [target for _, target in self.run]
        self.run = []
        if codes == ["B"]:
            self.line(f"{targets[0]} = data[at]")
        else:
            layout = self.module.layout("unpack", codes)
            left = ", ".join(targets) if len(targets) > 1 else f"({targets[0]},)"
            self.line(f"{left} = {layout}(data, at)")
        self.line(f"at += {self.run_size(codes)}")

    def _head(self, code: str) -> None:
        """Read the number that leads a field into `n`, together with the run before it."""
        self.run.append((code, "n"))
        self.flush()

    def _long_varint(self) -> None:
        """`n` is the first byte of a varint: read on if it is not the last."""
        self.module.use(f"{_WIRE}.varint", "read_uvarint")
        with self.block("if n > 127:"):
            self.line("n, at = read_uvarint(data, at - 1)")

    def _field(self, struct: Struct, each: Field, owner: str) -> None:
        target = f"{owner}.{snake_case(each.spec_name)}"
        if each.type.fixed_format is not None:
            self.run.append((each.type.fixed_format, target))
        elif each.type.is_array:
            self._array(struct, each, target)
        elif each.struct is not None:
            self._nested(each, each.struct, target)
        else:
            self._bytes(struct, each, target)

    def _nested(self, each: Field, struct: Struct, target: str) -> None:
        variable = self.variable(struct.name)
        if self.version not in each.nullable:
            self.new_struct(struct, variable)
            self.line(f"{target} = {variable}")
            self.struct(struct, variable)
            return
        if self.version in each.tagged:
            self._head("B")
            self._long_varint()
            null = "n == 0"
        else:
            self._head("b")
            null = "n < 0"
        with self.block(f"if {null}:"):
            self.line(f"{target} = None")
        with self.block("else:"):
            self.new_struct(struct, variable)
            self.line(f"{target} = {variable}")
            self.struct(struct, variable)

    def _bytes(self, struct: Struct, each: Field, target: str) -> None:
        """Strings, bytes and records: a length and so many bytes."""
        is_string = each.type.element == "string"
        nullable = self.version in each.nullable
        label = self.label(struct, each)
        compact = self.is_compact(each)
        reader = "string_length" if is_string else "bytes_length"
        if compact:
            self._head("B")
        else:
            self._head("h" if is_string else "i")
        if nullable:
            with self.block("if n == 0:" if compact else "if n < 0:"):
                self.line(f"{target} = None")
            with self.block("else:"):
                if compact and is_string:
                    self.module.use(f"{_WIRE}.strings", reader)
                    with self.block("if n > 127:"):
                        self.line(f"n, at = {reader}(data, at - 1, {label})")
                elif compact:
                    self._long_length()
                self._slice(each, target, "n - 1" if compact else "n")
            return
        if compact:
            self.module.use(f"{_WIRE}.strings", reader)
            with self.block("if not 0 < n < 128:"):
                self.line(f"n, at = {reader}(data, at - 1, {label})")
        else:
            self.module.use(f"{_WIRE}.errors", "null_field")
            with self.block("if n < 0:"):
                self.line(f"raise null_field({label})")
        self._slice(each, target, "n - 1" if compact else "n")

    def _long_length(self) -> None:
        """Like `_long_varint`, for bytes, whose lengths often take two bytes: those are inline."""
        self.module.use(f"{_WIRE}.varint", "read_uvarint")
        with self.block("if n > 127:"):
            self.line("n = n & 127 | data[at] << 7")
            self.line("at += 1")
            with self.block("if n > 16383:"):
                self.line("n, at = read_uvarint(data, at - 2)")

    def _slice(self, each: Field, target: str, length: str) -> None:
        self.line(f"end = at + {length}")
        value = "data[at:end]"
        if each.type.element == "records":
            value = "view[at:end]"
            self._uses_view = True
        elif each.type.element == "string":
            value = f'str({value}, "utf-8")' if self._has_records else f"{value}.decode()"
        elif self._has_records:
            value = f"bytes({value})"
        self.line(f"{target} = {value}")
        self.line("at = end")

    def _fixed_array(self, struct: Struct, each: Field, target: str) -> None:
        """Short ones with a layout that is ready: it checks the bounds itself."""
        element = each.type.element
        size = FIXED_SIZES[element]
        word = ARRAY_WORDS[element]
        compact = self.is_compact(each)
        self._head("B" if compact else "i")
        start = "if"
        if self.version in each.nullable:
            with self.block("if n == 0:" if compact else "if n < 0:"):
                self.line(f"{target} = None")
            start = "elif"
        low, count = ("0 < n <=", "n - 1") if compact else ("0 <= n <", "n")
        with self.block(f"{start} {low} {READY}:"):
            self.module.use(f"{_WIRE}.arrays", word.upper())
            self.line(f"{target} = [*{word.upper()}[{count}](data, at)]")
            times = "n" if size == 1 else f"n * {size}"
            self.line(f"at += {times}{f' - {size}' if compact else ''}")
        with self.block("else:"):
            if compact:
                self.module.use(f"{_WIRE}.varint", "read_uvarint")
                self.line("n, at = read_uvarint(data, at - 1)")
            self.module.use(f"{_WIRE}.arrays", f"read_{word}")
            label = self.label(struct, each)
            self.line(f"{target}, at = read_{word}(data, at, {count}, {label})")

    def _array(self, struct: Struct, each: Field, target: str) -> None:
        if each.type.element in FIXED_FORMATS:
            self._fixed_array(struct, each, target)
            return
        compact = self.is_compact(each)
        self._head("B" if compact else "i")
        if self.version in each.nullable:
            with self.block("if n == 0:" if compact else "if n < 0:"):
                self.line(f"{target} = None")
            with self.block("else:"):
                self._counted(struct, each, target)
        else:
            self._counted(struct, each, target)

    def _counted(self, struct: Struct, each: Field, target: str) -> None:
        """Check the count that `n` has, and read so many elements."""
        element_size = min_element_size(self.message, each, self.version)
        times = "" if element_size == 1 else f" * {element_size}"
        self.module.use(f"{_WIRE}.errors", "bad_count")
        self._uses_size = True
        if self.is_compact(each):
            self._long_varint()
            self.line("n -= 1")
        with self.block(f"if not 0 <= n{times} <= size - at:"):
            self.line(f"raise bad_count({self.label(struct, each)}, n, size - at)")
        self._elements(struct, each, target)

    def _elements(self, struct: Struct, each: Field, target: str) -> None:
        element = each.type.element
        if each.struct is not None and self.is_shared(each.struct):
            name = self._elements_function(each.struct)
            self.line(f"{target}, at = {name}(data, at, size, n)")
        elif each.struct is not None:
            items = self.variable(each.spec_name)
            self._loop(each.struct, items, f"{target} = {items}")
        else:
            form = "compact_" if self.is_compact(each) else ""
            word = "strings" if element == "string" else "byte_strings"
            reader = f"read_{form}{word}"
            self.module.use(f"{_WIRE}.strings", reader)
            self.line(f"{target}, at = {reader}(data, at, n, {self.label(struct, each)})")

    def _loop(self, struct: Struct, items: str, *then: str) -> None:
        class_name = self.module.class_name(self.message, struct)
        self.line(f"{items}: list[{class_name}] = []")
        for line in then:
            self.line(line)
        with self.block("for _ in range(n):"):
            item = self.new_struct(struct, self.variable(struct.name))
            self.line(f"{items}.append({item})")
            self.struct(struct, item)

    def _elements_function(self, struct: Struct) -> str:
        """Add the function that reads `n` elements."""
        source = _DecodeSource(self.module, self.message, self.version)
        source._loop(struct, "items")
        source.line("return items, at")
        class_name = self.module.class_name(self.message, struct)
        return self.module.function(
            f"_decode_each_{snake_case(class_name)}_{self.version}",
            f"data: {source.data_type}, at: int, size: int, n: int",
            f"tuple[list[{class_name}], int]",
            source.body(),
        )

    def _tags(self, struct: Struct, owner: str) -> None:
        known = self.known_tags(struct)
        fused = bool(self.run)
        if fused:
            self._head("B")
        count, start = ("n", "at - 1") if fused else ("data[at]", "at")
        with self.block(f"if {count}:"):
            self._uses_size = True
            if known:
                name = self._tags_function(struct, known)
                self.line(f"at = {name}({owner}, data, {start}, size)")
            else:
                self.module.use(f"{_WIRE}.tagged_fields", "read_unknown_tags")
                self.line(
                    f"{owner}.unknown_tagged_fields, at = read_unknown_tags(data, {start}, size)"
                )
        with self.block("else:"):
            if not fused:
                self.line("at += 1")
            self.line(f"{owner}.unknown_tagged_fields = ()")

    def _tags_function(self, struct: Struct, known: list[Field]) -> str:
        """Add the function that reads the tagged section of a struct, from its count on."""
        source = _DecodeSource(self.module, self.message, self.version)
        self.module.use(f"{_WIRE}.varint", "read_uvarint")
        self.module.use(f"{_WIRE}.tagged_fields", "read_tag")
        self.module.use(f"{_WIRE}.errors", "bad_count", "tag_overrun")
        label = f'"{struct.name}.unknown_tagged_fields"'
        source.line("unknown: list[tuple[int, bytes]] = []")
        source.line("count, at = read_uvarint(data, at)")
        with source.block("if count * 2 > size - at:"):
            source.line(f"raise bad_count({label}, count, size - at)")
        with source.block("for _ in range(count):"):
            source.line("tag, at, end_of_tag = read_tag(data, at, size)")
            word = "if"
            for each in known:
                with source.block(f"{word} tag == {each.tag}:"):
                    source._field(struct, each, "m")
                    source.flush()
                    with source.block("if at != end_of_tag:"):
                        source.line(f"raise tag_overrun({self.label(struct, each)})")
                word = "elif"
            with source.block("else:"):
                source.line("unknown.append((tag, bytes(data[at:end_of_tag])))")
                source.line("at = end_of_tag")
        source.line("m.unknown_tagged_fields = tuple(unknown)")
        source.line("return at")
        class_name = self.module.class_name(self.message, struct)
        name = f"_decode_{snake_case(class_name)}_tags_{self.version}"
        parameters = f"m: {class_name}, data: {self.data_type}, at: int, size: int"
        return self.module.function(name, parameters, "int", source.body())
