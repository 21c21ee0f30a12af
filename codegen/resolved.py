"""A message as the generator works with it: every version range cut to single, valid versions.

Specs of one release resolve to this, specs of several releases are merged in this form
(codegen/merge.py), and the emitters read nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from codegen.field_type import FieldType
from codegen.model import FieldSpec, MessageKind, MessageSpec
from codegen.spec_error import SpecError
from codegen.versions import Versions

VersionSet = frozenset[int]


@dataclass(frozen=True, slots=True)
class Field:
    """One field, with the versions in which each thing about it holds."""

    spec_name: str
    type: FieldType
    versions: VersionSet
    nullable: VersionSet
    tagged: VersionSet
    inflexible: VersionSet
    """Versions in which the field keeps the old form though its message is flexible."""
    tag: int | None
    default: bool | int | str | None
    ignorable: bool
    struct: "Struct | None"


@dataclass(frozen=True, slots=True)
class Struct:
    """A named struct of one message; the message itself is one too."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message over all versions that its specs describe."""

    name: str
    kind: MessageKind
    api_key: int | None
    origin: str
    """Folder below specs/<release>/ that it came from."""
    versions: VersionSet
    flexible: VersionSet
    latest_version_unstable: bool
    root: Struct
    file: Path = field(compare=False)

    @property
    def min_version(self) -> int:
        """The lowest version that the specs describe."""
        return min(self.versions)

    @property
    def max_version(self) -> int:
        """The highest version that the specs describe."""
        return max(self.versions)

    def structs(self) -> Iterator[Struct]:
        """Every struct once, each behind those that it holds; the message itself comes last."""
        seen: set[str] = set()

        def walk(struct: Struct) -> Iterator[Struct]:
            for each in struct.fields:
                if each.struct is not None:
                    yield from walk(each.struct)
            if struct.name not in seen:
                seen.add(struct.name)
                yield struct

        yield from walk(self.root)


def resolve(spec: MessageSpec, origin: str, file: Path) -> Message | None:
    """Cut a spec to single versions; None if it has none (4.x keeps files of removed APIs).

    Raises:
        SpecError: A struct is unknown, defined twice, or holds itself.
    """
    valid = spec.valid_versions
    versions = valid.within(valid)
    if not versions:
        return None
    resolver = _Resolver(spec, valid, file)
    return Message(
        name=spec.name,
        kind=spec.type,
        api_key=spec.api_key,
        origin=origin,
        versions=versions,
        flexible=spec.flexible_versions.within(valid),
        latest_version_unstable=spec.latest_version_unstable,
        root=Struct(spec.name, resolver.fields(spec.fields, versions, ())),
        file=file,
    )


class _Resolver:
    def __init__(self, spec: MessageSpec, valid: Versions, file: Path) -> None:
        self._valid = valid
        self._flexible = spec.flexible_versions.within(valid)
        self._file = file
        self._common = {each.name: each for each in spec.common_structs}
        self._inline: dict[str, str] = {}

    def fields(
        self, specs: tuple[FieldSpec, ...], present: VersionSet, path: tuple[str, ...]
    ) -> tuple[Field, ...]:
        names = [each.name for each in specs]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(self._file, ".".join((*path, name)), "field is there twice")
        return tuple(self._field(each, present, (*path, each.name)) for each in specs)

    def _field(self, spec: FieldSpec, present: VersionSet, path: tuple[str, ...]) -> Field:
        versions = spec.versions.within(self._valid) & present
        inflexible: VersionSet = frozenset()
        if spec.flexible_versions is not None:
            inflexible = self._flexible - spec.flexible_versions.within(self._valid)
        return Field(
            spec_name=spec.name,
            type=spec.type,
            versions=versions,
            nullable=spec.nullable_versions.within(self._valid) & versions,
            tagged=spec.tagged_versions.within(self._valid) & versions,
            inflexible=inflexible & versions,
            tag=spec.tag,
            default=spec.default,
            ignorable=spec.ignorable,
            struct=self._struct(spec, versions, path) if spec.type.is_struct_element else None,
        )

    def _struct(self, spec: FieldSpec, present: VersionSet, path: tuple[str, ...]) -> Struct:
        name = spec.type.element
        if len(path) > 20:
            raise SpecError(self._file, ".".join(path), f"struct {name} holds itself")
        if spec.fields is None:
            common = self._common.get(name)
            if common is None:
                raise SpecError(self._file, ".".join(path), f"unknown type: {name!r}")
            # Shared by several fields: its own versions count, not those of one of its uses.
            return Struct(name, self.fields(common.fields, self._valid.within(self._valid), path))
        owner = self._inline.setdefault(name, ".".join(path))
        if owner != ".".join(path) or name in self._common:
            raise SpecError(self._file, ".".join(path), f"struct {name} is defined twice")
        return Struct(name, self.fields(spec.fields, present, path))


def renamed(struct: Struct, names: dict[str, str]) -> Struct:
    """The same struct with other class names, all the way down."""
    return Struct(
        names.get(struct.name, struct.name),
        tuple(
            each if each.struct is None else replace(each, struct=renamed(each.struct, names))
            for each in struct.fields
        ),
    )
