"""`datacore log dump` of the files beside a segment: DataCore's, Kafka's, and damaged ones."""

import json
import struct
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from fastcrc import crc32

from datacore.cli.log_dump import log_dump
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.testing.engine_harness import LOG, append_durably

NAME = "00000000000000000100"


def dumped(path: Path, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(log_dump, [str(path), "-o", "json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def table(path: Path, *options: str) -> list[str]:
    result = CliRunner().invoke(log_dump, [str(path), *options])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def written(tmp_path: Path) -> Path:
    """The folder of a log of ours with two segments."""

    async def write() -> None:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path, segment_bytes=100_000))
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        await append_durably(log, *([5000] * 30), timestamp_ms=7)
        await engine.close()

    anyio.run(write)
    return tmp_path / "logs" / LOG


def test_our_indexes_are_borne_out_by_their_segments(tmp_path: Path) -> None:
    for path in sorted(written(tmp_path).glob("*index")):
        entries = dumped(path)
        assert entries
        assert [entry["problem"] for entry in entries] == [None] * len(entries)
        assert table(path)[-1] == f"{len(entries)} entries, 0 of them wrong"


def test_entries_that_no_batch_bears_out_are_told(tmp_path: Path) -> None:
    index = min(written(tmp_path).glob("*.index"))
    content = bytearray(index.read_bytes())
    content[8 + 7] ^= 1
    index.write_bytes(content + content[:8] + b"odd")
    problems = [entry.get("problem") for entry in dumped(index)]
    assert problems[1] == "no batch of the segment has that last offset at that position"
    assert problems[-2] == "not behind the entry before"
    assert dumped(index)[-1]["reason"] == "torn: 3 bytes of an entry of 8"
    assert table(index)[-1].endswith("2 of them wrong")


def test_room_that_kafka_makes_in_advance_is_a_tail(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.timeindex"
    path.write_bytes(struct.pack(">qiqi", 1000, 5, 900, 6) + bytes(36))
    assert dumped(path) == [
        {"kind": "timestamp", "timestamp_ms": 1000, "offset": 105, "problem": None},
        {
            "kind": "timestamp",
            "timestamp_ms": 900,
            "offset": 106,
            "problem": "not later than the entry before",
        },
        {
            "kind": "tail",
            "position": 24,
            "size_bytes": 36,
            "reason": "zeros: room that was never written",
        },
    ]


def test_aborted_transactions(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.txnindex"
    path.write_bytes(struct.pack(">hqqqq", 0, 7, 100, 120, 121))
    assert dumped(path) == [
        {
            "kind": "aborted transaction",
            "version": 0,
            "producer_id": 7,
            "first_offset": 100,
            "last_offset": 120,
            "last_stable_offset": 121,
            "problem": None,
        }
    ]


def test_snapshots_of_producers(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.snapshot"
    entries = struct.pack(">iqhiqiqiq", 1, 7, 2, 14, 99, 4, 1000, -1, -1)
    path.write_bytes(struct.pack(">hI", 1, crc32.iscsi(entries)) + entries)
    [entry] = dumped(path)
    assert (entry["kind"], entry["producer_id"], entry["epoch"]) == ("producer", 7, 2)
    assert (entry["last_sequence"], entry["last_offset"]) == (14, 99)
    path.write_bytes(struct.pack(">hI", 1, 5) + entries)
    assert [entry["kind"] for entry in dumped(path)] == ["tail", "producer"]
    path.write_bytes(b"\0\1")
    assert dumped(path)[0]["reason"] == "no snapshot of producers"


def test_leader_epochs(tmp_path: Path) -> None:
    path = tmp_path / "leader-epoch-checkpoint"
    path.write_text("0\n2\n0 0\n3 41\n")
    assert table(path) == [
        "epoch 0  start_offset 0",
        "epoch 3  start_offset 41",
        "2 entries, 0 of them wrong",
    ]
    path.write_text("0\n2\n0 0\nthree 41\n")
    assert dumped(path)[-1]["reason"] == "no epoch"
    path.write_text("1\n1\n0 0\n")
    assert dumped(path)[-1]["kind"] == "tail"


@pytest.mark.parametrize("name", ["00000000000000000000.log", "anything"])
def test_every_other_file_is_read_as_a_segment(tmp_path: Path, name: str) -> None:
    segment = min(written(tmp_path).glob("*.log"))
    copy = tmp_path / name
    copy.write_bytes(segment.read_bytes())
    assert {entry["kind"] for entry in dumped(copy, "--deep")} == {"batch"}
