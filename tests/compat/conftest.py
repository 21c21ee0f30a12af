"""Fixtures of the compat tests: the broker, the client's driver, the table of results.

DATACORE_COMPAT_BOOTSTRAP=host:port runs everything against a broker that runs already, such as
Apache Kafka itself:

    python -m tests.oracle.apache_kafka --port 19092 &
    DATACORE_COMPAT_BOOTSTRAP=127.0.0.1:19092 pytest tests/compat

DATACORE_COMPAT_KAFKA=4.1.1 starts that release of Apache Kafka instead of DataCore; then the
scenarios that kill the broker can be asked of it, too.

DATACORE_COMPAT_RESUME=1 leaves out what this code has passed already; a client is given up when its
scenarios took longer than DATACORE_COMPAT_CLIENT_LIMIT_S (1,800) in all.
"""

import os
import uuid
from collections import defaultdict
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.compat.driver import Driver
from tests.compat.environments import NotRunError, Program
from tests.compat.killable import Killable, started
from tests.compat.matrix import ABSENT, Client
from tests.compat.results import Outcome, Result, Results, code_digest
from tests.oracle.maven import cache_dir

_RESULTS = pytest.StashKey[Results]()
_SECONDS = pytest.StashKey[float]()
_PROGRAM = pytest.StashKey[Program]()
_CODE = pytest.StashKey[str]()
_SPENT = pytest.StashKey[defaultdict[str, float]]()


@pytest.fixture(scope="session")
def running(pytestconfig: pytest.Config) -> Iterator[Killable | str]:
    """The broker under test, which must end well after SIGTERM; or where a given one is."""
    results = pytestconfig.stash[_RESULTS]
    if given := os.environ.get("DATACORE_COMPAT_BOOTSTRAP"):
        results.broker = given
        yield given
        return
    with started() as broker:
        results.broker = broker.name
        try:
            yield broker
            assert broker.process.stop() in {0, None}, broker.process.log()
        finally:
            log = cache_dir() / "compat" / "broker.log"
            log.parent.mkdir(exist_ok=True)
            log.write_text(broker.process.log())


@pytest.fixture
def bootstrap(running: Killable | str) -> str:
    """`host:port` of the broker under test."""
    return running if isinstance(running, str) else running.bootstrap


@pytest.fixture
def shared(running: Killable | str) -> Killable:
    """The broker that all tests share, for one that ends it and starts it again."""
    if isinstance(running, str):
        pytest.skip("not run: a broker that was given is not ours to kill")
    return running


@pytest.fixture
def killable(pytestconfig: pytest.Config) -> Iterator[Killable]:
    """A broker of the test's own, whose names need not differ from those of other tests."""
    results = pytestconfig.stash[_RESULTS]
    with started() as broker:
        results.broker = results.broker or broker.name
        yield broker


@pytest.fixture
def program(client: Client, request: pytest.FixtureRequest) -> Program:
    """The client, ready to run; without its runtime the test is skipped, by name."""
    try:
        program = client.environment.prepare(client.family, client.version)
    except NotRunError as missing:
        pytest.skip(f"{client} not run: {missing}")
    request.node.stash[_PROGRAM] = program
    return program


@pytest.fixture
def driver(program: Program, bootstrap: str) -> Driver:
    """The client's driver, pointed at the broker."""
    return Driver(program, bootstrap)


@pytest.fixture
def topic() -> str:
    """A name that no other test has; nothing has created it yet."""
    return f"compat-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def group() -> str:
    """A group id that no other test has."""
    return f"compat-group-{uuid.uuid4().hex[:12]}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = Results()
    config.stash[_CODE] = code_digest()
    config.stash[_SPENT] = defaultdict(float)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("DATACORE_COMPAT_RESUME"):
        passed = Results.read(_results_path()).passed(config.stash[_CODE])
        left_out = [item for item in items if item.nodeid in passed]
        items[:] = [item for item in items if item.nodeid not in passed]
        config.hook.pytest_deselected(items=left_out)


def pytest_runtest_setup(item: pytest.Item) -> None:
    client = _client(item)
    limit_s = float(os.environ.get("DATACORE_COMPAT_CLIENT_LIMIT_S", "1800"))
    if client is not None and item.config.stash[_SPENT][str(client)] > limit_s:
        pytest.skip(f"{client} not run: its {limit_s:.0f} s are used up")


def _client(item: pytest.Item) -> Client | None:
    callspec = getattr(item, "callspec", None)
    client = None if callspec is None else callspec.params.get("client")
    return client if isinstance(client, Client) else None


def _results_path() -> Path:
    """DataCore's results; those of other brokers have a file of their own."""
    other = os.environ.get("DATACORE_COMPAT_BOOTSTRAP") or os.environ.get("DATACORE_COMPAT_KAFKA")
    return cache_dir() / "compat" / ("results-other.json" if other else "results.json")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    scenario = item.get_closest_marker("scenario")
    client = _client(item)
    if scenario is None or client is None:
        return report
    item.config.stash[_SPENT][str(client)] += call.duration
    seconds = item.stash[_SECONDS] = item.stash.get(_SECONDS, 0.0) + call.duration
    # A test that did not get past its fixtures has no call; one that did may fail in teardown.
    if report.when == "call" or (report.when == "setup" and not report.passed) or report.failed:
        program = item.stash.get(_PROGRAM, None)
        results = item.config.stash[_RESULTS]
        results.results.append(
            Result(
                client=client.family,
                version=client.version if program is None else program.version,
                scenario=scenario.args[0],
                outcome=_outcome(report),
                seconds=round(seconds, 2),
                reason=_reason(report),
                test=item.nodeid,
                broker=results.broker,
                code=item.config.stash[_CODE],
                date=datetime.now(UTC).date().isoformat(),
            )
        )
        # At once: a matrix that is interrupted goes on from here.
        results.write(_results_path())
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    results = config.stash[_RESULTS]
    if results.results:
        terminalreporter.section(f"clients against {results.broker or 'no broker'}")
        for line in results.table():
            terminalreporter.write_line(line)


def _outcome(report: pytest.TestReport) -> Outcome:
    if report.skipped:
        return "absent" if _reason(report).startswith(ABSENT) else "not run"
    return "passed" if report.passed else "failed"


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ").rpartition(" not run: ")[2]
    return report.longreprtext.splitlines()[-1] if report.failed and report.longreprtext else ""
