"""`datacore log dump` shows what is in a segment, whole or damaged, ours or Apache Kafka's."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from datacore.cli.log_dump import log_dump
from datacore.cli.segment import StoredBatch, Tail
from datacore.cli.segment_reader import read_segment
from datacore.record.compression import Codec
from datacore.record.records import Record, encode_batch
from datacore.storage.disk.config import DiskConfig
from datacore.storage.disk.engine import DiskEngine
from datacore.storage.engine import FileHandling, SegmentLimits
from datacore.testing.engine_harness import LOG, append_durably
from tests.golden import corpus
from tests.golden.corpus import RecordSetVector

SETS = list(corpus.record_sets())
BATCHES = [
    bytes(encode_batch([Record(timestamp_ms=5, key=b"k", value=b"v%d" % n)] * 3, base_offset=3 * n))
    for n in range(3)
]
WHOLE = b"".join(BATCHES)
MIB = 1 << 20


def run(path: Path, *options: str) -> Result:
    return CliRunner().invoke(log_dump, [str(path), *options])


def dumped(path: Path, *options: str) -> list[dict[str, Any]]:
    result = run(path, "-o", "json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def text_of(content: str | None) -> str | None:
    return None if content is None else base64.b64encode(bytes.fromhex(content)).decode()


@pytest.mark.parametrize("vector", SETS, ids=str)
def test_segments_of_apache_kafka_are_read_as_java_reads_them(
    vector: RecordSetVector, tmp_path: Path
) -> None:
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(vector.body)
    for shown, batch in zip(dumped(path, "--records"), vector.batches, strict=True):
        assert shown["problem"] is None
        assert shown["is_crc_valid"]
        assert shown["crc"] == batch.crc
        assert shown["codec"] == batch.compression
        assert shown["last_offset"] == batch.last_offset
        assert shown["max_timestamp_ms"] == batch.max_timestamp_ms
        assert shown["producer_id"] == batch.producer_id
        assert shown["base_sequence"] == batch.base_sequence
        assert shown["delete_horizon_ms"] == batch.delete_horizon_ms
        assert shown["records"] == [
            {
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
                "key": text_of(record.key),
                "value": text_of(record.value),
                "headers": [[name, text_of(value)] for name, value in record.headers],
            }
            for record in batch.records
        ]


@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_shows_its_whole_batches_and_the_torn_tail(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "segment.log"
    path.write_bytes(WHOLE[:end])
    found = list(read_segment(path, records=True))
    size = len(BATCHES[0])
    whole = end // size
    assert [each.base_offset for each in found if isinstance(each, StoredBatch)] == [0, 3, 6][
        :whole
    ]
    tails = [(each.position, each.size_bytes) for each in found if isinstance(each, Tail)]
    assert tails == ([(whole * size, end % size)] if end % size else [])


@given(st.binary(max_size=300))
def test_bytes_that_are_no_segment_end_in_a_tail(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "segment.log"
    path.write_bytes(content)
    found = list(read_segment(path, records=True))
    assert sum(each.size_bytes for each in found) == len(content)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_byte_is_noticed_and_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, change: int
) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    path = tmp_path_factory.mktemp("damaged") / "segment.log"
    path.write_bytes(damaged)
    found = list(read_segment(path, records=True))
    assert sum(each.size_bytes for each in found) == len(WHOLE)
    # The CRC covers all but what the broker writes: base offset and leader epoch.
    is_covered = at % len(BATCHES[0]) not in {*range(8), *range(12, 16)}
    intact = [each for each in found if isinstance(each, StoredBatch) and each.is_crc_valid]
    assert len(intact) == (2 if is_covered else 3) or isinstance(found[-1], Tail)


def test_a_wrong_crc_is_shown_and_reading_goes_on(tmp_path: Path) -> None:
    damaged = bytearray(WHOLE)
    damaged[len(BATCHES[0]) - 2] ^= 1
    path = tmp_path / "segment.log"
    path.write_bytes(damaged)
    assert [batch["is_crc_valid"] for batch in dumped(path)] == [False, True, True]
    assert "3 batches, 1 with a wrong CRC" in run(path).output


def test_records_that_do_not_decompress_are_a_problem_of_their_batch_alone(tmp_path: Path) -> None:
    damaged = encode_batch([Record(value=b"x" * 500)], codec=Codec.ZSTD)
    damaged[-8:] = bytes(8)
    path = tmp_path / "segment.log"
    path.write_bytes(bytes(damaged) + BATCHES[1])
    first, second = dumped(path, "--records")
    assert first["records"] is None
    assert "zstd" in first["problem"]
    assert len(second["records"]) == 3


def test_room_that_was_never_written_is_told_from_a_torn_batch(tmp_path: Path) -> None:
    path = tmp_path / "segment.log"
    path.write_bytes(WHOLE + bytes(4_096))
    tail = dumped(path)[-1]
    assert (tail["kind"], tail["size_bytes"]) == ("tail", 4_096)
    assert tail["reason"].startswith("zeros")


def test_a_file_that_is_being_written_is_shown_up_to_the_room_that_is_set_aside(
    tmp_path: Path,
) -> None:
    async def dump_of_a_live_file() -> tuple[list[dict[str, Any]], int]:
        engine = DiskEngine(DiskConfig(data_dir=tmp_path))
        await engine.start()
        log = await engine.open_log(LOG, epoch=0)
        log.limit_segments(SegmentLimits(MIB, MIB, files=FileHandling(preallocates=True)))
        await append_durably(log, 100, 200, 300)
        (path,) = (tmp_path / "logs" / LOG).glob("*.log")
        shown = dumped(path), path.stat().st_size
        await engine.close()
        return shown

    (*batches, tail), size = anyio.run(dump_of_a_live_file)
    assert size == MIB
    assert [batch["base_offset"] for batch in batches] == [0, 1, 2]
    assert tail["kind"] == "tail"
    assert tail["position"] + tail["size_bytes"] == size
    assert tail["reason"] == "zeros up to the end: room that was never written"


def test_zeros_with_something_behind_them_are_not_room(tmp_path: Path) -> None:
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(WHOLE + bytes(2 * MIB) + WHOLE)
    *batches, tail = dumped(path)
    assert len(batches) == len(BATCHES)
    assert tail["position"] == len(WHOLE)
    # The first byte of what follows that is not zero is the low one of a batch's size.
    assert tail["reason"].startswith(
        f"zeros, and something else from position {len(WHOLE) + 2 * MIB + 11}"
    )


def test_the_table_shows_records_on_one_line_each_whatever_they_hold(tmp_path: Path) -> None:
    record = Record(key=b"a\n\x1b[31m\xff", value="漢字".encode(), headers=[("h", None)])
    path = tmp_path / "segment.log"
    path.write_bytes(encode_batch([record, Record(value=b"y" * 101)], transactional=True))
    heading, batch, *lines, total = run(path, "--records").output.splitlines()
    assert heading.split()[:3] == ["POSITION", "SIZE", "FIRST"]
    assert batch.endswith("transactional")
    assert lines[0].strip() == r"0  at -1  key 'a\n\x1b[31m\xff'  value '漢字'  headers h: null"
    assert lines[1].endswith(f"value '{'y' * 100}' and 1 bytes")
    assert total == "1 batches, 0 with a wrong CRC"


def test_without_construct_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("datacore.cli.layouts", "datacore.cli.segment_reader"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "construct", None)
    path = tmp_path / "segment.log"
    path.write_bytes(WHOLE)
    result = run(path)
    assert result.exit_code == 1
    assert "pip install 'datacore[dump]'" in result.output
    assert "Traceback" not in result.output
