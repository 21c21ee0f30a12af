"""Straight-line encode functions, one a wire shape.

Pieces of bytes go to `out`, which the caller joins; record sets go there as they are, and their
places to `cuts`. A field that the version lacks must hold its default unless it is ignorable.
"""

from codegen.class_source import not_default_source
from codegen.field_type import FIXED_FORMATS
from codegen.function_source import ARRAY_WORDS, FunctionSource
from codegen.model import NULL_DEFAULT
from codegen.module_source import ModuleSource, has_records, is_optional
from codegen.names import snake_case
from codegen.resolved import Field, Message, Struct
from codegen.spec_error import SpecError
from datacore.wire.arrays import READY

_WIRE = "datacore.wire"


def encode_function(module: ModuleSource, message: Message, version: int) -> str:
    """Add the function that writes one version of a message; its name."""
    source = _EncodeSource(module, message, version)
    source.struct(message.root, "m")
    source.flush()
    name = f"_encode_{snake_case(message.name)}_{version}"
    parameters = f"m: {module.class_name(message, message.root)}, out: list[Buffer]"
    if has_records(message.root):
        parameters += ", cuts: list[int]"
    module.use(f"{_WIRE}.buffer", "Buffer")
    return module.function(name, parameters, "None", source.lines or ["pass"])


class _EncodeSource(FunctionSource):
    out = "out"

    def struct(self, struct: Struct, owner: str) -> None:
        """Write all of `owner`."""
        for each in struct.fields:
            if self.version not in each.versions and not each.ignorable:
                self._refuse(struct, each, owner)
        for each in struct.fields:
            if self.version in each.versions and self.version not in each.tagged:
                self._field(struct, each, owner)
        if self.flexible:
            self._tags(struct, owner)
        elif self.message.flexible:
            self.module.use(f"{_WIRE}.errors", "absent_field")
            with self.guard(f"{owner}.unknown_tagged_fields"):
                self.line(f'raise absent_field("{struct.name}.unknown_tagged_fields")')

    def _refuse(self, struct: Struct, each: Field, owner: str) -> None:
        value = f"{owner}.{snake_case(each.spec_name)}"
        self.module.use(f"{_WIRE}.errors", "absent_field")
        condition = not_default_source(self.module, self.message, each, value)
        with self.guard(condition):
            self.line(f"raise absent_field({self.label(struct, each)})")

    def piece(self, source: str) -> None:
        """Write bytes."""
        self.line(f"{self.out}.append({source})")

    def flush(self) -> None:
        if self.run:
            codes = [code for code, _ in self.run]
            values = ", ".join(value for _, value in self.run)
            self.run = []
            self.piece(f"{self.module.layout('pack', codes)}({values})")

    def _single_byte(self) -> str:
        self.module.use(f"{_WIRE}.varint", "SINGLE_BYTE")
        return "SINGLE_BYTE[n]"

    def _varint(self, long_form: str) -> None:
        """Write `n` as a varint, together with the run before it when it is one byte."""
        if not self.run:
            self.piece(f"{self._single_byte()} if n < 128 else {long_form}")
            return
        run = self.run
        with self.block("if n < 128:"):
            self.run = [*run, ("B", "n")]
        with self.block("else:"):
            self.run = run
            self.flush()
            self.piece(long_form)

    def _field(self, struct: Struct, each: Field, owner: str) -> None:
        value = f"{owner}.{snake_case(each.spec_name)}"
        if each.type.fixed_format is not None:
            self.run.append((each.type.fixed_format, value))
            return
        if not is_optional(each):
            self._present(struct, each, value)
            return
        local = self.variable(each.spec_name)
        self.line(f"{local} = {value}")
        if self.version in each.nullable:
            self.flush()
            with self.block(f"if {local} is None:"):
                self.piece(self._null(each))
            with self.block("else:"):
                self._present(struct, each, local)
            return
        self.module.use(f"{_WIRE}.errors", "null_value")
        with self.guard(f"{local} is None"):
            self.line(f"raise null_value({self.label(struct, each)})")
        self._present(struct, each, local)

    def _tagged_value(self, struct: Struct, each: Field, value: str) -> None:
        """Write a field that is known to differ from its default."""
        if each.default == NULL_DEFAULT and is_optional(each):
            self._present(struct, each, value)
        else:
            self._field(struct, each, "m")

    def _null(self, each: Field) -> str:
        if each.type.is_struct:
            return r'b"\0"' if self.version in each.tagged else r'b"\xff"'
        if self.is_compact(each):
            return r'b"\0"'
        width = 2 if each.type.element == "string" and not each.type.is_array else 4
        return 'b"' + r"\xff" * width + '"'

    def _present(self, struct: Struct, each: Field, value: str) -> None:
        """Write what is not null."""
        if each.type.is_array:
            self._array(struct, each, value)
        elif each.struct is not None:
            local = self.variable(each.struct.name)
            self.line(f"{local} = {value}")
            if self.version in each.nullable:
                self.run.append(("b", "1"))
            self.struct(each.struct, local)
        else:
            self._bytes(struct, each, value)

    def _bytes(self, struct: Struct, each: Field, value: str) -> None:
        is_string = each.type.element == "string"
        if is_string:
            self.line(f"s = {value}.encode()")
            value = "s"
        elif not value.isidentifier():
            local = self.variable(each.spec_name)
            self.line(f"{local} = {value}")
            value = local
        if self.is_compact(each):
            self.line(f"n = len({value}) + 1")
            if is_string:
                self.module.use(f"{_WIRE}.strings", "string_prefix")
                self._varint(f"string_prefix(n, {self.label(struct, each)})")
            else:
                self.module.use(f"{_WIRE}.varint", "uvarint")
                self._varint("uvarint(n)")
        else:
            self.run.append(("h" if is_string else "i", f"len({value})"))
            self.flush()
        if each.type.element == "records":
            if self.out != "out":
                raise SpecError(self.message.file, struct.name, "records in a tagged field")
            self.line("cuts.append(len(out))")
        self.piece(value)

    def _array(self, struct: Struct, each: Field, value: str) -> None:
        if not value.isidentifier():
            local = self.variable(each.spec_name)
            self.line(f"{local} = {value}")
            value = local
        element = each.type.element
        if self.is_compact(each) and element in FIXED_FORMATS:
            self._compact_fixed_array(element, value)
            return
        if self.is_compact(each):
            self.module.use(f"{_WIRE}.varint", "uvarint")
            self.line(f"n = len({value}) + 1")
            self._varint("uvarint(n)")
        else:
            self.run.append(("i", f"len({value})"))
            self.flush()
        if each.struct is not None and self.is_shared(each.struct):
            cuts = ", cuts" if has_records(each.struct) else ""
            self.line(f"{self._elements_function(each.struct)}({value}, {self.out}{cuts})")
        elif each.struct is not None:
            self._loop(each.struct, value)
        elif element in FIXED_FORMATS:
            writer = f"write_{ARRAY_WORDS[element]}"
            self.module.use(f"{_WIRE}.arrays", writer)
            self.piece(f"{writer}({value})")
        else:
            self._variable_elements(struct, each, value)

    def _compact_fixed_array(self, element: str, value: str) -> None:
        """Short ones with a layout that is ready, length and all."""
        word = ARRAY_WORDS[element]
        self.module.use(f"{_WIRE}.arrays", f"COMPACT_{word.upper()}", f"write_{word}")
        self.module.use(f"{_WIRE}.varint", "uvarint")
        self.flush()
        self.line(f"n = len({value}) + 1")
        with self.block(f"if n <= {READY}:"):
            self.piece(f"COMPACT_{word.upper()}[n](n, *{value})")
        with self.block("else:"):
            self.piece("uvarint(n)")
            self.piece(f"write_{word}({value})")

    def _loop(self, struct: Struct, items: str) -> None:
        item = self.variable(struct.name)
        with self.block(f"for {item} in {items}:"):
            before = len(self.lines)
            self.struct(struct, item)
            if len(self.lines) == before and not self.run:
                self.line("pass")

    def _elements_function(self, struct: Struct) -> str:
        """Add the function that writes all elements."""
        source = _EncodeSource(self.module, self.message, self.version)
        source._loop(struct, "items")
        class_name = self.module.class_name(self.message, struct)
        parameters = f"items: list[{class_name}], out: list[Buffer]"
        if has_records(struct):
            parameters += ", cuts: list[int]"
        name = f"_encode_each_{snake_case(class_name)}_{self.version}"
        return self.module.function(name, parameters, "None", source.lines)

    def _variable_elements(self, struct: Struct, each: Field, value: str) -> None:
        is_string = each.type.element == "string"
        form = "compact_" if self.is_compact(each) else ""
        writer = f"write_{form}{'strings' if is_string else 'byte_strings'}"
        self.module.use(f"{_WIRE}.strings", writer)
        label = f", {self.label(struct, each)}" if is_string and form else ""
        self.line(f"{writer}({self.out}, {value}{label})")

    def _tags(self, struct: Struct, owner: str) -> None:
        self.flush()
        known = self.known_tags(struct)
        conditions = [
            not_default_source(
                self.module, self.message, each, f"{owner}.{snake_case(each.spec_name)}"
            )
            for each in known
        ]
        conditions.append(f"{owner}.unknown_tagged_fields")
        with self.block(f"if {' or '.join(conditions)}:"):
            if known:
                self.line(f"{self._tags_function(struct, known)}({owner}, {self.out})")
            else:
                self.module.use(f"{_WIRE}.tagged_fields", "write_tags")
                self.line(f"write_tags({self.out}, {owner}.unknown_tagged_fields)")
        with self.block("else:"):
            self.piece(r'b"\0"')

    def _tags_function(self, struct: Struct, known: list[Field]) -> str:
        """Add the function that writes the tagged section of a struct."""
        source = _EncodeSource(self.module, self.message, self.version)
        source.out = "field"
        self.module.use(f"{_WIRE}.tagged_fields", "write_tags")
        source.line("fields = [*m.unknown_tagged_fields]")
        for each in known:
            value = f"m.{snake_case(each.spec_name)}"
            condition = not_default_source(self.module, self.message, each, value)
            with source.block(f"if {condition}:"):
                local = source.variable("field")
                source.out = local
                source.line(f"{local}: list[Buffer] = []")
                source._tagged_value(struct, each, value)
                source.flush()
                source.line(f'fields.append(({each.tag}, b"".join({local})))')
        source.line("write_tags(out, fields)")
        class_name = self.module.class_name(self.message, struct)
        name = f"_encode_{snake_case(class_name)}_tags_{self.version}"
        return self.module.function(
            name, f"m: {class_name}, out: list[Buffer]", "None", source.lines
        )
