"""What the imported specs know that no handler serves yet, and which of it needs no hand.

    python -m codegen.new_versions              # lists each new version and what it brings
    python -m codegen.new_versions --advertise  # raises the numbers in datacore/handlers/table.py

A version needs no hand when it takes nothing away and brings nothing but fields that are ignorable
or tagged: then whoever leaves them out, in a request or in an answer, is understood. It is
advertised together with the versions below it; the first one that needs a hand stops its API.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codegen.merge import load_messages
from codegen.resolved import Message, Struct
from codegen.spec_error import SpecError

_ROOT: Final = Path(__file__).resolve().parents[1]
_TABLE: Final = Path("datacore", "handlers", "table.py")
_SERVED: Final = re.compile(r"_api\(ApiKey\.(\w+), (\d+),")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A stable version of a served API that the handler table does not have.

    Attributes:
        api: The API's name in the table.
        version: Which.
        brings: Fields that it adds, by path, all ignorable or tagged.
        needs: What a hand has to look at: fields taken away, or added that matter.
    """

    api: str
    version: int
    brings: tuple[str, ...]
    needs: tuple[str, ...]

    def __str__(self) -> str:
        told = [f"brings {', '.join(self.brings)}"] if self.brings else []
        told += [f"needs a hand for {', '.join(self.needs)}"] if self.needs else []
        return f"{self.api} {self.version}: {'; '.join(told) or 'looks like the one before it'}"


def new_versions(messages: list[Message], table: str) -> list[NewVersion]:
    """Every new version of the APIs in the table's source, the lower ones first."""
    served = {name: int(version) for name, version in _SERVED.findall(table)}
    found = []
    for request, response in _apis(messages):
        name = _key_name(request.name)
        stable = request.max_version - request.latest_version_unstable
        for version in range(served.get(name, stable) + 1, stable + 1):
            changes = [
                *_changes(request.root, version, "request"),
                *_changes(response.root, version, "response"),
            ]
            found.append(
                NewVersion(
                    name,
                    version,
                    tuple(path for path, is_harmless in changes if is_harmless),
                    tuple(path for path, is_harmless in changes if not is_harmless),
                )
            )
    return found


def advertised(table: str, versions: list[NewVersion]) -> str:
    """The table's source with the new versions that need no hand."""
    highest: dict[str, int] = {}
    stopped: set[str] = set()
    for new in versions:
        if new.needs or new.api in stopped:
            stopped.add(new.api)
        else:
            highest[new.api] = new.version

    def raised(served: re.Match[str]) -> str:
        return f"_api(ApiKey.{served[1]}, {highest.get(served[1], served[2])},"

    return _SERVED.sub(raised, table)


def _apis(messages: list[Message]) -> Iterator[tuple[Message, Message]]:
    responses = {each.api_key: each for each in messages if each.kind == "response"}
    for request in messages:
        if request.kind == "request" and request.api_key in responses:
            yield request, responses[request.api_key]


def _key_name(request: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", request.removesuffix("Request")).upper()


def _changes(struct: Struct, version: int, path: str) -> Iterator[tuple[str, bool]]:
    """Fields that differ between a version and the one before it; True: they may be left out."""
    for field in struct.fields:
        where = f"{path}.{field.spec_name}"
        before, now = version - 1 in field.versions, version in field.versions
        if now and not before:
            yield where, field.ignorable or version in field.tagged
        elif before and not now:
            yield f"{where} (gone)", False
        elif now and (version in field.nullable) != (version - 1 in field.nullable):
            yield f"{where} (null)", False
        elif now and field.struct is not None:
            yield from _changes(field.struct, version, where)


def main() -> int:
    """Run from the command line; 1 when a spec is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--advertise", action="store_true", help="raise the table's numbers")
    parser.add_argument("--root", type=Path, default=_ROOT)
    arguments = parser.parse_args()
    table = arguments.root / _TABLE
    source = table.read_text(encoding="utf-8")
    try:
        found = new_versions(load_messages(arguments.root / "specs"), source)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 1
    for new in found:
        print(new)
    if arguments.advertise:
        table.write_text(advertised(source, found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
