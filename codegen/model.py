"""Pydantic models of one spec file in its normal form (specs/README.md).

An unknown key, type, version syntax or default stops both programs with file, path and reason:
what is not understood is never skipped. Kafka's counterparts are MessageSpec, StructSpec and
FieldSpec of org.apache.kafka.message.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from codegen.field_type import INTEGER_RANGES, FieldType
from codegen.spec_error import SpecError
from codegen.versions import NONE, Versions

VersionsField = Annotated[Versions, PlainValidator(Versions.parse), PlainSerializer(str)]
TypeField = Annotated[FieldType, PlainValidator(FieldType.parse), PlainSerializer(str)]

MessageKind = Literal[
    "request", "response", "header", "data", "metadata", "coordinator-key", "coordinator-value"
]
EntityType = Literal["brokerId", "groupId", "producerId", "topicName", "transactionalId"]
Listener = Literal["zkBroker", "broker", "controller"]
Default = StrictBool | StrictInt | StrictStr

NULL_DEFAULT: Final = "null"
"""How a spec says that a field is null unless set; a bare JSON null says nothing at all."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class FieldSpec(_Model):
    """One field of a message or struct."""

    name: StrictStr
    type: TypeField
    versions: VersionsField
    nullable_versions: VersionsField = NONE
    tagged_versions: VersionsField = NONE
    flexible_versions: VersionsField | None = None
    tag: StrictInt | None = None
    default: Default | None = None
    ignorable: StrictBool = False
    map_key: StrictBool = False
    entity_type: EntityType | None = None
    zero_copy: StrictBool = False
    fields: tuple["FieldSpec", ...] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "FieldSpec":
        if (self.tag is None) != (self.tagged_versions == NONE):
            raise ValueError("tag and taggedVersions belong together")
        if self.tag is not None and self.tag < 0:
            raise ValueError(f"negative tag {self.tag}")
        if self.nullable_versions != NONE and not self.type.may_be_null:
            raise ValueError(f"type {self.type} cannot be null")
        if self.fields is not None and not self.type.is_struct_element:
            raise ValueError(f"type {self.type} has no fields")
        if self.zero_copy and self.type.element != "bytes":
            raise ValueError(f"zeroCopy is for bytes, not for {self.type}")
        self._check_default()
        return self

    def _check_default(self) -> None:
        default, element = self.default, self.type.element
        if default is None:
            return
        wrong = ValueError(f"default {default!r} is no {self.type}")
        if default == NULL_DEFAULT and self.nullable_versions != NONE:
            return
        if self.type.is_array or self.type.is_struct_element:
            raise wrong
        if element in INTEGER_RANGES:
            low, high = INTEGER_RANGES[element]
            if isinstance(default, bool) or not isinstance(default, int):
                raise wrong
            if not low <= default <= high:
                raise wrong
        elif element == "bool":
            if not isinstance(default, bool):
                raise wrong
        elif element != "string" or not isinstance(default, str):
            raise wrong


class StructSpec(_Model):
    """A struct that several fields of one message share."""

    name: StrictStr
    versions: VersionsField
    fields: tuple[FieldSpec, ...]


class MessageSpec(_Model):
    """One spec file."""

    name: StrictStr
    type: MessageKind
    api_key: StrictInt | None = None
    valid_versions: VersionsField
    flexible_versions: VersionsField = NONE
    listeners: tuple[Listener, ...] = ()
    latest_version_unstable: StrictBool = False
    fields: tuple[FieldSpec, ...] = ()
    common_structs: tuple[StructSpec, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> "MessageSpec":
        if (self.api_key is None) != (self.type in ("header", "data")):
            raise ValueError(f"apiKey is for messages that are sent or logged, this is {self.type}")
        for field in _all_fields(self):
            if field.tag is not None and field.tagged_versions.low < self.flexible_versions.low:
                raise ValueError(f"{field.name} is tagged in versions that are not flexible")
        return self


def _all_fields(message: MessageSpec) -> Iterator[FieldSpec]:
    queue = [*message.fields, *(field for each in message.common_structs for field in each.fields)]
    while queue:
        field = queue.pop()
        yield field
        queue.extend(field.fields or ())


def parse_message(document: object, file: Path | str) -> MessageSpec:
    """Check a spec that was read from `file`.

    Raises:
        SpecError: With the first thing that is wrong.
    """
    try:
        return MessageSpec.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = _named_path(document, first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "unknown key"
        raise SpecError(file, path, reason) from error


def read_message(file: Path) -> MessageSpec:
    """Read one normal-form spec.

    Raises:
        SpecError: It is not JSON, or not a spec.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(file, "", f"not JSON: {error}") from error
    return parse_message(document, file)


def _named_path(document: object, location: tuple[int | str, ...]) -> str:
    """`fields.0.type` says little: put the fields' names where their places stand."""
    parts: list[str] = []
    node: object = document
    for step in location:
        if isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
            name = node.get("name") if isinstance(node, dict) else None
            parts.append(name if isinstance(name, str) else str(step))
        else:
            node = node.get(step) if isinstance(node, dict) else None
            parts.append(str(step))
    return ".".join(parts)
