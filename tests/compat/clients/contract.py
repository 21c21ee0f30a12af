"""What the Python drivers share: the contract of CONTRACT.md as seen by a driver.

Standard library only: this file is imported inside each client's own environment.
"""

import argparse
import base64
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

__all__ = [
    "HEARTBEAT_INTERVAL_MS",
    "SESSION_TIMEOUT_MS",
    "Commands",
    "Commit",
    "Leave",
    "Options",
    "Record",
    "acked",
    "assigned",
    "committed",
    "log",
    "member_config",
    "member_pattern",
    "run",
    "runs_of_one_codec",
    "seen",
]

SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 300

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Options:
    """The command line. `partitions` belongs to consume, `count` to it and copy, `group` to join
    and copy, `to` to copy.
    """

    action: str
    bootstrap: str
    topic: str
    group: str
    to: str
    partitions: int
    count: int
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


Command = Commit | Leave


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


def run(
    *,
    produce: Callable[[Options, list[Record]], None],
    consume: Callable[[Options], None],
    join: Callable[[Options, Commands], None],
    copy: Callable[[Options], None] | None = None,
) -> None:
    """Do what the command line asks for and end the process as the contract wants it."""
    options = _options()
    _end_at_deadline(options.deadline_s)
    try:
        if options.action == "produce":
            produce(options, [_record(line) for line in sys.stdin])
        elif options.action == "consume":
            consume(options)
        elif options.action == "copy":
            if copy is None:
                raise NotImplementedError("this client knows no transactions")
            copy(options)
        else:
            join(options, Commands())
    except Exception as error:  # noqa: BLE001 - whatever a client raises is the finding to report
        traceback.print_exc()
        _emit("error", reason=f"{type(error).__name__}: {error}")
        _exit(1)
    _emit("done")
    _exit(0)


def runs_of_one_codec(records: Iterable[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Neighbours that one producer can send: (codec, records)."""
    for codec, neighbours in groupby(records, key=lambda record: record.codec):
        yield codec, list(neighbours)


def acked(partition: int, offset: int) -> None:
    """Report one record as acknowledged."""
    _emit("acked", partition=partition, offset=offset)


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
    parser.add_argument("action", choices=("produce", "consume", "join", "copy"))
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", default="")
    parser.add_argument("--to", default="")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--count", type=int, default=0)
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
