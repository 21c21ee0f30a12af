"""The specs of a release newer than this broker, dropped into a copy of the tree.

`make test-next-release` runs it; it needs Java and Maven. Generation takes them without a change,
every generated codec still holds to Kafka's bytes, and what a new version brings that may be left
out is served: advertised by a program, and spoken from end to end.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.maven import cache_dir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="specs not imported: java or mvn is missing",
    ),
]

ROOT = Path(__file__).parents[2]
COPIED = ("codegen", "datacore", "docs", "specs", "tests")
JUDGED_BY = (
    "tests/generated",
    "tests/golden/test_golden.py",
    "tests/golden/test_answers.py",
    "tests/codegen/test_generate.py",
    "tests/handlers/test_every_version.py",
    "tests/handlers/test_refusals.py",
)
WANT_DATA = (
    # Each asks for facts of the new release that are recorded, not generated: the versions that it
    # calls stable (specs/releases.json), and bytes of its classes (`make golden`).
    "tests/generated/test_api_keys.py::test_the_newest_release_calls_the_same_versions_stable",
    "tests/golden/test_golden.py::test_every_generated_version_has_golden_vectors",
    # 4.2 has taken back that a list of its is null unless it is said.
    (
        "tests/golden/test_golden.py::test_a_new_message_is_encoded_as_a_new_one_of_java"
        "[StreamsGroupHeartbeatResponse]"
    ),
)
NEW = {
    "4.2.0": {"LIST_OFFSETS 11", "WRITE_TXN_MARKERS 2"},
    "4.3.0": {"DESCRIBE_LOG_DIRS 5", "LIST_OFFSETS 11", "WRITE_TXN_MARKERS 2"},
}
"""What each brings that needs no hand. Which more its specs know is for people to look at."""


def ran(copy: Path, *arguments: str) -> str:
    """What a module printed that was run in the copy."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6_000:]
    return done.stdout


@pytest.fixture(params=sorted(NEW))
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_specs_of_a_newer_release_need_no_hand(release: str, tmp_path: Path) -> None:
    for name in COPIED:
        without = shutil.ignore_patterns("__pycache__", ".hypothesis")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=without)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    jars = str(cache_dir() / "maven-repository")
    releases = ("--release", "3.9.1", "--release", release)
    ran(tmp_path, "codegen.import_specs", *releases, "--jars", jars)
    ran(tmp_path, "codegen.generate")
    listed = ran(tmp_path, "codegen.new_versions", "--advertise").splitlines()
    harmless = {line.partition(":")[0] for line in listed if "needs a hand" not in line}
    assert harmless == NEW[release]
    left = ran(tmp_path, "codegen.new_versions").splitlines()
    assert left == [line for line in listed if "needs a hand" in line]
    left_out = [f"--deselect={each}" for each in WANT_DATA]
    ran(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *JUDGED_BY, *left_out)
