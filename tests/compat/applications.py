"""Applications as processes: started, killed, started again, with their last words.

with application([*program.command, bootstrap]) as running:
    running.wait_until_it_says("running")
    running.process.kill()
"""

import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.compat.full_flow import until

__all__ = ["Application", "application"]

_LAST_WORDS_CHARS = 6_000
_POLL_S = 0.05


@dataclass(slots=True)
class Application:
    """A running application.

    Attributes:
        said: the lines of its stdout so far.
    """

    process: subprocess.Popen[str]
    stdin: IO[str]
    log: IO[str]
    said: list[str] = field(default_factory=list)
    _pause: threading.Event = field(default_factory=threading.Event)

    def listen(self, stdout: IO[str]) -> None:
        """Takes in its lines until it ends."""
        self.said.extend(line.rstrip("\n") for line in stdout)

    def wait_until_it_says(self, line: str) -> None:
        """Returns once it has printed that line.

        Raises:
            AssertionError: it ended, or did not say so in time.
        """
        until(lambda: line in self.said, f"it says {line!r}", self.check_and_pause)

    def check_and_pause(self) -> None:
        """Waits a little, if it still runs."""
        assert self.process.poll() is None, f"it ended with status {self.process.returncode}"
        self._pause.wait(_POLL_S)

    def end(self, timeout_s: float = 60.0) -> None:
        """Ends it by the end of its stdin; its exit status must be 0."""
        self.stdin.close()
        assert self.process.wait(timeout_s) == 0

    def last_words(self) -> str:
        """The end of what it logged."""
        self.log.seek(0)
        return self.log.read()[-_LAST_WORDS_CHARS:]


@contextmanager
def application(
    command: Sequence[str],
    folder: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Application]:
    """Starts it; it is gone when the block ends. An error takes its last words along."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        running = Application(process, process.stdin, log)
        listener = threading.Thread(target=running.listen, args=[process.stdout])
        listener.start()
        try:
            yield running
        except Exception as error:
            error.add_note(running.last_words())
            raise
        finally:
            process.kill()
            listener.join()
