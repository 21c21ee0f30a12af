"""Make the golden corpus again: `python -m tests.golden.make [--check]`.

Needs java (17 or newer) and Maven. Runs the two programs in java/ against each release's own jars
and merges what they write: a vector that several releases agree on is stored once. The programs
are seeded, so a second run changes nothing; `--check` says so without writing.

Every vector is stored under the name and version that the newest release has for it; the tables
below are the whole of what differs.
"""

import subprocess
import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from tests.golden import corpus
from tests.golden.corpus import MessageVector, RecordSetVector
from tests.oracle.maven import Artifact, resolve

RELEASES = ("3.9.1", "4.1.1")
_JAVA = Path(__file__).with_name("java")
_CASES = ("default", "one", "null", "min", "max", "random")
# 4.1 widened the API and renamed it; key and version stayed.
_RENAMED = {
    "ListClientMetricsResourcesRequest": "ListConfigResourcesRequest",
    "ListClientMetricsResourcesResponse": "ListConfigResourcesResponse",
}
# Early access in 3.9 (KIP-932) and changed in place, or taken back, before any stable release.
_TAKEN_BACK = {
    ("3.9.1", "ReadShareGroupStateSummaryResponse", 0),
    ("3.9.1", "ShareGroupMetadataValue", 0),
    ("3.9.1", "ShareGroupPartitionMetadataKey", 9),
    ("3.9.1", "ShareGroupPartitionMetadataValue", 0),
}
_Vector = TypeVar("_Vector", MessageVector, RecordSetVector)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the corpus would change.")
def main(*, check: bool) -> None:
    """Make the golden corpus from Apache Kafka's own classes."""
    changed = False
    for path, content in (
        (corpus.MESSAGES, corpus.text(_message_vectors())),
        (corpus.RECORD_SETS, corpus.text(_record_sets())),
    ):
        differs = content != corpus.stored_text(path)
        if differs and not check:
            corpus.write(path, content)
        changed |= differs
        state = "differs" if differs and check else "written" if differs else "unchanged"
        lines, size = content.count(b"\n"), path.stat().st_size if path.exists() else 0
        click.echo(f"{path.name}: {lines} vectors, {size} bytes stored, {state}")
    sys.exit(1 if check and changed else 0)


def _message_vectors() -> list[MessageVector]:
    merged = _merge(
        _as_the_newest_calls_it(msgspec.convert({**line, "releases": [release]}, MessageVector))
        for release in RELEASES
        for line in _run(release, "GoldenMessages.java", _message_jars(release))
        if (release, line["message"], line["version"]) not in _TAKEN_BACK
    )
    return sorted(merged, key=_message_order)


def _as_the_newest_calls_it(vector: MessageVector) -> MessageVector:
    name, version = vector.message, vector.version
    if vector.kind == "coordinator-key" and vector.releases == ("3.9.1",):
        # A key's record type was its version then; type 0 of this one has had its own name since.
        name = "LegacyOffsetCommitKey" if (name, version) == ("OffsetCommitKey", 0) else name
        version = 0
    return msgspec.structs.replace(vector, message=_RENAMED.get(name, name), version=version)


def _record_sets() -> list[RecordSetVector]:
    return _merge(
        msgspec.convert({**line, "releases": [release]}, RecordSetVector)
        for release in RELEASES
        for line in _run(release, "GoldenRecords.java", [])
    )


def _merge(vectors: Iterator[_Vector]) -> list[_Vector]:
    """One vector for those that differ only in their release; what the newest one says stays."""
    releases: dict[Hashable, tuple[str, ...]] = {}
    newest: dict[Hashable, _Vector] = {}
    for vector in vectors:
        key = (_name(vector), vector.case, vector.hex)
        releases[key] = releases.get(key, ()) + vector.releases
        newest[key] = vector
    return [
        msgspec.structs.replace(latest, releases=releases[name]) for name, latest in newest.items()
    ]


def _name(vector: MessageVector | RecordSetVector) -> Hashable:
    if isinstance(vector, MessageVector):
        return vector.message, vector.version
    return vector.magic, vector.codec


def _message_order(vector: MessageVector) -> tuple[str, str, int, int, str, tuple[str, ...]]:
    case = _CASES.index(vector.case.partition("-")[0])
    return vector.kind, vector.message, vector.version, case, vector.case, vector.releases


def read_by_java(release: str, sets: Iterable[bytes]) -> list[RecordSetVector]:
    """What Java reads out of record sets of ours."""
    lines = "".join(f"{content.hex()}\n" for content in sets).encode()
    return [
        msgspec.convert({**line, "releases": [release]}, RecordSetVector)
        for line in _run(release, "GoldenRecords.java", ["read"], lines)
    ]


def _run(
    release: str, program: str, arguments: Sequence[str], stdin: bytes = b""
) -> Iterator[dict[str, Any]]:
    command = ["java", "-cp", f"{_jars(release)}/*", str(_JAVA / program), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise click.ClickException(done.stderr.decode(errors="replace"))
    for line in done.stdout.splitlines():
        yield msgspec.json.decode(line)


def _message_jars(release: str) -> list[str]:
    """The jars with message classes: Kafka's own, each class once."""
    return sorted(str(jar) for jar in _jars(release).glob(f"kafka-*-{release}.jar"))


def _jars(release: str) -> Path:
    """Clients plus the modules whose internal records are generated from specs too."""
    modules = ["kafka-clients", "kafka-metadata", "kafka-raft", "kafka-storage"]
    modules += ["kafka-group-coordinator", "kafka-transaction-coordinator"]
    modules += ["kafka-share-coordinator"] if release >= "4" else []
    artifacts = [Artifact("org.apache.kafka", module, release) for module in modules]
    artifacts.append(Artifact("com.fasterxml.jackson.core", "jackson-databind", "2.19.0"))
    artifacts.append(Artifact("org.slf4j", "slf4j-simple", "1.7.36"))
    return resolve(f"golden-{release}", artifacts)


if __name__ == "__main__":
    main()
