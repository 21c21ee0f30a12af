"""Kafka Connect carries a file's lines to a topic and on to a file, killed in full flow."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compat.applications import Application, application
from tests.compat.connect import SINK, SOURCE, DistributedWorker, standalone
from tests.compat.environments import Program
from tests.compat.full_flow import Output, until
from tests.compat.killable import Killable
from tests.compat.matrix import CONNECT
from tests.compat.raw_requests import create_topic

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.parametrize("client", CONNECT, ids=str),
]

BETWEEN_CRASHES = 400
PAUSE_S = 0.02
LINES_A_PAUSE = 5


class GrowingFile:
    """A file that gets lines, numbered from 0, until its growth is ended.

    Attributes:
        lines: how many it has by now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def growing(self) -> Iterator[None]:
        """It grows while the block lasts, or until `end`."""
        self._thread.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> list[bytes]:
        """Ends its growth; returns the lines."""
        self._is_over.set()
        self._thread.join()
        return [b"line %d" % number for number in range(self.lines)]

    def _run(self) -> None:
        with self.path.open("wb", buffering=0) as file:
            while not self._is_over.wait(PAUSE_S):
                numbers = range(self.lines, self.lines + LINES_A_PAUSE)
                file.write(b"".join(b"line %d\n" % number for number in numbers))
                self.lines += LINES_A_PAUSE


@pytest.fixture
def source(tmp_path: Path) -> Iterator[GrowingFile]:
    file = GrowingFile(tmp_path / "source")
    with file.growing():
        yield file


@pytest.mark.scenario("connect: standalone, broker killed")
@pytest.mark.usefixtures("client")
def test_a_standalone_worker_forgets_no_line_when_the_broker_dies(
    program: Program, killable: Killable, source: GrowingFile, tmp_path: Path
) -> None:
    create_topic(killable.bootstrap, "lines", partitions=1)
    sink = tmp_path / "sink"
    connectors = {
        "source": {"connector.class": SOURCE, "file": source.path, "topic": "lines"},
        "sink": {"connector.class": SINK, "file": sink, "topics": "lines"},
    }
    with application(standalone(program, killable.bootstrap, tmp_path, connectors)) as worker:
        wait_for_lines(sink, BETWEEN_CRASHES, worker)
        killable.crash()
        wait_for_lines(sink, count_of(sink) + BETWEEN_CRASHES, worker)
        lines = source.end()
        until(lambda: ends_with(sink, lines), "the sink has it all", worker.check_and_pause)
    # It promises at least once; the first time of each is in order.
    assert list(dict.fromkeys(sink.read_bytes().splitlines())) == lines


@pytest.mark.scenario("connect: exactly-once source, kill -9")
@pytest.mark.usefixtures("client")
def test_a_distributed_worker_writes_every_line_exactly_once(
    program: Program, killable: Killable, source: GrowingFile, tmp_path: Path
) -> None:
    create_topic(killable.bootstrap, "lines", partitions=1)
    sink = tmp_path / "sink"
    worker = DistributedWorker(program, killable.bootstrap, tmp_path)
    connectors = {
        "source": {
            "connector.class": SOURCE,
            "file": str(source.path),
            "topic": "lines",
            "exactly.once.support": "required",
            # Much is written and not committed when it is killed; by default each poll is.
            "transaction.boundary": "interval",
            "transaction.boundary.interval.ms": "500",
        },
        "sink": {"connector.class": SINK, "file": str(sink), "topics": "lines"},
    }
    with Output(killable.bootstrap, "lines", partitions=1) as output:
        with worker.running() as process:
            for name, config in connectors.items():
                start(worker, name, config, process)
            output.wait_for_uncommitted(BETWEEN_CRASHES)
            killable.crash()
            output.wait_for_uncommitted(BETWEEN_CRASHES)
            process.process.kill()
        with worker.running() as process:
            output.wait_for_uncommitted(BETWEEN_CRASHES)
            # Both at once, and the broker is the later one.
            process.process.kill()
            killable.crash()
        with worker.running() as process:
            output.wait_for_uncommitted(BETWEEN_CRASHES)
            # Once, on Apache Kafka 4.1.1, the last 30 lines of a file that had stopped growing did
            # not come within two minutes, so it goes on growing while all of this comes out.
            count = source.lines
            output.wait_until(lambda: len(output.records) >= count, f"{count} came out")
            last = b"line %d\n" % (count - 1)
            until(lambda: last in sink.read_bytes(), "the sink has it", process.check_and_pause)
    lines = source.end()
    assert [value for _, value in output.records] == lines[: len(output.records)]
    # A sink's offsets are committed after its writing: it promises at least once.
    assert list(dict.fromkeys(sink.read_bytes().splitlines()))[:count] == lines[:count]


def start(
    worker: DistributedWorker, name: str, config: Mapping[str, object], process: Application
) -> None:
    """Makes a connector, and returns once it and its task run."""
    until(lambda: worker.put(name, config), f"{name} is made", process.check_and_pause)
    running = ["RUNNING", "RUNNING"]
    until(lambda: worker.states(name) == running, f"{name} runs", process.check_and_pause)


def wait_for_lines(path: Path, count: int, worker: Application) -> None:
    until(lambda: count_of(path) >= count, f"{count} lines in {path.name}", worker.check_and_pause)


def count_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def ends_with(path: Path, lines: list[bytes]) -> bool:
    return path.exists() and path.read_bytes().endswith(lines[-1] + b"\n")
