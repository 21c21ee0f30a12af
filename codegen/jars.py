"""Where specs come from: the jars that Apache Kafka publishes to Maven repositories."""

import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codegen.spec_error import SpecError

_MAVEN_GET: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One jar, where its specs are inside, and where ours go below specs/<release>/."""

    name: str
    inside: str
    folder: str
    optional: bool = False
    group: str = "org.apache.kafka"


ARTIFACTS: Final = (
    Artifact("kafka-clients", "common/message/", "messages"),
    Artifact("kafka-group-coordinator", "common/message/", "records/group"),
    Artifact("kafka-transaction-coordinator", "common/message/", "records/transaction"),
    # First published with 4.0: 3.9 kept the share coordinator's records inside its own build.
    Artifact("kafka-share-coordinator", "common/message/", "records/share", optional=True),
    Artifact("kafka-metadata", "common/metadata/", "records/metadata"),
    Artifact("kafka-raft", "common/message/", "records/raft"),
    Artifact("kafka-storage", "message/", "records/storage"),
)

SLF4J: Final = Artifact("slf4j-api", "", "", group="org.slf4j")
"""kafka-clients logs through it, so the program that lists error codes needs it."""


def find_jar(artifact: Artifact, version: str, jars: Path) -> Path | None:
    """The jar below `jars`, fetched there by Maven when it is missing; None if there is none.

    Args:
        artifact: Which one.
        version: Its version.
        jars: A folder laid out like a local Maven repository, or one flat folder of jars.
    """
    name = f"{artifact.name}-{version}.jar"
    flat = jars / name
    nested = jars.joinpath(*artifact.group.split("."), artifact.name, version, name)
    for place in (flat, nested):
        if place.is_file():
            return place
    coordinates = f"{artifact.group}:{artifact.name}:{version}"
    subprocess.run(
        [
            "mvn",
            "--quiet",
            "--batch-mode",
            f"-Dmaven.repo.local={jars}",
            _MAVEN_GET,
            f"-Dartifact={coordinates}",
            "-Dtransitive=false",
        ],
        check=not artifact.optional,
        stdout=subprocess.DEVNULL,  # what went wrong is on stderr or in the missing file
    )
    if nested.is_file():
        return nested
    if artifact.optional:
        return None
    raise SpecError(name, "", "Maven did not deliver it")


def read_specs(jar: Path, inside: str) -> Iterator[tuple[str, str]]:
    """Every spec file directly below `inside`: its name and its text, in order of names."""
    with zipfile.ZipFile(jar) as archive:
        for name in sorted(archive.namelist()):
            folder, _, file = name.rpartition("/")
            if f"{folder}/" == inside and file.endswith(".json"):
                yield file, archive.read(name).decode("utf-8")
