"""Jars from Maven, kept below the project's `.cache`.

Rules: every set of artifacts has a name and a folder of its own; a folder is complete or absent
(it is filled under another name and renamed); a file lock keeps two test runs from filling the same
one; once filled it works offline. `DATACORE_TEST_CACHE` moves the cache, so that several checkouts
can share one.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

_COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_RESOLVE_TIMEOUT_S = 600


class MavenError(Exception):
    """Maven is missing or could not resolve what it was asked for; holds its last words."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A direct dependency; what it needs comes with it, apart from `without` (`group:artifact`)."""

    group: str
    name: str
    version: str
    without: tuple[str, ...] = ()


def cache_dir() -> Path:
    """Where tests may keep what they downloaded or built: git-ignored, never deleted by a test."""
    configured = os.environ.get("DATACORE_TEST_CACHE")
    path = Path(configured) if configured else Path(__file__).resolve().parents[2] / ".cache"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of that name, across processes."""
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def resolve(name: str, artifacts: Sequence[Artifact]) -> Path:
    """Return the folder that holds the jars of `artifacts` and of all they need at run time.

    The folder is `.cache/maven-classpath/<name>`; it is filled again when `artifacts` has changed.

    Raises:
        MavenError: Maven is missing, or failed.
    """
    pom = _pom(artifacts)
    folder = cache_dir() / "maven-classpath" / name
    marker = folder / "pom.xml"
    with locked(f"maven-{name}"):
        if not marker.is_file() or marker.read_text() != pom:
            _fill(folder, pom)
    return folder


def _fill(folder: Path, pom: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MavenError("mvn is not on the PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".filling-") as scratch:
        filled = Path(scratch) / "jars"
        filled.mkdir()
        (filled / "pom.xml").write_text(pom)
        command = [
            maven,
            "--quiet",
            "--batch-mode",
            f"--file={filled / 'pom.xml'}",
            f"-Dmaven.repo.local={cache_dir() / 'maven-repository'}",
            f"-DoutputDirectory={filled}",
            "-DincludeScope=runtime",
            _COPY_DEPENDENCIES,
        ]
        with locked("maven-repository"):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_RESOLVE_TIMEOUT_S, check=False
            )
        if done.returncode != 0:
            raise MavenError((done.stdout + done.stderr)[-4_000:])
        shutil.rmtree(folder, ignore_errors=True)
        filled.rename(folder)


def _pom(artifacts: Sequence[Artifact]) -> str:
    dependencies = "".join(_dependency(artifact) for artifact in artifacts)
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n'
        "<modelVersion>4.0.0</modelVersion>\n"
        "<groupId>datacore.tests</groupId><artifactId>classpath</artifactId><version>1</version>\n"
        f"<dependencies>\n{dependencies}</dependencies>\n"
        "</project>\n"
    )


def _dependency(artifact: Artifact) -> str:
    exclusions = "".join(
        f"<exclusion><groupId>{escape(group)}</groupId><artifactId>{escape(name)}</artifactId></exclusion>"
        for group, name in (pair.split(":") for pair in artifact.without)
    )
    return (
        f"<dependency><groupId>{escape(artifact.group)}</groupId>"
        f"<artifactId>{escape(artifact.name)}</artifactId>"
        f"<version>{escape(artifact.version)}</version>"
        f"<exclusions>{exclusions}</exclusions></dependency>\n"
    )
