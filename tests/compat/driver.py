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
from dataclasses import dataclass, field, replace
from typing import IO, Any

from tests.compat.clients.contract import Record
from tests.compat.environments import Program

__all__ = ["DEADLINE_S", "Driver", "DriverFailedError", "Member", "Offsets", "Seen", "eventually"]

DEADLINE_S = 30.0
# How long one lives that goes on until told to leave.
_LIFE_S = 150.0
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
class Offsets:
    """Offsets by partition: the first, the next to be written, the first from a time on."""

    beginning: dict[int, int]
    end: dict[int, int]
    at: dict[int, int | None]


@dataclass(frozen=True, slots=True)
class Driver:
    """One client against one broker; its processes end by themselves at the deadline."""

    program: Program
    bootstrap: str
    deadline_s: float = DEADLINE_S

    def produce(
        self, topic: str, records: Sequence[Record], *, idempotent: bool = False
    ) -> list[tuple[int, int]]:
        """Produce the records; returns (partition, offset) for each, in order."""
        lines = "".join(json.dumps(_record_fields(record)) + "\n" for record in records)
        events = self._run("produce", topic, *_idempotence(asked=idempotent), stdin=lines)
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

    def offsets(self, topic: str, *, partitions: int, at_ms: int) -> Offsets:
        """Ask for the first and next offsets, and for the first ones from a time on."""
        arguments = ["--partitions", str(partitions), "--at-ms", str(at_ms)]
        told, _ = self._run("offsets", topic, *arguments)
        limits = [{int(p): o for p, o in told[kind].items()} for kind in ("beginning", "end", "at")]
        return Offsets(*limits)

    def administrate(self, topic: str, commands: Sequence[dict[str, object]]) -> list[Any]:
        """Have the client's admin carry out commands on a topic; returns its answers."""
        stdin = "".join(json.dumps(command) + "\n" for command in commands)
        return self._run("admin", topic, stdin=stdin)[:-1]

    @contextmanager
    def join(self, topic: str, group: str, instance: str | None = None) -> Iterator["Member"]:
        """Start a member of the group; it is gone when the block ends, orderly or not."""
        static = [] if instance is None else ["--instance", instance]
        with self._started("join", topic, "--group", group, *static) as member:
            yield member

    @contextmanager
    def relay(self, topic: str, to: str, group: str) -> Iterator["Member"]:
        """Start copying in transactions, without an end."""
        with self._started("relay", topic, "--to", to, "--group", group) as relay:
            yield relay

    @contextmanager
    def flow(self, topic: str, *, partitions: int, idempotent: bool = False) -> Iterator["Member"]:
        """Start sending numbers, without an end."""
        arguments = ["--partitions", str(partitions), *_idempotence(asked=idempotent)]
        with self._started("flow", topic, *arguments) as flow:
            yield flow

    @contextmanager
    def _started(self, action: str, topic: str, *arguments: str) -> Iterator["Member"]:
        # It lives through several waits of the harness, each of which has its own deadline.
        lasting = replace(self, deadline_s=max(self.deadline_s, _LIFE_S))
        command = lasting._command(action, topic, *arguments)
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
            timeout=self.deadline_s + _GRACE_S,
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
    """A driver that goes on until told to leave: a group member, a flow, a relay.

    Runs in its own process; `listen` fills in what it says.

    Attributes:
        partitions: what it owns now; None before its first assignment.
        assignments: how often it was told what it owns.
        records: all that it was given, in order.
        commits: offsets that it reported as committed, one entry per commit.
        acked: of a flow, (partition, offset) by number; the offset is negative where the client
            was told that the broker had the record already.
        copied: of a relay, the records of its committed transactions.
    """

    process: subprocess.Popen[str]
    stdin: IO[str]
    stderr: IO[str]
    partitions: set[int] | None = None
    assignments: int = 0
    records: list[Seen] = field(default_factory=list)
    commits: list[dict[int, int]] = field(default_factory=list)
    acked: dict[int, tuple[int, int]] = field(default_factory=dict)
    copied: int = 0
    error: str | None = None
    done: bool = False

    def listen(self, stdout: IO[str]) -> None:
        """Take in events until the driver ends."""
        for line in stdout:
            if not line.endswith("\n"):
                return  # killed in the middle of it
            event = json.loads(line)
            match event["event"]:
                case "assigned":
                    self.partitions = set(event["partitions"])
                    self.assignments += 1
                case "acked":
                    self.acked[event["number"]] = (event["partition"], event["offset"])
                case "copied":
                    self.copied += event["count"]
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

    def kill(self) -> None:
        """End it as a crash does; returns when all that it had said was heard."""
        self.process.kill()
        self.process.wait()

    def offsets(self) -> list[tuple[int, int]]:
        """(partition, offset) of all that it was given, sorted."""
        return sorted((record.partition, record.offset) for record in self.records)

    def check_alive(self) -> None:
        """Raise what the driver reported, if it failed."""
        if self.error is not None or (not self.done and self.process.poll() not in {None, 0}):
            raise DriverFailedError(f"{self.error}\n{self.last_words()}")

    def __str__(self) -> str:
        offsets = self.offsets()
        told = f"{self.partitions}, {len(offsets)} records {offsets[:20]}, {len(self.acked)} acked"
        return f"{told}, {self.copied} copied\n{self.last_words()}"

    def last_words(self) -> str:
        """The end of its stderr."""
        self.stderr.seek(0)
        return self.stderr.read()[-_LAST_WORDS_CHARS:]

    def _tell(self, command: dict[str, object]) -> None:
        self.stdin.write(json.dumps(command) + "\n")
        self.stdin.flush()


def eventually(
    condition: Callable[[], bool],
    what: str,
    members: Sequence[Member],
    *,
    timeout_s: float = DEADLINE_S,
) -> None:
    """Return once the condition holds.

    Raises:
        DriverFailedError: a member failed, or the condition did not come true within `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        for member in members:
            member.check_alive()
        if time.monotonic() > deadline_s:
            state = "; ".join(str(member) for member in members)
            raise DriverFailedError(f"not within {timeout_s:.0f} s: {what}; members: {state}")
        time.sleep(_POLL_S)


def _idempotence(*, asked: bool) -> list[str]:
    return ["--idempotent", "true"] if asked else []


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
