"""Apache Kafka itself, as the judge: one KRaft node (broker and controller) from Maven's jars.

    with ApacheKafka("4.1.1") as kafka:
        client = KafkaProducer(bootstrap_servers=kafka.bootstrap)

    python -m tests.oracle.apache_kafka --version 4.1.1 --port 19092      # runs until Ctrl-C

Rules: loopback only; ports below 32768 (above, the kernel hands them out to others); everything
lives in one folder that goes when the node does; ready means that it answered Metadata with itself
as a broker; stopped by its own process id. 3.9.1 and 4.1.1 are the releases that tests use;
`classpath` knows older ones too, for their clients and tools.
"""

import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from tests.oracle.maven import Artifact, resolve

__all__ = ["ApacheKafka", "ApacheKafkaError", "classpath", "free_port", "java_command"]

_HOST = "127.0.0.1"
_CLUSTER_ID = "ZGF0YWNvcmUtb3JhY2xlAA"
_SLF4J_SIMPLE = Artifact("org.slf4j", "slf4j-simple", "1.7.36")
# One SLF4J binding, the simple one: it needs no configuration file and writes to stderr.
_OTHER_SLF4J_BINDINGS = (
    "org.slf4j:slf4j-log4j12",
    "org.slf4j:slf4j-reload4j",
    "org.apache.logging.log4j:log4j-slf4j-impl",
)
# What bin/kafka-server-start.sh gives the JVM.
_SERVER_JVM_FLAGS = (
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
_PORTS = range(12_000, 32_000)
_PORT_RACES_MAX = 3
_POLL_S = 0.05
_LAST_WORDS_CHARS = 4_000


class ApacheKafkaError(Exception):
    """The node did not start, or died; the message holds the end of its log."""


class _PortTakenError(ApacheKafkaError):
    """Somebody took a port between our look and the node's bind."""


def classpath(version: str) -> str:
    """Class path of a release: broker, clients and console tools (`java -cp <this> <main class>`).

    Raises:
        tests.oracle.maven.MavenError: the jars are not cached and could not be fetched.
    """
    scala = "2.13" if _numbers(version) >= (2, 4) else "2.12"
    artifacts = [
        Artifact("org.apache.kafka", f"kafka_{scala}", version, _OTHER_SLF4J_BINDINGS),
        Artifact("org.apache.kafka", "kafka-tools", version, _OTHER_SLF4J_BINDINGS),
        _SLF4J_SIMPLE,
    ]
    return f"{resolve(version, artifacts)}/*"


def java_command(
    version: str, main: str, arguments: Sequence[str] = (), *, jvm_flags: Sequence[str] = ()
) -> list[str]:
    """Command line that runs a class of that release: `org.apache.kafka.tools.TopicCommand`, say.

    Log lines below WARN are dropped; `jvm_flags` may say otherwise, the last one wins.
    """
    java = shutil.which("java")
    if java is None:
        raise ApacheKafkaError("java is not on the PATH")
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, quiet, *jvm_flags, "-cp", classpath(version), main, *arguments]


def free_port() -> int:
    """A loopback port that was free a moment ago, below the kernel's own range."""
    for port in random.sample(_PORTS, k=200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise ApacheKafkaError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


@dataclass(slots=True)
class ApacheKafka:
    """One node of Apache Kafka; `with` starts and stops it.

    Attributes:
        version: the release, as Maven names it.
        port: the listener's port; 0 looks for a free one.
        properties: further lines of server.properties; they win over ours.
        features: feature levels to format the storage with, such as {"share.version": 1}.
        heap: the JVM's heap, both -Xms and -Xmx.
        log_level: of the log that `log()` returns (error, warn, info, debug).
        directory: where the node lives; None is a temporary folder that goes with the node.
        start_timeout_s: how long formatting plus starting may take.
    """

    version: str = "4.1.1"
    port: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, int] = field(default_factory=dict)
    heap: str = "1g"
    log_level: str = "warn"
    directory: Path | None = None
    start_timeout_s: float = 90.0
    _home: Path | None = field(default=None, init=False, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running node, to read its CPU time and memory by."""
        if self._process is None:
            raise ApacheKafkaError("the node is not running")
        return self._process.pid

    @property
    def data_dir(self) -> Path:
        """The node's log.dirs: one folder per partition, plus __cluster_metadata-0."""
        return self._existing_home() / "data"

    def log(self) -> str:
        """All that the node has logged so far."""
        return (self._existing_home() / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Format the storage if this is the first start, start the node, return when it answers.

        Raises:
            ApacheKafkaError: it died, or did not answer within `start_timeout_s`.
        """
        chosen_by_us = self.port == 0
        for attempt in range(_PORT_RACES_MAX):
            if chosen_by_us:
                self.port = free_port()
            try:
                self._start_once()
            except _PortTakenError:
                if not chosen_by_us or attempt == _PORT_RACES_MAX - 1:
                    self.close()
                    raise
            except BaseException:
                self.close()
                raise
            else:
                return

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop the node as an operator does (SIGTERM); its data stays, `start` goes on with it."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """Stop the node as a crash does (SIGKILL); its data stays, `start` goes on with it."""
        self._end(signal.SIGKILL, 30.0)

    def close(self) -> None:
        """Stop the node and remove the temporary folder."""
        self.stop()
        if self._home is not None and self.directory is None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def wait(self) -> int:
        """Wait until the node ends by itself; returns its exit status."""
        if self._process is None:
            raise ApacheKafkaError("the node is not running")
        return self._process.wait()

    def run_tool(
        self, main: str, *arguments: str, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> str:
        """Run a console tool of the same release to its end and return what it printed.

        Raises:
            ApacheKafkaError: it ended with another status than 0.
        """
        done = subprocess.run(
            java_command(self.version, main, arguments),
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise ApacheKafkaError((done.stdout + done.stderr).decode(errors="replace"))
        return done.stdout.decode()

    def _start_once(self) -> None:
        if self._process is not None:
            raise ApacheKafkaError("the node is running already")
        deadline_s = time.monotonic() + self.start_timeout_s
        home = self._ensure_home()
        settings = home / "server.properties"
        settings.write_text("".join(f"{k}={v}\n" for k, v in self._server_properties().items()))
        if not (self.data_dir / "meta.properties").is_file():
            self._format(settings, deadline_s)
        flags = [
            *_SERVER_JVM_FLAGS,
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            f"-Dorg.slf4j.simpleLogger.defaultLogLevel={self.log_level}",
        ]
        command = java_command(self.version, "kafka.Kafka", [str(settings)], jvm_flags=flags)
        with (home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_it_answers(deadline_s)

    def _server_properties(self) -> dict[str, str]:
        controller_port = free_port()
        ours = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{_HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.data_dir),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        return ours | dict(self.properties)

    def _format(self, settings: Path, deadline_s: float) -> None:
        features = [f"--feature={name}={level}" for name, level in self.features.items()]
        arguments = ["format", "-t", _CLUSTER_ID, "-c", str(settings), *features]
        done = subprocess.run(
            java_command(self.version, "kafka.tools.StorageTool", arguments),
            capture_output=True,
            timeout=max(deadline_s - time.monotonic(), 1.0),
            check=False,
        )
        if done.returncode != 0:
            raise ApacheKafkaError((done.stdout + done.stderr).decode(errors="replace"))

    def _wait_until_it_answers(self, deadline_s: float) -> None:
        process = self._process
        assert process is not None
        while not _answers(self.port):
            if process.poll() is not None:
                self._process = None
                words = self.log()
                taken = "BindException" in words or "Address already in use" in words
                kind = _PortTakenError if taken else ApacheKafkaError
                raise kind(f"exit status {process.returncode}: {words[-_LAST_WORDS_CHARS:]}")
            if time.monotonic() > deadline_s:
                raise ApacheKafkaError(f"no answer in time: {self.log()[-_LAST_WORDS_CHARS:]}")
            time.sleep(_POLL_S)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ensure_home(self) -> Path:
        if self._home is None:
            if self.directory is None:
                self._home = Path(tempfile.mkdtemp(prefix="apache-kafka-"))
            else:
                self.directory.mkdir(parents=True, exist_ok=True)
                self._home = self.directory.resolve()
        return self._home

    def _existing_home(self) -> Path:
        if self._home is None:
            raise ApacheKafkaError("the node was never started")
        return self._home


def _answers(port: int) -> bool:
    """Whether Metadata v1, asked for no topics, names a broker: one that registered, unfenced."""
    correlation_id = 7
    request = struct.pack(">hhihi", 3, 1, correlation_id, -1, 0)
    try:
        with socket.create_connection((_HOST, port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    if len(answer) < 12:
        return False
    _, answered_id, brokers = struct.unpack(">iii", answer)
    return bool(answered_id == correlation_id and brokers > 0)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the foreground program as Ctrl-C does, so that the node is stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _pairs(values: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in values)}


@click.command()
@click.option("--version", default="4.1.1", show_default=True, help="Release of Apache Kafka.")
@click.option("--port", default=0, help="Port to listen on; 0 finds a free one.")
@click.option("--heap", default="1g", show_default=True, help="Heap of the JVM.")
@click.option("--directory", type=click.Path(path_type=Path), help="Keep the data here.")
@click.option("--log-level", default="warn", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Server property.")
@click.option("--feature", "features", multiple=True, metavar="NAME=LEVEL")
def main(
    *,
    version: str,
    port: int,
    heap: str,
    directory: Path | None,
    log_level: str,
    settings: tuple[str, ...],
    features: tuple[str, ...],
) -> None:
    """Run one node of Apache Kafka in the foreground and print its bootstrap address."""
    kafka = ApacheKafka(
        version,
        port=port,
        heap=heap,
        directory=directory,
        log_level=log_level,
        properties=_pairs(settings),
        features={name: int(level) for name, level in _pairs(features).items()},
    )
    status = 0
    with _terminated_as_interrupted():
        try:
            with kafka:
                click.echo(kafka.bootstrap)
                sys.stdout.flush()
                status = kafka.wait()
        except KeyboardInterrupt:
            status = 0
    sys.exit(status)


if __name__ == "__main__":
    main()
