"""Kafka's tools of one release, run one after the other in one JVM by ``ToolRunner.java``."""

import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tests.compat.environments import KafkaJavaProgram, KafkaTools

__all__ = ["Ran", "ToolRunner", "run_as_process", "tool_runner"]

NOT_IN_TIME = 124
_PROGRAM = KafkaJavaProgram("java/ToolRunner.java")
_PROCESS = KafkaTools()


@dataclass(frozen=True, slots=True)
class Ran:
    """How a tool ended, and what it said."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class ToolRunner:
    """A JVM that waits for the next tool."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    version: str

    def run(
        self, main: str, arguments: Sequence[str], *, stdin: str = "", timeout_s: float = 30.0
    ) -> Ran:
        """Runs a main class to its end; one that takes too long has the status ``NOT_IN_TIME``."""
        command = _text(main) + struct.pack(">i", len(arguments))
        command += b"".join(map(_text, arguments)) + _text(stdin)
        self.stdin.write(command + struct.pack(">i", int(timeout_s * 1000)))
        self.stdin.flush()
        (status,) = struct.unpack(">i", self._take(4))
        return Ran(status, self._text(), self._text())

    def _text(self) -> str:
        (size,) = struct.unpack(">i", self._take(4))
        return self._take(size).decode()

    def _take(self, size: int) -> bytes:
        content = self.stdout.read(size)
        assert len(content) == size, "the JVM of the tools ended"
        return content


def run_as_process(
    version: str, main: str, arguments: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0
) -> Ran:
    """Runs a main class in a JVM of its own, for tools that count on the JVM's end."""
    program = _PROCESS.prepare("console-tools", version)
    done = subprocess.run(
        [*program.command, main, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def tool_runner(version: str) -> Iterator[ToolRunner]:
    """The tools of a release, for as long as the context lasts.

    Raises:
        tests.compat.environments.NotRunError: the machine lacks Java or Maven.
    """
    program = _PROGRAM.prepare("tool-runner", version)
    with subprocess.Popen(
        program.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield ToolRunner(process.stdin, process.stdout, program.version)
        finally:
            process.kill()


def _text(content: str) -> bytes:
    encoded = content.encode()
    return struct.pack(">i", len(encoded)) + encoded
