"""Write specs/ from Apache Kafka's published jars.

    python -m codegen.import_specs --release 3.9.1 --release 4.1.1 [--jars DIR]

Of the newest release every spec is written, of an older one only those that describe versions
which no newer release does (specs/README.md). Releases that disagree stop the import, but for
what codegen/resolutions.py settles.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from codegen.jars import ARTIFACTS, SLF4J, Artifact, find_jar, read_specs
from codegen.kafka_json import Document, normal_form, read_kafka_json
from codegen.merge import adds_nothing, merge, release_order
from codegen.model import parse_message
from codegen.resolved import Message, resolve
from codegen.spec_error import SpecError

_SLF4J_VERSION: Final = "1.7.36"
_ERROR_LISTER: Final = Path(__file__).with_name("ListErrors.java")

Spec = tuple[Message | None, Document]


def read_release(release: str, jars: Path) -> dict[str, Spec]:
    """Every spec of a release by its place below specs/<release>/."""
    specs: dict[str, Spec] = {}
    for artifact in ARTIFACTS:
        jar = find_jar(artifact, release, jars)
        if jar is None:
            continue
        for file, text in read_specs(jar, artifact.inside):
            document = normal_form(read_kafka_json(text, f"{jar.name}!{file}"), file)
            message = parse_message(document, f"{jar.name}!{file}")
            place = f"{artifact.folder}/{message.name}.json"
            specs[place] = (resolve(message, artifact.folder, Path(release, place)), document)
    return specs


def write_specs(releases: list[str], jars: Path, specs: Path) -> None:
    """Replace all releases' folders below `specs`."""
    newest_first = sorted(releases, key=lambda each: release_order(Path(each)), reverse=True)
    known: dict[str, Message] = {}
    for old in specs.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    for release in newest_first:
        written = 0
        for place, (message, document) in read_release(release, jars).items():
            if message is None or _is_covered(message, known, newest=release == newest_first[0]):
                continue
            newer = known.get(message.name)
            known[message.name] = message if newer is None else merge(message, newer)
            target = specs / release / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            written += 1
        print(f"{release}: {written} specs")
    _write_errors(newest_first[0], jars, specs)


def _is_covered(message: Message, known: dict[str, Message], *, newest: bool) -> bool:
    return not newest and adds_nothing(message, known.get(message.name))


def _write_errors(release: str, jars: Path, specs: Path) -> None:
    """specs/errors.json, asked of the newest kafka-clients itself: no spec lists error codes."""
    clients = _jar(ARTIFACTS[0], release, jars)
    slf4j = _jar(SLF4J, _SLF4J_VERSION, jars)
    listed = subprocess.run(
        ["java", "-cp", f"{clients}:{slf4j}", str(_ERROR_LISTER)],
        check=True,
        capture_output=True,
        text=True,
    )
    errors = []
    for line in sorted(listed.stdout.splitlines(), key=lambda each: int(each.split()[0])):
        code, name, retriable = line.split()
        errors.append({"code": int(code), "name": name, "retriable": retriable == "true"})
    lines = ",\n".join(f" {json.dumps(each)}" for each in errors)
    (specs / "errors.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{release}: {len(errors)} error codes")


def _jar(artifact: Artifact, version: str, jars: Path) -> Path:
    jar = find_jar(artifact, version, jars)
    if jar is None:
        raise SpecError(artifact.name, "", f"no jar of version {version}")
    return jar


def main() -> int:
    """Run from the command line; 1 when a spec cannot be taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--release", action="append", required=True, dest="releases")
    parser.add_argument("--jars", type=Path, default=Path(".cache/m2"))
    parser.add_argument("--specs", type=Path, default=Path("specs"))
    arguments = parser.parse_args()
    try:
        write_specs(arguments.releases, arguments.jars.resolve(), arguments.specs)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
