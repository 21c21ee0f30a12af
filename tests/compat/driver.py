"""The harness's side of clients/CONTRACT.md: starts drivers, feeds them, and keeps what they said.

    driver = Driver(program, "127.0.0.1:9092")
    driver.produce("t", [record("v")])
    with driver.join("t", "g") as member:
        eventually(lambda: member.partitions == {0}, "it owns the topic", [member])

Every wait has a deadline, every process ends with its `with`; a failure carries the driver's own
last words.
"""

import base64
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from tests.compat.clients.contract import Record
from tests.compat.environments import Program

__all__ = ["DEADLINE_S", "Driver", "DriverFailedError", "Member", "Seen", "eventually"]

DEADLINE_S = 30.0
# A driver ends by itself at the deadline; this much later the harness stops believing that.
_GRACE_S = 5.0
_POLL_S = 0.02
_LAST_WORDS_CHARS = 3_000


class DriverFailedError(Exception):
    """A driver reported an error, broke the contract or ran out of time; holds its last words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as a client gave it to its application."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Driver:
    """One client against one broker; its processes end by themselves at the deadline."""

    program: Program
    bootstrap: str
    deadline_s: float = DEADLINE_S

    def produce(self, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
        """Produce the records; returns (partition, offset) for each, in order."""
        lines = "".join(json.dumps(_record_fields(record)) + "\n" for record in records)
        events = self._run("produce", topic, stdin=lines)
        acked = [(e["partition"], e["offset"]) for e in events if e["event"] == "acked"]
        if len(acked) != len(records):
            raise DriverFailedError(f"{len(acked)} of {len(records)} records were acknowledged")
        return acked

    def consume(self, topic: str, *, partitions: int, count: int) -> list[Seen]:
        """Read the topic from the beginning, without a group, until `count` records were seen."""
        arguments = ["--partitions", str(partitions), "--count", str(count)]
        events = self._run("consume", topic, *arguments)
        return [_seen(event) for event in events if event["event"] == "record"]

    def copy(self, topic: str, to: str, group: str, *, count: int) -> None:
        """Copy a topic in transactions, exactly once, after one that was aborted."""
        self._run("copy", topic, "--to", to, "--group", group, "--count", str(count))

    @contextmanager
    def join(self, topic: str, group: str) -> Iterator["Member"]:
        """Start a member of the group; it is gone when the block ends, orderly or not."""
        command = self._command("join", topic, "--group", group)
        with (
            tempfile.TemporaryFile("w+") as stderr,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=self.program.process_environment(),
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            member = Member(process, process.stdin, stderr)
            reader = threading.Thread(target=member.listen, args=[process.stdout])
            reader.start()
            try:
                yield member
            finally:
                process.kill()
                reader.join()

    def _run(self, action: str, topic: str, *arguments: str, stdin: str = "") -> list[Any]:
        done = subprocess.run(
            self._command(action, topic, *arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S + _GRACE_S,
            check=False,
            env=self.program.process_environment(),
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode != 0 or not events or events[-1]["event"] != "done":
            reasons = [event["reason"] for event in events if event["event"] == "error"]
            raise DriverFailedError(
                f"{action}: exit status {done.returncode}, {len(events)} events, {reasons}\n"
                f"{done.stderr[-_LAST_WORDS_CHARS:]}"
            )
        return events

    def _command(self, action: str, topic: str, *arguments: str) -> list[str]:
        where = ["--bootstrap", self.bootstrap, "--topic", topic]
        until = ["--deadline-s", str(self.deadline_s)]
        return [*self.program.command, action, *where, *until, *arguments]


@dataclass(slots=True)
class Member:
    """A group member that runs in its own process; `listen` fills in what it says.

    Attributes:
        partitions: what it owns now; None before its first assignment.
        records: all that it was given, in order.
        commits: offsets that it reported as committed, one entry per commit.
    """

    process: subprocess.Popen[str]
    stdin: IO[str]
    stderr: IO[str]
    partitions: set[int] | None = None
    records: list[Seen] = field(default_factory=list)
    commits: list[dict[int, int]] = field(default_factory=list)
    error: str | None = None
    done: bool = False

    def listen(self, stdout: IO[str]) -> None:
        """Take in events until the driver ends."""
        for line in stdout:
            event = json.loads(line)
            match event["event"]:
                case "assigned":
                    self.partitions = set(event["partitions"])
                case "record":
                    self.records.append(_seen(event))
                case "committed":
                    self.commits.append({int(p): o for p, o in event["offsets"].items()})
                case "done":
                    self.done = True
                case _:
                    self.error = event.get("reason", line)

    def commit(self, offsets: dict[int, int]) -> None:
        """Have it commit these offsets; returns when it has."""
        before = len(self.commits)
        self._tell({"do": "commit", "offsets": offsets})
        eventually(lambda: len(self.commits) > before, "the commit is acknowledged", [self])

    def leave(self) -> None:
        """Have it leave the group and end."""
        self._tell({"do": "leave"})
        eventually(lambda: self.done, "the member has left", [self])

    def offsets(self) -> list[tuple[int, int]]:
        """(partition, offset) of all that it was given, sorted."""
        return sorted((record.partition, record.offset) for record in self.records)

    def check_alive(self) -> None:
        """Raise what the driver reported, if it failed."""
        if self.error is not None or (not self.done and self.process.poll() not in {None, 0}):
            raise DriverFailedError(f"join: {self.error}\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its stderr."""
        self.stderr.seek(0)
        return self.stderr.read()[-_LAST_WORDS_CHARS:]

    def _tell(self, command: dict[str, object]) -> None:
        self.stdin.write(json.dumps(command) + "\n")
        self.stdin.flush()


def eventually(condition: Callable[[], bool], what: str, members: Sequence[Member]) -> None:
    """Return once the condition holds.

    Raises:
        DriverFailedError: a member failed, or the condition did not come true within `DEADLINE_S`.
    """
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        for member in members:
            member.check_alive()
        if time.monotonic() > deadline_s:
            state = [
                (member.partitions, member.offsets(), member.last_words()) for member in members
            ]
            raise DriverFailedError(f"not within {DEADLINE_S:.0f} s: {what}; members: {state}")
        time.sleep(_POLL_S)


def _record_fields(record: Record) -> dict[str, object]:
    return {
        "partition": record.partition,
        "codec": record.codec,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(content)] for name, content in record.headers],
        "timestamp_ms": record.timestamp_ms,
    }


def _seen(event: Any) -> Seen:
    return Seen(
        partition=event["partition"],
        offset=event["offset"],
        timestamp_ms=event["timestamp_ms"],
        key=_bytes(event["key"]),
        value=_bytes(event["value"]),
        headers=[(name, _bytes(content)) for name, content in event["headers"]],
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
