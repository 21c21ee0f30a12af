"""Specs of several releases into one message for all versions.

Rules: each version comes from the newest release that describes it. On versions that both
describe, type, presence, nullability, tag and default must agree, but for tagged fields that a
newer release added to a version (no client is hurt by a tag that it does not know). Every other
difference is an error unless codegen/resolutions.py has it.
"""

from dataclasses import replace
from pathlib import Path

from codegen.model import read_message
from codegen.resolutions import IGNORABLE, NEWEST_ONLY, NEWEST_SHAPE, RENAMED
from codegen.resolved import Field, Message, Struct, VersionSet, resolve
from codegen.spec_error import SpecError


def load_messages(specs: Path) -> list[Message]:
    """Read every release below `specs`, oldest first, and merge them; sorted by name."""
    merged: dict[str, Message] = {}
    releases = [each for each in specs.iterdir() if each.is_dir()]
    for release in sorted(releases, key=release_order):
        for file in sorted(release.rglob("*.json")):
            origin = file.parent.relative_to(release).as_posix()
            message = resolve(read_message(file), origin, file)
            if message is not None:
                older = merged.get(message.name)
                merged[message.name] = message if older is None else merge(older, message)
    return [merged[name] for name in sorted(merged)]


def release_order(release: Path) -> tuple[int, ...]:
    """Sort key of a release's folder: 3.9.1 is older than 3.10.0."""
    try:
        return tuple(int(part) for part in release.name.split("."))
    except ValueError:
        raise SpecError(release, "", "folder name is no release") from None


def merge(older: Message, newer: Message) -> Message:
    """One message for the versions of both.

    Raises:
        SpecError: They disagree, and codegen/resolutions.py does not say what then.
    """
    if older.name in NEWEST_SHAPE and older.versions <= newer.versions:
        return newer
    if (older.kind, older.api_key, older.origin) != (newer.kind, newer.api_key, newer.origin):
        raise SpecError(newer.file, "", "another kind, key or folder than in the older release")
    shared = older.versions & newer.versions
    if older.flexible & shared != newer.flexible & shared:
        raise _conflict(newer, (), "flexibleVersions", shared)
    versions = older.versions | newer.versions
    if len(versions) != max(versions) - min(versions) + 1:
        raise SpecError(newer.file, "validVersions", f"a gap between the releases: {versions}")
    merger = _Merger(newer, older.versions - newer.versions, shared)
    return replace(
        newer,
        versions=versions,
        flexible=older.flexible | newer.flexible,
        root=merger.struct(older.root, newer.root, (newer.name,)),
    )


def adds_nothing(older: Message, newer: Message | None) -> bool:
    """Whether the older spec is not needed: the newer one describes all its versions.

    Raises:
        SpecError: They disagree on a version that both describe.
    """
    if older.origin in NEWEST_ONLY or older.name in RENAMED:
        return True
    if newer is None:
        return False
    merge(older, newer)
    return older.versions <= newer.versions


def _conflict(
    message: Message, path: tuple[str, ...], what: str, versions: VersionSet
) -> SpecError:
    where = ".".join(path[1:])
    return SpecError(
        message.file, where, f"{what} differs from the older release in {sorted(versions)}"
    )


class _Merger:
    def __init__(self, newer: Message, only_older: VersionSet, shared: VersionSet) -> None:
        self._message = newer
        self._only_older = only_older
        self._shared = shared

    def struct(self, older: Struct, newer: Struct, path: tuple[str, ...]) -> Struct:
        if older.name != newer.name:
            raise _conflict(self._message, path, "struct name", self._shared)
        old = {each.spec_name: each for each in older.fields}
        new = {each.spec_name: each for each in newer.fields}
        common_old = [name for name in old if name in new]
        common_new = [name for name in new if name in old]
        if common_old != common_new:
            raise _conflict(self._message, path, "order of fields", self._shared)
        fields: list[Field] = []
        place = 0
        new_fields = list(newer.fields)
        for each in older.fields:
            if each.spec_name in new:
                while new_fields[place].spec_name != each.spec_name:
                    fields.append(self._only_in_newer(new_fields[place], path))
                    place += 1
                fields.append(self._both(each, new_fields[place], (*path, each.spec_name)))
                place += 1
            else:
                fields.append(self._only_in_older(each, (*path, each.spec_name)))
        fields.extend(self._only_in_newer(each, path) for each in new_fields[place:])
        return Struct(newer.name, tuple(fields))

    def _only_in_older(self, field: Field, path: tuple[str, ...]) -> Field:
        if field.versions & self._shared:
            raise _conflict(self._message, path, "presence", field.versions & self._shared)
        return field

    def _only_in_newer(self, field: Field, path: tuple[str, ...]) -> Field:
        untagged = (field.versions - field.tagged) & self._shared
        if untagged:
            raise _conflict(self._message, (*path, field.spec_name), "presence", untagged)
        return field

    def _both(self, older: Field, newer: Field, path: tuple[str, ...]) -> Field:
        for what in ("type", "tag", "default"):
            if getattr(older, what) != getattr(newer, what):
                raise _conflict(self._message, path, what, self._shared)
        ignorable = newer.ignorable
        if older.ignorable != newer.ignorable:
            name = ".".join(path)
            if name not in IGNORABLE:
                raise _conflict(self._message, path, "ignorable", self._shared)
            ignorable = IGNORABLE[name]
        struct = newer.struct
        if older.struct is not None and newer.struct is not None:
            struct = self.struct(older.struct, newer.struct, path)
        return replace(
            newer,
            versions=self._union("versions", older.versions, newer.versions, path),
            nullable=self._union("nullableVersions", older.nullable, newer.nullable, path),
            tagged=self._union("taggedVersions", older.tagged, newer.tagged, path),
            inflexible=self._union("flexibleVersions", older.inflexible, newer.inflexible, path),
            ignorable=ignorable,
            struct=struct,
        )

    def _union(
        self, what: str, older: VersionSet, newer: VersionSet, path: tuple[str, ...]
    ) -> VersionSet:
        if older & self._shared != newer & self._shared:
            raise _conflict(self._message, path, what, self._shared)
        return (older & self._only_older) | newer
