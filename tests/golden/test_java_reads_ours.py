"""Apache Kafka's own classes read the record sets that we write, in every codec and magic."""

import random
import shutil

import pytest

from datacore.record.compression import Codec
from datacore.record.legacy import down_convert
from datacore.record.records import Record, encode_batch
from tests.golden import corpus
from tests.golden.make import RELEASES, read_by_java

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka's classes not run: java or mvn is missing",
    ),
]
NOW = 1_700_000_000_000
SIZES = (0, 1, 127, 128, 8_191, 8_192, 32_767, 32_768, 65_535, 65_536, 300_000)
"""Sizes at the edges of a varint's bytes and of a codec's blocks."""


def _values() -> list[bytes]:
    """Text that compresses and bytes that do not, of every size."""
    chance = random.Random(3)
    return [content for n in SIZES for content in (b"kafka " * (n // 6), chance.randbytes(n))]


def _written() -> list[Record]:
    records = [
        Record(n, NOW + n * 17, b"key-%d" % n, value, [("n", b"%d" % n), ("", None)])
        for n, value in enumerate(_values())
    ]
    return [*records, Record(len(records), NOW - 5, None, None)]


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()


def _as_java_shows(records: list[Record], magic: int) -> list[corpus.Record]:
    return [
        corpus.Record(
            record.offset,
            record.timestamp_ms if magic else -1,
            _hex(record.key),
            _hex(record.value),
            tuple((name, _hex(value)) for name, value in record.headers) if magic == 2 else (),
        )
        for record in records
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_java_reads_batches_of_every_codec(release: str) -> None:
    written = _written()
    sets = [encode_batch(written, codec=codec) for codec in Codec]
    for codec, read in zip(Codec, read_by_java(release, map(bytes, sets)), strict=True):
        (batch,) = read.batches
        assert batch.compression == codec.name.lower()
        assert list(batch.records) == _as_java_shows(written, 2), codec


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("magic", [0, 1])
def test_java_reads_message_sets_of_every_codec(release: str, magic: int) -> None:
    written = _written()
    codecs = [codec for codec in Codec if codec is not Codec.ZSTD]
    sets = [down_convert(encode_batch(written, codec=codec), magic) for codec in codecs]
    for codec, read in zip(codecs, read_by_java(release, sets), strict=True):
        records = [record for batch in read.batches for record in batch.records]
        assert records == _as_java_shows(written, magic), codec
