"""kcat, the Debian package, which is a program already: this driver only translates.

What kcat cannot do, the table of clients says too: set a timestamp, commit an offset of the
harness's choice (it commits what it printed when its partitions are taken or it leaves), print a
header value that holds a comma or a line feed.
"""

import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from itertools import groupby
from typing import IO

from tests.compat.clients import contract

# Eight bytes that no record of the harness holds.
_RECORD_END = b"\x01<end>\x01\x02"
_KEY_END = b"\x01<key>\x01\x02"
# Lengths first, then the bytes themselves; -1 is null.
_FORMAT = "%p %o %T %K %S\n%h\n%k%s"
_DELIVERED = re.compile(r"Message delivered to partition (\d+) \(offset (\d+)\)")
_REBALANCED = re.compile(r"rebalanced \(memberid [^)]*\): (assigned|revoked): ?(.*)$")
_FOUND = re.compile(r"\[(\d+)\] offset (-?\d+)")
_PARTITION = re.compile(r"\[(\d+)\]")


def _command(options: contract.Options, *arguments: str) -> list[str]:
    program = shutil.which("kcat")
    if program is None:
        raise FileNotFoundError("kcat is not on the PATH")
    return [program, "-b", options.bootstrap, *arguments]


def _produce(options: contract.Options, records: list[contract.Record]) -> None:
    for _, alike in groupby(records, key=_shape):
        _produce_alike(options, list(alike))


def _shape(record: contract.Record) -> tuple[object, ...]:
    """What one run of kcat keeps the same for all that it sends."""
    return (
        record.codec,
        record.partition,
        record.key is None,
        record.value is None,
        tuple(record.headers),
    )


def _produce_alike(options: contract.Options, records: list[contract.Record]) -> None:
    first = records[0]
    arguments = [
        "-P",
        "-vv",
        "-X",
        f"enable.idempotence={str(options.idempotent).lower()}",
        "-t",
        options.topic,
        "-p",
        str(first.partition),
        "-z",
        first.codec,
    ]
    arguments += ["-D", _RECORD_END.decode()]
    if first.key is not None:
        arguments += ["-K", _KEY_END.decode()]
    if first.value is None:
        arguments.append("-Z")
    for name, content in first.headers:
        arguments += ["-H", name if content is None else f"{name}={content.decode()}"]
    with tempfile.NamedTemporaryFile(prefix="kcat-") as source:
        for record in records:
            key = b"" if record.key is None else record.key + _KEY_END
            source.write(key + (record.value or b"") + _RECORD_END)
        source.flush()
        done = subprocess.run(
            _command(options, *arguments, "-l", source.name),
            capture_output=True,
            text=True,
            timeout=options.deadline_s,
            check=False,
        )
    deliveries = _DELIVERED.findall(done.stderr)
    if done.returncode != 0 or len(deliveries) != len(records):
        raise ChildProcessError(f"kcat -P: exit status {done.returncode}: {done.stderr[-2_000:]}")
    for partition, offset in deliveries:
        contract.acked(int(partition), int(offset))


def _consume(options: contract.Options) -> None:
    arguments = ["-C", "-u", "-q", "-t", options.topic, "-o", "beginning"]
    arguments += ["-c", str(options.count), "-f", _FORMAT]
    with subprocess.Popen(_command(options, *arguments), stdout=subprocess.PIPE) as kcat:
        assert kcat.stdout is not None
        _report(kcat.stdout)
    if kcat.returncode != 0:
        raise ChildProcessError(f"kcat -C: exit status {kcat.returncode}")


def _offsets(options: contract.Options) -> None:
    """It asks for one timestamp at a time; -2 and -1 are the first and the next offset."""

    def ask(at_ms: int) -> dict[int, int]:
        arguments = ["-Q"]
        for partition in range(options.partitions):
            arguments += ["-t", f"{options.topic}:{partition}:{at_ms}"]
        said = subprocess.run(
            _command(options, *arguments),
            capture_output=True,
            text=True,
            timeout=options.deadline_s,
            check=True,
        )
        return {int(p): int(o) for p, o in _FOUND.findall(said.stdout)}

    at = {p: offset if offset >= 0 else None for p, offset in ask(options.at_ms).items()}
    contract.offsets(beginning=ask(-2), end=ask(-1), at=at)


def _join(options: contract.Options, commands: contract.Commands) -> None:
    settings: tuple[str, ...] = (
        "auto.offset.reset=earliest",
        f"session.timeout.ms={contract.SESSION_TIMEOUT_MS}",
        f"heartbeat.interval.ms={contract.HEARTBEAT_INTERVAL_MS}",
    )
    if options.instance is not None:
        settings += (f"group.instance.id={options.instance}",)
    arguments = [argument for setting in settings for argument in ("-X", setting)]
    arguments += ["-u", "-f", _FORMAT, "-G", options.group, options.topic]
    with subprocess.Popen(
        _command(options, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as kcat:
        assert kcat.stdout is not None
        assert kcat.stderr is not None
        readers = [
            threading.Thread(target=_report, args=[kcat.stdout]),
            threading.Thread(target=_report_rebalances, args=[kcat.stderr]),
        ]
        for reader in readers:
            reader.start()
        command = commands.wait()
        if isinstance(command, contract.Commit):
            raise NotImplementedError("kcat commits by itself, when it leaves")
        kcat.send_signal(signal.SIGINT)
        for reader in readers:
            reader.join()
    if kcat.returncode != 0:
        raise ChildProcessError(f"kcat -G: exit status {kcat.returncode}")


def _report(stdout: IO[bytes]) -> None:
    while lengths := stdout.readline():
        partition, offset, timestamp_ms, key_bytes, value_bytes = map(int, lengths.split())
        headers = stdout.readline().rstrip(b"\n").decode()
        contract.seen(
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
            headers=list(_headers(headers)),
            key=_read(stdout, key_bytes),
            value=_read(stdout, value_bytes),
        )


def _read(stdout: IO[bytes], size_bytes: int) -> bytes | None:
    return None if size_bytes < 0 else stdout.read(size_bytes)


def _headers(text: str) -> Iterator[tuple[str, bytes | None]]:
    for pair in text.split(",") if text else ():
        name, _, content = pair.partition("=")
        yield name, None if content == "NULL" else content.encode()


def _report_rebalances(stderr: IO[bytes]) -> None:
    for raw in stderr:
        line = raw.decode(errors="replace").rstrip()
        contract.log(line)
        if found := _REBALANCED.search(line):
            what, partitions = found.groups()
            owned = _PARTITION.findall(partitions) if what == "assigned" else []
            contract.assigned(int(partition) for partition in owned)


if __name__ == "__main__":
    contract.run(contract.Actions(produce=_produce, consume=_consume, join=_join, offsets=_offsets))
