"""What the Python drivers share: the contract of CONTRACT.md as seen by a driver.

Standard library only, and of Python 3.7: this file is imported inside each client's own
environment, and old clients have wheels for old Pythons only.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import sys
import threading
import time
import traceback
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Protocol

    Headers = list[tuple[str, bytes | None]]
else:
    Protocol = object

__all__ = [
    "HEARTBEAT_INTERVAL_MS",
    "SESSION_TIMEOUT_MS",
    "UNACKNOWLEDGED_MAX",
    "Actions",
    "Admin",
    "Commands",
    "Commit",
    "Described",
    "Leave",
    "Options",
    "Record",
    "acked",
    "acked_number",
    "assigned",
    "committed",
    "log",
    "member_config",
    "member_pattern",
    "numbers",
    "offsets",
    "run",
    "runs_of_one_codec",
    "seen",
]

SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 300
UNACKNOWLEDGED_MAX = 100
_BEGIN_ANEW_S = 0.2
# What is read again and compared afterwards has to stay within reason.
_BURST, _BURST_S = 20, 0.005


@dataclass(frozen=True)
class Options:
    """The command line; CONTRACT.md says what belongs to which action.

    Attributes:
        instance: the static member's name; None for a dynamic one.
    """

    action: str
    bootstrap: str
    topic: str
    group: str
    to: str
    partitions: int
    count: int
    at_ms: int
    instance: str | None
    idempotent: bool
    deadline_s: float


@dataclass(frozen=True)
class Record:
    """A record to produce; `timestamp_ms` None leaves it to the client's clock."""

    partition: int
    codec: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None


@dataclass(frozen=True)
class Commit:
    """Commit these offsets by partition, and these only."""

    offsets: dict[int, int]


@dataclass(frozen=True)
class Leave:
    """Leave the group in an orderly way and end."""


Command = Union[Commit, Leave]  # noqa: UP007 - evaluated, and Python 3.7 knows no `|` of types


class Commands:
    """What the harness asks of a group member, read from stdin beside the client's own loop."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Command | None:
        """The next command, or None while there is none; never waits."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def wait(self) -> Command:
        """The next command; waits for it."""
        return self._queue.get()

    def _read(self) -> None:
        for line in sys.stdin:
            fields = json.loads(line)
            if fields["do"] == "commit":
                self._queue.put(Commit({int(p): o for p, o in fields["offsets"].items()}))
            else:
                self._queue.put(Leave())
        self._queue.put(Leave())


@dataclass(frozen=True)
class Described:
    """A topic as the client's admin describes it."""

    partitions: int
    configs: dict[str, str | None]


class Admin(Protocol):
    """What a client's admin can do to the topic of the command line."""

    def create(self, partitions: int, configs: dict[str, str]) -> None:
        """Create the topic."""

    def describe(self, configs: list[str]) -> Described:
        """Describe the topic, with these of its configs."""

    def alter(self, configs: dict[str, str]) -> None:
        """Change these configs of the topic."""

    def delete(self) -> None:
        """Delete the topic."""

    def topics(self) -> list[str]:
        """Names of all topics."""


@dataclass(frozen=True)
class Actions:
    """What a driver can do; None is what its client cannot.

    Attributes:
        abort: write "aborted" to partition 0 of `to` in a transaction that is aborted.
        copies: copy in transactions from what is committed on, without an end; yields how many
            records each transaction copied, 0 when there was nothing to copy for a while. Closing
            it closes the clients.
    """

    produce: Callable[[Options, list[Record]], None]
    consume: Callable[[Options], None]
    join: Callable[[Options, Commands], None] | None = None
    abort: Callable[[Options], None] | None = None
    copies: Callable[[Options], Generator[int, None, None]] | None = None
    flow: Callable[[Options, Iterator[int]], None] | None = None
    offsets: Callable[[Options], None] | None = None
    admin: Callable[[Options], Admin] | None = None


def run(actions: Actions) -> None:
    """Do what the command line asks for and end the process as the contract wants it."""
    options = _options()
    _end_at_deadline(options.deadline_s)
    try:
        _act(actions, options)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is the finding to report
        traceback.print_exc()
        _emit("error", reason=f"{type(error).__name__}: {error}")
        _exit(1)
    _emit("done")
    _exit(0)


def _act(actions: Actions, options: Options) -> None:
    if options.action == "produce":
        actions.produce(options, [_record(line) for line in sys.stdin])
    elif options.action == "consume":
        actions.consume(options)
    elif options.action == "join" and actions.join is not None:
        actions.join(options, Commands())
    elif options.action == "flow" and actions.flow is not None:
        actions.flow(options, numbers(Commands()))
    elif options.action == "offsets" and actions.offsets is not None:
        actions.offsets(options)
    elif options.action == "admin" and actions.admin is not None:
        _administrate(actions.admin(options))
    elif options.action in {"copy", "relay"} and actions.abort and actions.copies:
        if options.action == "copy":
            actions.abort(options)
            _copy(actions.copies(options), options.count)
        else:
            _relay(actions.copies, options, Commands())
    else:
        raise NotImplementedError(f"this client does not know {options.action}")


def _copy(copies: Generator[int, None, None], wanted: int) -> None:
    with closing(copies):
        while wanted > 0:
            wanted -= next(copies)


def _relay(
    begin: Callable[[Options], Generator[int, None, None]], options: Options, commands: Commands
) -> None:
    """Whatever fails is begun anew, at what is committed."""
    while True:
        try:
            with closing(begin(options)) as copies:
                for count in copies:
                    if count:
                        _emit("copied", count=count)
                    if commands.next() is not None:
                        return
        except Exception:  # noqa: BLE001 - the harness judges by what came out in the end
            traceback.print_exc()
            time.sleep(_BEGIN_ANEW_S)


def _administrate(admin: Admin) -> None:
    for line in sys.stdin:
        fields = json.loads(line)
        do = fields["do"]
        if do == "create":
            admin.create(fields["partitions"], fields["configs"])
            _emit("created")
        elif do == "describe":
            described = admin.describe(fields["configs"])
            _emit("described", partitions=described.partitions, configs=described.configs)
        elif do == "alter":
            admin.alter(fields["configs"])
            _emit("altered")
        elif do == "delete":
            admin.delete()
            _emit("deleted")
        else:
            _emit("listed", topics=admin.topics())


def numbers(commands: Commands) -> Iterator[int]:
    """0, 1, 2, ... until the harness tells the driver to leave."""
    number = 0
    while commands.next() is None:
        yield number
        number += 1
        if number % _BURST == 0:
            time.sleep(_BURST_S)


def runs_of_one_codec(records: Iterable[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Neighbours that one producer can send: (codec, records)."""
    for codec, neighbours in groupby(records, key=lambda record: record.codec):
        yield codec, list(neighbours)


def acked(partition: int, offset: int) -> None:
    """Report one record as acknowledged."""
    _emit("acked", partition=partition, offset=offset)


def acked_number(number: int, partition: int, offset: int) -> None:
    """Report one number of a flow as acknowledged."""
    _emit("acked", number=number, partition=partition, offset=offset)


def offsets(*, beginning: dict[int, int], end: dict[int, int], at: dict[int, int | None]) -> None:
    """Report offsets by partition."""
    _emit("offsets", beginning=beginning, end=end, at=at)


def seen(
    *,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
) -> None:
    """Report one record as read."""
    _emit(
        "record",
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=_text(key),
        value=_text(value),
        headers=[[name, _text(content)] for name, content in headers],
    )


def assigned(partitions: Iterable[int]) -> None:
    """Report all partitions that this member owns now."""
    _emit("assigned", partitions=sorted(partitions))


def committed(offsets: dict[int, int]) -> None:
    """Report offsets as committed."""
    _emit("committed", offsets=offsets)


def member_config() -> dict[str, str]:
    """What a group member is told beside its command line, by its client's own names."""
    config: dict[str, str] = json.loads(os.environ.get("DATACORE_COMPAT_CONFIG", "{}"))
    return config


def member_pattern() -> str | None:
    """The regular expression that a group member subscribes by, instead of the topic's name."""
    return os.environ.get("DATACORE_COMPAT_PATTERN")


def log(line: str) -> None:
    """Say something to whoever reads the driver's stderr."""
    sys.stderr.write(line + "\n")


def _options() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("action")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", default="")
    parser.add_argument("--to", default="")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--at-ms", type=int, default=0)
    parser.add_argument("--instance")
    parser.add_argument("--idempotent", type=lambda text: text == "true", default=False)
    parser.add_argument("--deadline-s", type=float, required=True)
    return Options(**vars(parser.parse_args()))


def _record(line: str) -> Record:
    fields = json.loads(line)
    return Record(
        partition=fields["partition"],
        codec=fields["codec"],
        key=_bytes(fields["key"]),
        value=_bytes(fields["value"]),
        headers=[(name, _bytes(content)) for name, content in fields["headers"]],
        timestamp_ms=fields["timestamp_ms"],
    )


_stdout = threading.Lock()


def _emit(event: str, **fields: object) -> None:
    line = json.dumps({"event": event, **fields})
    with _stdout:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _end_at_deadline(deadline_s: float) -> None:
    def end() -> None:
        _emit("error", reason="deadline")
        _exit(1)

    timer = threading.Timer(deadline_s, end)
    timer.daemon = True
    timer.start()


def _exit(status: int) -> None:
    """End at once: threads of a client that do not end must not hold up the harness."""
    sys.stderr.flush()
    os._exit(status)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
