"""Tables and JSON out of the same rows, and progress on a terminal."""

import os
import pty
import subprocess
from collections.abc import Callable

import msgspec
import pytest

from datacore.cli.listing import Listing, Output
from datacore.cli.wording import size, utc
from datacore.testing import BrokerProcess
from tests.cli.command import command_line, datacore, process_environment

THINGS = Listing(
    {
        "name": "Its name.",
        "size_bytes": "Its size.",
        "made_ms": "When it was made.",
        "took_ms": "How long that took.",
        "rate": "A number.",
        "parts": "A list.",
        "fine": "Yes or no.",
        "secret": "Not for tables.",
    },
    only_json=["secret"],
    times=["made_ms"],
)
ROW = {
    "name": "a b",
    "size_bytes": 1536,
    "made_ms": 1_700_000_000_000,
    "took_ms": 1500,
    "rate": 1234.5,
    "parts": ["x", "y"],
    "fine": True,
    "secret": "s",
}
NOTHING = dict.fromkeys(ROW)

Shown = Callable[[Output, list[dict[str, object]]], str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    def show(output: Output, rows: list[dict[str, object]]) -> str:
        THINGS.show(rows, output)  # type: ignore[arg-type]  # rows of a test hold anything
        return capsys.readouterr().out

    return show


def test_json_is_exact_and_has_every_key(shown: Shown) -> None:
    assert msgspec.json.decode(shown("json", [ROW, NOTHING])) == [ROW, NOTHING]
    assert shown("json", []) == "[]\n"


def test_a_table_shows_what_people_read(shown: Shown) -> None:
    heading, line, nothing = (
        [part for part in line.split("  ") if part.strip()]
        for line in shown("table", [ROW, NOTHING]).splitlines()
    )
    assert [part.strip() for part in heading] == [
        *("NAME", "SIZE", "MADE", "TOOK MS", "RATE", "PARTS", "FINE"),
    ]
    assert [part.strip() for part in line] == [
        *("a b", "1.5 KiB", "2023-11-14T22:13:20.000Z", "1500", "1,234.50", "x,y", "yes"),
    ]
    assert {part.strip() for part in nothing} == {"-"}


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 60, "1048576.0 TiB"),
    ],
)
def test_sizes_have_the_unit_that_fits(size_bytes: int, expected: str) -> None:
    assert size(size_bytes) == expected


def test_a_time_that_no_calendar_has_stays_a_number() -> None:
    assert utc(1 << 62) == str(1 << 62)


def test_progress_is_drawn_on_a_terminal_and_leaves_nothing_in_a_file() -> None:
    with BrokerProcess(storage_engine="memory") as broker:
        address = ["--bootstrap-server", broker.bootstrap_servers]
        datacore("topic", "create", "t", *address)
        load = ["bench", "produce", "--topic", "t", "--num-records", "1000", *address]
        assert datacore(*load).err == ""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            command_line(*load),
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=process_environment() | {"TERM": "xterm"},
        ) as process:
            os.close(theirs)
            drawn = b""
            while chunk := _read(ours):
                drawn += chunk
            out, _ = process.communicate(timeout=30)
        os.close(ours)
    assert process.returncode == 0
    assert b"records" in drawn
    assert out.startswith(b"RECORDS")


def _read(terminal: int) -> bytes:
    """What was drawn; nothing once the process has ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
