"""Kafka's own tools say the same of DataCore as of Apache Kafka 4.1.1: the table, row by row."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from datacore.testing.broker_process import BrokerProcess
from tests.compat.environments import NotRunError
from tests.compat.tool_runner import Ran, ToolRunner, run_as_process, tool_runner
from tests.compat.tool_table import ROWS, Row, Step, main_class, needs_its_own_jvm
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.compat, pytest.mark.timeout(300)]

RELEASES = ("4.1.1", "4.3.0", "2.8.2")
# It sets min.insync.replicas as a config of the cluster, for the sake of replicas.
NO_REPLICAS = {"eligible.leader.replicas.version": 0}
QUICK = {"topics-life", "groups-life", "log-dirs", "reassign-partitions"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two brokers that are compared."""

    name: str
    bootstrap: str
    log_dir: Path
    logs: Path
    """Where folders of partitions are."""
    settling_s: float = 0.0
    """Until what an administrator was told is true for clients."""


class Said(NamedTuple):
    """A call of a tool, and how it ended."""

    call: str
    status: int
    words: str
    """Made comparable."""

    def __str__(self) -> str:
        return f"status {self.status}\n{self.words}"


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with (
        BrokerProcess(kafka={"min.insync.replicas": 1}) as ours,
        ApacheKafka("4.1.1", heap="512m", features=NO_REPLICAS) as theirs,
    ):
        yield (
            Side("datacore", ours.bootstrap_servers, ours.data_dir, ours.data_dir / "logs"),
            Side("kafka", theirs.bootstrap, theirs.data_dir, theirs.data_dir, 0.3),
        )


@pytest.fixture(scope="module")
def tools() -> Iterator[Callable[[str], ToolRunner]]:
    """The tools of a release, in a JVM that starts when they are first asked for."""
    running: dict[str, ToolRunner] = {}
    contexts = []

    def of(release: str) -> ToolRunner:
        if release not in running:
            context = tool_runner(release)
            running[release] = context.__enter__()
            contexts.append(context)
        return running[release]

    yield of
    for context in contexts:
        context.__exit__(None, None, None)


def cases() -> Iterator[object]:
    for release in RELEASES:
        for row in ROWS:
            if release in row.releases:
                marks = [pytest.mark.quick] if release == "4.1.1" and row.name in QUICK else []
                yield pytest.param(release, row, id=f"{row.name}-{release}", marks=marks)


@pytest.mark.parametrize(("release", "row"), list(cases()))
def test_a_tool_says_the_same_of_datacore_as_of_apache_kafka(
    sides: tuple[Side, Side],
    tools: Callable[[str], ToolRunner],
    tmp_path: Path,
    release: str,
    row: Row,
) -> None:
    try:
        runner = tools(release)
    except NotRunError as missing:
        pytest.skip(f"the tools of {release} not run: {missing}")
    ours, theirs = (said_of(side, runner, row, release, tmp_path / side.name) for side in sides)
    differing = [
        f"{mine.call}\nDataCore: {mine}\nApache Kafka: {other}"
        for mine, other in zip(ours, theirs, strict=True)
        if mine != other
    ]
    if row.difference is None:
        assert not differing, "\n".join(differing)
    else:
        assert differing, "the known difference is gone"
        assert [each.status for each in ours] == [each.status for each in theirs]


def said_of(side: Side, runner: ToolRunner, row: Row, release: str, folder: Path) -> list[Said]:
    """What the tools of a row say of a broker."""
    folder.mkdir()
    words = {
        "{row}": f"{row.name}-{release}".replace(".", "-"),
        "{bootstrap}": side.bootstrap,
        "{log_dir}": str(side.log_dir),
        "{folder}": str(folder),
    }
    for name, content in row.files.items():
        (folder / name).write_text(filled(content, words))
    said = []
    for step in row.steps:
        main = main_class(step.tool, release)
        assert main is not None
        if any("{segment}" in argument for argument in step.arguments):
            words["{segment}"] = str(segment(side, words["{row}"]))
        arguments = [filled(each, words) for each in step.arguments]
        if needs_its_own_jvm(step.tool, release):
            ran = run_as_process(release, main, arguments, stdin=step.stdin)
        else:
            ran = runner.run(main, arguments, stdin=step.stdin)
        if side.settling_s and step.tool == "kafka-topics":
            time.sleep(side.settling_s)  # another process, which tells nobody when it is ready
        if step.is_compared:
            call = " ".join((step.tool, *step.arguments))
            said.append(Said(call, ran.status, comparable(ran, step, words)))
    return said


def segment(side: Side, topic: str) -> Path:
    """The first segment file of a topic's first partition."""
    (found,) = side.logs.glob(f"{topic}-0*/00000000000000000000.log")
    return found


def filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


PATTERNS = (
    (re.compile(r"(?<=TopicId: )\S{22}"), "ID"),
    (re.compile(r"(?<=Cluster ID: )\S{22}"), "ID"),
    (re.compile(r"(?<=ClusterId:).*"), "ID"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b1[0-9]{12}\b"), "TIME"),
    (re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,:]\d+)?"), "DATE"),
    (re.compile(r"(adminclient|console-consumer|console-share-consumer)-\d+"), r"\1-N"),
)
EXCEPTION = re.compile(r"\w+(?:Exception|Error)\b")
FIGURES = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?|NaN|Infinity")


def comparable(ran: Ran, step: Step, words: dict[str, str]) -> str:
    """A tool's words without what is each broker's own.

    Of a failure this is what kind of failure it is: its text is nobody's to repeat.
    """
    if ran.status != 0:
        return " ".join(dict.fromkeys(EXCEPTION.findall(ran.out + ran.err)))
    text = ran.out
    for word in ("{bootstrap}", "{folder}", "{segment}", "{log_dir}"):
        if word in words:
            text = text.replace(words[word], word)
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    lines = [line.rstrip() for line in text.splitlines()]
    if step.has_figures:
        lines = [re.sub(r"[ ]+", " ", FIGURES.sub("N", line)) for line in lines]
    if step.lines_in_no_order:
        lines.sort()
    port = words["{bootstrap}"].rpartition(":")[2]
    return "\n".join(lines).replace(port, "PORT")
