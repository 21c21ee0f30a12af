"""Makes docs/picture.svg: a terminal in which a broker is started and used.

The commands run against a broker of the picture's own; only its port and folder are shown as those
of ``make run``.

``python -m docs.make_picture``; needs a free loopback port and nothing else.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from datacore.testing.broker_process import BrokerProcess
from datacore.version import VERSION

PICTURE = Path(__file__).with_name("picture.svg")
TITLE = "DataCore"
SESSION = [
    ("topic create orders --partitions 3", ""),
    ("produce orders --key-separator :", "alice:2 teapots\nbob:1 kettle\ncarol:6 cups\n"),
    ("consume orders --group shipping --from-beginning --max-messages 3", ""),
    ("group describe shipping", ""),
]


def main() -> None:
    """Runs the session against a broker of its own and draws it."""
    console = Console(record=True, width=92, file=io.StringIO())
    with BrokerProcess() as broker:
        _prompt(console, "make run")
        console.print(
            f"DataCore {VERSION} ready: PLAINTEXT://127.0.0.1:9092 (disk engine, ./data)",
            highlight=False,
        )
        for command, typed in SESSION:
            shown = f"datacore {command}"
            _prompt(console, f"printf {typed!r} | {shown}" if typed else shown)
            address = f"--bootstrap-server={broker.bootstrap_servers}"
            result = subprocess.run(
                [sys.executable, "-m", "datacore", *command.split(), address],
                input=typed,
                capture_output=True,
                text=True,
                check=True,
            )
            console.print(Text((result.stdout + result.stderr).rstrip()))
    console.save_svg(str(PICTURE), title=TITLE)


def _prompt(console: Console, command: str) -> None:
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))


if __name__ == "__main__":
    main()
