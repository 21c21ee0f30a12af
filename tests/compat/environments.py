"""Where each client runs: an environment of its own below `.cache/compat/`, built at first need.

Rules: one folder per client and version; it is built again when its recipe (driver source,
versions) changes; a file lock keeps two test runs from building the same one; what is built works
offline. A runtime that the machine lacks is a `NotRunError` with its name, a build that fails is a
failure of the tests.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.oracle.apache_kafka import classpath
from tests.oracle.maven import Artifact, cache_dir, locked, resolve

__all__ = [
    "CargoPackage",
    "Environment",
    "GoModule",
    "JavaClasspath",
    "KafkaJavaProgram",
    "KafkaTools",
    "NotRunError",
    "NpmPackages",
    "Program",
    "PythonPackages",
    "SystemProgram",
]

_ROOT = Path(__file__).resolve().parents[2]
_CLIENTS = Path(__file__).resolve().parent / "clients"
_BUILD_TIMEOUT_S = 600
_SHARED_CLASSES = "shared.jsa"
# A JVM that cannot use the shared classes says so on stdout, which is the driver's.
_NOTHING_ON_STDOUT = ("-Xlog:disable", "-Xlog:all=error:stderr")
_GSON = "com.google.code.gson:gson:2.11.0"
_SLF4J = "org.slf4j:slf4j-simple:1.7.36"


class NotRunError(Exception):
    """This machine lacks what the client needs; the message names it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A driver that is ready to run: its command line so far, its variables."""

    command: tuple[str, ...]
    version: str
    variables: tuple[tuple[str, str], ...] = ()

    def process_environment(self) -> dict[str, str]:
        """The whole environment for the driver's process."""
        return {**os.environ, **dict(self.variables)}


class Environment(Protocol):
    """One way to get a driver to run."""

    def prepare(self, name: str, version: str) -> Program:
        """Build what is missing.

        Raises:
            NotRunError: the machine lacks the runtime.
        """


@dataclass(frozen=True, slots=True)
class PythonPackages:
    """A virtual environment with these packages; the driver is a module of `tests.compat.clients`.

    Attributes:
        module: the driver.
        packages: requirements, `name==version`.
        below: the first Python that the client does not run on any more.
        wheels: a package that is taken as a wheel only, never built.
    """

    module: str
    packages: tuple[str, ...]
    below: tuple[int, int] | None = None
    wheels: str = ""

    def prepare(self, name: str, version: str) -> Program:
        interpreter, release = self._interpreter()

        def build(folder: Path) -> None:
            if interpreter == sys.executable:
                venv.create(folder, with_pip=True)
            else:
                _run([interpreter, "-m", "venv", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
            cache = f"--cache-dir={cache_dir() / 'pip'}"
            wheels = ["--only-binary", self.wheels] if self.wheels else []
            _run([*pip, cache, "install", "--quiet", *wheels, *self.packages])

        # By release, not by path: several checkouts may share the cache.
        folder = _built(f"{name}-{version}", [release, *self.packages], build)
        python = str(folder / "bin" / "python")
        # The drivers import their contract from the project, and nothing else.
        # -P, without which the working directory comes first, came with 3.11.
        path = (("PYTHONPATH", str(_ROOT)), ("PYTHONSAFEPATH", "1"))
        command = (python, "-m", f"tests.compat.clients.{self.module}")
        return Program(command, version, path)

    def _interpreter(self) -> tuple[str, str]:
        """The newest Python that will do, and its release, such as "3.11"."""
        if self.below is None or sys.version_info[:2] < self.below:
            return sys.executable, f"{sys.version_info[0]}.{sys.version_info[1]}"
        for minor in range(self.below[1] - 1, 6, -1):
            release = f"3.{minor}"
            for found in _pythons(release):
                # pyenv's shims are there also for a Python that is switched off.
                if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
                    continue
                return found, release
        raise NotRunError(f"no Python below {self.below[0]}.{self.below[1]} on the PATH")


def _pythons(release: str) -> Iterator[str]:
    """Where a Python of that release may be: on the PATH, or kept by pyenv."""
    if found := shutil.which(f"python{release}"):
        yield found
    if shim := shutil.which("pyenv"):
        kept = Path(os.environ.get("PYENV_ROOT", Path(shim).resolve().parents[1])) / "versions"
        yield from map(str, sorted(kept.glob(f"{release}.*/bin/python{release}"), reverse=True))


@dataclass(frozen=True, slots=True)
class SystemProgram:
    """A program of the system's package manager; the driver is a Python module that runs it."""

    program: str
    module: str

    def prepare(self, name: str, version: str) -> Program:
        found = _required(self.program, f"{name} ({version})")
        said = subprocess.run([found, "-V"], capture_output=True, text=True, check=True)
        number = re.search(r"Version (\S+)", said.stdout)
        assert number is not None, said.stdout
        command = (sys.executable, "-P", "-m", f"tests.compat.clients.{self.module}")
        return Program(command, number.group(1), (("PYTHONPATH", str(_ROOT)),))


@dataclass(frozen=True, slots=True)
class JavaClasspath:
    """Jars from Maven, with a program of ours compiled against that very version.

    Attributes:
        jars: the name of the set of jars.
        artifacts: `group:name:version`, where `{version}` stands for the client's.
        source: the program; without one the program is a JVM that waits for a main class.
        flags: what the JVM needs beside what all are given; the last one wins.
        rehearsal: a program that loads what ours does: what the JVM keeps of it (class data
            sharing) makes each start half as long.
        parts: further sources of our program.
    """

    jars: str = "clients"
    artifacts: tuple[str, ...] = ("org.apache.kafka:kafka-clients:{version}", _GSON)
    source: str | None = "java/Driver.java"
    flags: tuple[str, ...] = ()
    rehearsal: str | None = "java/Rehearsal.java"
    parts: tuple[str, ...] = ()

    def prepare(self, name: str, version: str) -> Program:
        java, javac = _required("java", "Java"), _required("javac", "a Java compiler")
        jar = _required("jar", "Java's archiver")
        _required("mvn", "Maven")
        named = [_artifact(each.format(version=version)) for each in (*self.artifacts, _SLF4J)]
        jars = resolve(f"{self.jars}-{version}", named)
        start = (*_JVM_FLAGS, *self.flags, "-cp")
        if self.source is None:
            return Program((java, *start, f"{jars}/*"), version)
        wanted = (self.source, self.rehearsal, *self.parts)
        sources = [_CLIENTS / each for each in wanted if each is not None]

        def build(folder: Path) -> None:
            classes = folder / "classes"
            classes.mkdir(parents=True)
            _run([javac, "-nowarn", "-cp", f"{jars}/*", "-d", str(classes), *map(str, sources)])
            # Classes are shared from jars only.
            _run([jar, "cf", str(folder / "program.jar"), "-C", str(classes), "."])
            if self.rehearsal is not None:
                keep = f"-XX:ArchiveClassesAtExit={folder / _SHARED_CLASSES}"
                command = (*start, f"{folder}/program.jar:{jars}/*", sources[1].stem)
                _rehearse([java, "-XX:+IgnoreUnrecognizedVMOptions", keep, *command])

        # The jar is named, as what was built before there was one is another recipe's.
        recipe = ["program.jar", *(each.read_text() for each in sources), version]
        folder = _built(f"{name}-{version}", recipe, build)
        shared = folder / _SHARED_CLASSES
        use = (f"-XX:SharedArchiveFile={shared}", *_NOTHING_ON_STDOUT)
        sharing = use if shared.is_file() else ()
        return Program(
            (java, *sharing, *start, f"{folder}/program.jar:{jars}/*", sources[0].stem), version
        )


@dataclass(frozen=True, slots=True)
class KafkaTools:
    """Kafka's own tools from Maven; the program is a JVM that waits for a main class."""

    def prepare(self, name: str, version: str) -> Program:
        java = _required("java", f"Java for {name}")
        _required("mvn", "Maven")
        return Program((java, *_JVM_FLAGS, "-cp", classpath(version)), version)


@dataclass(frozen=True, slots=True)
class KafkaJavaProgram:
    """A Java program of ours, compiled and run with all that a release of Kafka has."""

    source: str

    def prepare(self, name: str, version: str) -> Program:
        java, javac = _required("java", "Java"), _required("javac", "a Java compiler")
        _required("mvn", "Maven")
        source = _CLIENTS / self.source
        jars = classpath(version)

        def build(folder: Path) -> None:
            folder.mkdir(parents=True)
            _run([javac, "-nowarn", "-cp", jars, "-d", str(folder), str(source)])

        folder = _built(f"{name}-{version}", [source.read_text(), version], build)
        return Program((java, *_JVM_FLAGS, "-cp", f"{folder}:{jars}", source.stem), version)


# Short-lived processes: start fast, take little.
_JVM_FLAGS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Xmx256m",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


@dataclass(frozen=True, slots=True)
class NpmPackages:
    """A folder with its own node_modules, a copy of the driver and of the drivers' contract.

    Attributes:
        tools: programs that the build of the packages needs, with what they are called.
        variables: what that build is told.
    """

    source: str
    packages: tuple[str, ...]
    contract: str = "js/contract.mjs"
    tools: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def prepare(self, name: str, version: str) -> Program:
        node, npm = _required("node", "Node.js"), _required("npm", "npm")
        for tool, called in self.tools:
            _required(tool, called)
        source = _CLIENTS / self.source

        def build(folder: Path) -> None:
            folder.mkdir(parents=True)
            shutil.copy(source, folder)
            shutil.copy(_CLIENTS / self.contract, folder)
            (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
            cache = f"--cache={cache_dir() / 'npm'}"
            install = [npm, "install", "--no-audit", "--no-fund", cache, *self.packages]
            _run(install, folder, dict(self.variables))

        recipe = [source.read_text(), (_CLIENTS / self.contract).read_text(), *self.packages]
        folder = _built(f"{name}-{version}", recipe, build)
        return Program((node, str(folder / source.name)), version)


@dataclass(frozen=True, slots=True)
class GoModule:
    """A Go program of its own module: the driver beside the contract that the Go drivers share.

    Attributes:
        imported: what the driver imports, where the module had another name at this version.
        cgo: whether parts of it are in C.
    """

    source: str
    module: str
    contract: str = "go/contract/contract.go"
    imported: str = ""
    cgo: bool = False

    def prepare(self, name: str, version: str) -> Program:
        go = _required("go", "Go")
        if self.cgo:
            _required("gcc", "a C compiler")
        sources = [_CLIENTS / self.source, _CLIENTS / self.contract]

        def build(folder: Path) -> None:
            folder.mkdir(parents=True)
            written = sources[0].read_text()
            if self.imported:
                written = written.replace(f'"{self.imported}"', f'"{self.module}"')
            (folder / "main.go").write_text(written)
            (folder / "contract").mkdir()
            shutil.copy(sources[1], folder / "contract")
            steps = (
                ["mod", "init", "datacore.test/compat"],
                ["get", f"{self.module}@v{version}"],
                ["mod", "tidy"],
                ["build", "-o", "driver", "."],
            )
            for step in steps:
                _run([go, *step], folder, _go_caches())

        recipe = [self.module, version, *(source.read_text() for source in sources)]
        folder = _built(f"{name}-{version}", recipe, build)
        return Program((str(folder / "driver"),), version)


@dataclass(frozen=True, slots=True)
class CargoPackage:
    """A Rust program of its own package: the driver beside the contract that all of them share.

    Attributes:
        crates: lines of Cargo's `[dependencies]`, where `{version}` stands for the client's.
        tools: programs that the build of those needs, with what they are called.
    """

    source: str
    crates: tuple[str, ...]
    tools: tuple[tuple[str, str], ...] = ()
    contract: str = "rust/contract.rs"

    def prepare(self, name: str, version: str) -> Program:
        cargo = _required("cargo", "Rust")
        for tool, called in self.tools:
            _required(tool, called)
        source, contract = _CLIENTS / self.source, _CLIENTS / self.contract
        crates = "\n".join((*_RUST_CONTRACT, *self.crates)).replace("{version}", version)
        manifest = f"{_RUST_PACKAGE}\n[dependencies]\n{crates}\n"

        def build(folder: Path) -> None:
            (folder / "src").mkdir(parents=True)
            (folder / "Cargo.toml").write_text(manifest)
            shutil.copy(source, folder / "src" / "main.rs")
            shutil.copy(contract, folder / "src" / "contract.rs")
            # Cargo keeps its settings beside what it has downloaded, so both stay the user's.
            _run([cargo, "build", "--quiet"], folder)
            shutil.copy(folder / "target" / "debug" / "driver", folder)
            shutil.rmtree(folder / "target")

        recipe = [manifest, source.read_text(), contract.read_text()]
        folder = _built(f"{name}-{version}", recipe, build)
        return Program((str(folder / "driver"),), version)


# A workspace of its own, whatever lies above the cache; and nobody debugs it.
_RUST_PACKAGE = """
[package]
name = "driver"
version = "0.0.0"
edition = "2021"

[workspace]

[profile.dev]
debug = false
"""
_RUST_CONTRACT = ('base64 = "0.22"', 'serde_json = "1"')


def _built(name: str, recipe: Sequence[str], build: Callable[[Path], None]) -> Path:
    """Return the folder `.cache/compat/<name>`; built anew unless wholly built by this recipe."""
    folder = cache_dir() / "compat" / name
    marker = folder / "recipe.sha256"
    digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
    with locked(f"compat-{name}"):
        if not marker.is_file() or marker.read_text() != digest:
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            build(folder)
            marker.write_text(digest)
    return folder


def _artifact(coordinates: str) -> Artifact:
    group, name, version = coordinates.split(":")
    return Artifact(group, name, version)


def _required(program: str, called: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise NotRunError(f"{called} is missing: no {program} on the PATH")
    return found


def _go_caches() -> dict[str, str]:
    """Go keeps its modules write-protected unless told; then nobody can simply delete `.cache`."""
    caches = cache_dir() / "go"
    return {
        "GOMODCACHE": str(caches / "modules"),
        "GOCACHE": str(caches / "build"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
    }


def _rehearse(command: Sequence[str]) -> None:
    """Run it to its end; a JVM that keeps no classes (before 13) is as good, only slower."""
    subprocess.run(command, capture_output=True, timeout=_BUILD_TIMEOUT_S, check=False)


def _run(
    command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_BUILD_TIMEOUT_S,
        check=False,
        env={**os.environ, **(variables or {})},
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-4_000:]
        raise ChildProcessError(f"{' '.join(command)}: exit status {done.returncode}: {said}")
