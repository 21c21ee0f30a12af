"""Makes the pictures of docs/: a terminal in which a broker is started, used and administered.

Rules: what a picture shows is what ran, word for word; so the broker listens where `datacore broker
start` does by default, and port 9092 of the loopback address must be free. The commands are such
that show nothing that differs from run to run, and the same code draws the same pictures.

``python -m docs.make_pictures [FOLDER]``
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

_DOCS: Final = Path(__file__).parent
_START: Final = "datacore broker start"
_WIDTH: Final = 92


class Picture(NamedTuple):
    """A file, and the commands whose run it shows, with what is typed into each."""

    name: str
    commands: Sequence[tuple[str, str]]
    shows_start: bool = False


PICTURES: Final = (
    Picture(
        "picture.svg",
        [
            ("topic create orders --partitions 3", ""),
            ("produce orders --key-separator :", "alice:2 teapots\nbob:1 kettle\ncarol:6 cups\n"),
            ("consume orders --group shipping --from-beginning --max-messages 3", ""),
            ("group describe shipping", ""),
        ],
        shows_start=True,
    ),
    Picture(
        "picture-groups.svg",
        [
            ("group list", ""),
            ("group reset-offsets shipping --all-topics --to-earliest", ""),
            ("group reset-offsets shipping --topic orders:0 --shift-by -1 --execute", ""),
            ("group describe shipping", ""),
        ],
    ),
    Picture(
        "picture-records.svg",
        [
            (r"consume orders --from-beginning --until-end --format '%p/%o %k bought %v\n'", ""),
            ("offset list --topic orders:0 -o json", ""),
            ("records delete --topic orders:0,1 --before latest", ""),
        ],
    ),
    Picture(
        "picture-settings.svg",
        [
            ("topic alter orders --partitions 6 --config retention.ms=86400000", ""),
            ("config describe --topic orders", ""),
            ("config alter --topic orders --add-config retention.ms=soon", ""),
            ("topic create orders", ""),
            ("topic list", ""),
        ],
    ),
)


def draw(folder: Path = _DOCS) -> None:
    """Runs every picture's commands against one broker, and draws them.

    Raises:
        RuntimeError: The broker did not start; holds what it said.
    """
    with tempfile.TemporaryDirectory(prefix="datacore-") as home, _broker(home) as broker:
        try:
            assert broker.stdout is not None
            ready = broker.stdout.readline().rstrip()
            if not ready:
                raise RuntimeError(broker.communicate()[1])
            for picture in PICTURES:
                console = Console(record=True, width=_WIDTH, file=io.StringIO())
                if picture.shows_start:
                    _prompt(console, _START)
                    console.print(ready, highlight=False)
                for command, typed in picture.commands:
                    _run(console, command, typed)
                console.save_svg(str(folder / picture.name), title="DataCore")
        finally:
            broker.terminate()


def _broker(home: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *shlex.split(_START)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=_environment(),
    )


def _run(console: Console, command: str, typed: str) -> None:
    shown = f"datacore {command}"
    _prompt(console, f"printf {typed!r} | {shown}" if typed else shown)
    result = subprocess.run(
        [sys.executable, "-m", "datacore", *shlex.split(command)],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        check=False,
    )
    console.print(Text(result.stdout.rstrip()))


def _environment() -> dict[str, str]:
    """Without settings of whoever draws, and with this code wherever the process runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DATACORE_")}
    return kept | {"PYTHONPATH": str(_DOCS.parent), "PYTHONUNBUFFERED": "1"}


def _prompt(console: Console, command: str) -> None:
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else _DOCS)
