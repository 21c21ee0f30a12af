"""Where the peers' suites come from and how they are run against a broker that is there already.

Rules: the sources are fetched by the language's own package client into the cache, at one version
each; nothing of theirs is in this project. A suite is told where the broker is by the variables
that its authors made for that.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tests.oracle.maven import cache_dir, locked

__all__ = ["SUITES", "Outcome", "Suite"]

Outcome = Literal["passed", "failed", "skipped"]
_SUITE_TIMEOUT_S = 1_800
_BUILD_TIMEOUT_S = 600
# What kafka-python's tests are told to expect of the broker.
_KAFKA = "4.1.1"
# Processes that its fixtures start are none here: the broker is there already.
_SERVICE = """
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def __getattr__(self, name):
        return lambda *args, **kwargs: True


SpawnedService = None
"""


class Suite(Protocol):
    """A peer's tests at one version."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def version(self) -> str:
        """As its registry names it."""

    def run(self, bootstrap: str, log: Path) -> dict[str, Outcome]:
        """Run all of it against a broker; returns the outcome of every test by its name."""


@dataclass(frozen=True, slots=True)
class KafkaPython:
    """kafka-python's integration tests, from its source distribution."""

    version: str = "3.0.12"
    name: str = "kafka-python"

    def run(self, bootstrap: str, log: Path) -> dict[str, Outcome]:
        folder = self._prepared()
        report = log.with_suffix(".xml")
        command = [str(folder / "venv/bin/python"), "-m", "pytest", "test/integration", "-q"]
        variables = {"KAFKA_URI": f"kafka://{bootstrap}", "KAFKA_VERSION": _KAFKA}
        options = ["-p", "no:cacheprovider", "--timeout=120", f"--junitxml={report}"]
        _run([*command, *options], folder / "source", log, variables)
        outcomes: dict[str, Outcome] = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
            outcomes[name] = _junit_outcome(case)
        return outcomes

    def _prepared(self) -> Path:
        folder = cache_dir() / "peers" / f"{self.name}-{self.version}"
        with locked(f"peers-{self.name}"):
            if not (folder / "ready").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                venv.create(folder / "venv", with_pip=True)
                pip = [str(folder / "venv/bin/python"), "-m", "pip", "--quiet"]
                wanted = f"kafka-python=={self.version}"
                fetch = ["download", "--no-deps", "--no-binary=:all:", "-d", str(folder), wanted]
                codecs = ["python-snappy", "lz4", "zstandard", "crc32c", "xxhash"]
                tests = ["pytest", "pytest-mock", "pytest-timeout"]
                log = folder / "build.log"
                for step in (fetch, ["install", wanted, *codecs, *tests]):
                    _run([*pip, *step], folder, log, {}, must_pass=True)
                (archive,) = folder.glob("*.tar.gz")
                with tarfile.open(archive) as tar:
                    tar.extractall(folder, filter="data")
                (unpacked,) = folder.glob("kafka_python-*/")
                unpacked.rename(folder / "source")
                # Python has a package of that name too; only a whole one comes before it.
                (folder / "source" / "test" / "__init__.py").touch()
                # Left out of the distribution, as is the folder for a Kafka to start.
                (folder / "source" / "test" / "service.py").write_text(_SERVICE)
                (folder / "source" / "servers" / _KAFKA / "kafka-bin").mkdir(parents=True)
                (folder / "ready").touch()
        return folder


@dataclass(frozen=True, slots=True)
class FranzGo:
    """franz-go's tests of its client, from the module as Go's proxy serves it."""

    version: str = "1.22.2"
    name: str = "franz-go"
    # Its default of 500,000 records a test is a load test; these many still fill many batches.
    records: int = 5_000

    def run(self, bootstrap: str, log: Path) -> dict[str, Outcome]:
        program = self._prepared()
        listed = subprocess.run(
            [str(program), "-test.list", "."], capture_output=True, text=True, check=True
        ).stdout.split()
        names = [name for name in listed if name.startswith("Test")]
        variables = {
            "KGO_SEEDS": bootstrap,
            "KGO_TEST_RECORDS": str(self.records),
            "KGO_TEST_RF": "1",
            "KGO_LOG_LEVEL": "none",
        }
        command = [str(program), "-test.v", "-test.timeout=600s", "-test.parallel=4"]
        _run(command, program.parent, log, variables)
        said = log.read_text(errors="replace")
        outcomes: dict[str, Outcome] = dict.fromkeys(names, "failed")
        marks: dict[str, Outcome] = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
        for line in said.splitlines():
            mark, _, rest = line.strip().removeprefix("--- ").partition(": ")
            if line.lstrip().startswith("--- ") and mark in marks:
                outcomes[rest.rpartition(" (")[0]] = marks[mark]
        return outcomes

    def _prepared(self) -> Path:
        folder = cache_dir() / "peers" / f"{self.name}-{self.version}"
        program = folder / "source" / "pkg" / "kgo" / "kgo.test"
        with locked(f"peers-{self.name}"):
            if not program.exists():
                go = shutil.which("go")
                if go is None:
                    raise FileNotFoundError("go is not on the PATH")
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                module = f"github.com/twmb/franz-go@v{self.version}"
                told = subprocess.run(
                    [go, "mod", "download", "-json", module],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=True,
                    env={**os.environ, **_go_caches()},
                )
                shutil.copytree(json.loads(told.stdout)["Dir"], folder / "source")
                for path in (folder / "source").rglob("*"):
                    path.chmod(path.stat().st_mode | 0o200)
                build = [go, "test", "-c", "-o", str(program), "./pkg/kgo"]
                log = folder / "build.log"
                _run(build, folder / "source", log, _go_caches(), must_pass=True)
        return program


SUITES: tuple[Suite, ...] = (KafkaPython(), FranzGo())


def _junit_outcome(case: ET.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def _go_caches() -> dict[str, str]:
    caches = cache_dir() / "go"
    return {
        "GOMODCACHE": str(caches / "modules"),
        "GOCACHE": str(caches / "build"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
    }


def _run(
    command: list[str],
    folder: Path,
    log: Path,
    variables: Mapping[str, str],
    *,
    must_pass: bool = False,
) -> None:
    with log.open("w") as said:
        status = subprocess.run(
            command,
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            timeout=_BUILD_TIMEOUT_S if must_pass else _SUITE_TIMEOUT_S,
            check=False,
            env={**os.environ, **variables},
        ).returncode
    if must_pass and status != 0:
        sys.stderr.write(log.read_text()[-4_000:])
        raise ChildProcessError(f"{command[0]}: exit status {status}")
