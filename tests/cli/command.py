"""The real ``datacore`` command as a process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as JSON."""
        return msgspec.json.decode(self.out)

    def lines(self) -> list[str]:
        """Standard output by lines."""
        return self.out.splitlines()


def datacore(
    *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Done:
    """Runs a command to its end."""
    done = subprocess.run(
        command_line(*arguments),
        input=stdin,
        capture_output=True,
        env=process_environment() | dict(environment or {}),
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def command_line(*arguments: str) -> list[str]:
    """How to start the command."""
    return [sys.executable, "-m", "datacore", *arguments]


def process_environment() -> dict[str, str]:
    """Without settings of whoever runs the tests, and with bytecode kept from call to call."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DATACORE_")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = _bytecode_cache().name
    environment["PYTHONPATH"] = str(_PROJECT)
    return environment


@cache
def _bytecode_cache() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="datacore-bytecode-")
