import contextlib
import gzip
import struct
import zlib

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from datacore.record.compression import (
    XERIAL_HEADER,
    Codec,
    codec_of,
    compress,
    decompress,
)
from datacore.record.errors import DecompressedTooLarge, DecompressionError

COMPRESSING = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
TEXT = b"One line of a text that repeats itself. " * 5000
LIMIT = 1 << 20


def raw_snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def xerial(*blocks: bytes) -> bytes:
    return XERIAL_HEADER + b"".join(struct.pack(">i", len(block)) + block for block in blocks)


def zstd(data: bytes, *, content_size: bool = True, checksum: bool = False) -> bytes:
    return zstandard.ZstdCompressor(
        write_content_size=content_size, write_checksum=checksum
    ).compress(data)


def zstd_skippable(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A57, len(data)) + data


def bomb(codec: Codec) -> bytes:
    """64 MiB of zeros, small."""
    return compress(bytes(64 << 20), codec)


@pytest.mark.parametrize("codec", Codec)
@given(data=st.binary(max_size=100_000), repeats=st.integers(1, 5))
def test_what_is_compressed_comes_back(codec: Codec, data: bytes, repeats: int) -> None:
    data *= repeats
    assert decompress(memoryview(compress(memoryview(data), codec)), codec) == data


@pytest.mark.parametrize("codec", COMPRESSING)
def test_text_gets_smaller(codec: Codec) -> None:
    assert len(compress(TEXT, codec)) < len(TEXT) // 10


@pytest.mark.parametrize(
    ("codec", "level"), [(Codec.GZIP, 1), (Codec.GZIP, 9), (Codec.LZ4, 12), (Codec.ZSTD, 19)]
)
def test_levels_are_the_codecs_own(codec: Codec, level: int) -> None:
    assert decompress(compress(TEXT, codec, level), codec) == TEXT


@pytest.mark.parametrize("number", [-1, 5, 6, 7])
def test_number_without_a_codec_is_an_error(number: int) -> None:
    with pytest.raises(DecompressionError):
        codec_of(number)


# --- what others write


def test_gzip_members_follow_each_other() -> None:
    data = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(TEXT)
    assert decompress(data, Codec.GZIP) == b"one " + TEXT


def test_gzip_member_may_end_where_a_piece_of_the_input_does() -> None:
    for size in range(65_490, 65_520):
        first = gzip.compress(bytes(zlib.crc32(b"%d" % at) & 0xFF for at in range(size)), 0)
        assert len(decompress(first + gzip.compress(b"!"), Codec.GZIP)) == size + 1


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4])
def test_bytes_behind_the_data_are_ignored_as_kafka_ignores_them(codec: Codec) -> None:
    assert decompress(compress(TEXT, codec) + b"garbage", codec) == TEXT


def test_raw_snappy_block_is_read() -> None:
    assert decompress(raw_snappy(TEXT), Codec.SNAPPY) == TEXT


def test_snappy_is_written_in_the_framing_that_java_reads() -> None:
    data = compress(TEXT, Codec.SNAPPY)
    assert data.startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    size = struct.unpack_from(">i", data, 16)[0]
    assert bytes(cramjam.snappy.decompress_raw(data[20 : 20 + size])) == TEXT[: 32 * 1024]


def test_snappy_streams_may_be_concatenated_and_end_in_a_rest() -> None:
    data = xerial(raw_snappy(b"one "), raw_snappy(b"two ")) + xerial(raw_snappy(b"three"))
    assert decompress(data, Codec.SNAPPY) == b"one two three"
    assert decompress(data + b"\x00\x00\x00", Codec.SNAPPY) == b"one two three"


def test_lz4_is_written_in_one_frame_of_independent_blocks() -> None:
    data = compress(TEXT, Codec.LZ4)
    frame = lz4.frame.get_frame_info(data)
    assert frame["block_linked"] is False
    assert lz4.frame.decompress(data) == TEXT


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_lz4_frames_of_every_kind_are_read(linked: bool, checksum: bool) -> None:  # noqa: FBT001 - parametrized
    data = lz4.frame.compress(
        TEXT, block_linked=linked, content_checksum=checksum, block_checksum=checksum
    )
    assert decompress(data, Codec.LZ4) == TEXT


def test_lz4_ends_with_its_first_frame_as_for_java() -> None:
    assert decompress(lz4.frame.compress(b"one") * 2, Codec.LZ4) == b"one"


def test_zstd_frames_of_every_kind_follow_each_other() -> None:
    data = b"".join(
        [
            zstd_skippable(b""),
            zstd(b"one ", content_size=False),
            zstd(b"", checksum=True),
            zstd_skippable(b"anything"),
            zstd(bytes(300_000), content_size=False, checksum=True),
            zstd(TEXT, checksum=True),
            zstd(bytes(range(256)), content_size=True),
        ]
    )
    assert decompress(data, Codec.ZSTD) == b"one " + bytes(300_000) + TEXT + bytes(range(256))


@pytest.mark.parametrize("level", [-5, 1, 3, 19])
@given(data=st.binary(min_size=1, max_size=2000), repeats=st.integers(1, 400))
def test_zstd_frames_of_every_level_are_found_whole(level: int, data: bytes, repeats: int) -> None:
    compressor = zstandard.ZstdCompressor(level=level)
    assert decompress(compressor.compress(data * repeats), Codec.ZSTD) == data * repeats


# --- what is bad


@pytest.mark.parametrize("codec", COMPRESSING)
def test_data_that_ends_early_is_an_error(codec: Codec) -> None:
    data = compress(TEXT[:70_000] + bytes(range(256)), codec)
    for size in range(len(data)):
        cut_between_blocks = codec is Codec.SNAPPY and size >= len(XERIAL_HEADER)
        try:
            decompressed = decompress(data[:size], codec)
        except DecompressionError:
            continue
        assert cut_between_blocks, size
        assert TEXT.startswith(decompressed)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_data_of_nothing_is_an_error(codec: Codec) -> None:
    with pytest.raises(DecompressionError):
        decompress(b"", codec)


@pytest.mark.parametrize("codec", COMPRESSING)
@given(data=st.binary(max_size=300))
def test_garbage_is_an_error_of_ours(codec: Codec, data: bytes) -> None:
    with contextlib.suppress(DecompressionError):
        assert len(decompress(data, codec, max_bytes=LIMIT)) <= LIMIT


@pytest.mark.parametrize("codec", COMPRESSING)
@given(data=st.data())
def test_corrupted_data_decompresses_or_is_an_error_of_ours(
    codec: Codec, data: st.DataObject
) -> None:
    damaged = bytearray(compress(TEXT[:3000] + bytes(range(256)), codec))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecompressionError):
        assert len(decompress(damaged, codec, max_bytes=LIMIT)) <= LIMIT


def test_zstd_followed_by_garbage_is_an_error_as_in_kafka() -> None:
    with pytest.raises(DecompressionError):
        decompress(zstd(TEXT) + b"some garbage", Codec.ZSTD)


@pytest.mark.parametrize("size", [0, -1, 1 << 30])
def test_snappy_block_of_an_impossible_size_is_an_error(size: int) -> None:
    data = XERIAL_HEADER + struct.pack(">i", size) + raw_snappy(b"data")
    with pytest.raises(DecompressionError):
        decompress(data, Codec.SNAPPY)


# --- bombs


@pytest.mark.parametrize("codec", Codec)
def test_limit_is_exact(codec: Codec) -> None:
    data = compress(TEXT, codec)
    assert decompress(data, codec, max_bytes=len(TEXT)) == TEXT
    with pytest.raises(DecompressedTooLarge):
        decompress(data, codec, max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_bomb_is_refused(codec: Codec) -> None:
    with pytest.raises(DecompressedTooLarge):
        decompress(bomb(codec), codec, max_bytes=LIMIT)


def test_bombs_of_many_parts_are_refused() -> None:
    parts = {
        Codec.GZIP: gzip.compress(bytes(1 << 16)) * 64,
        Codec.SNAPPY: xerial(*[raw_snappy(bytes(1 << 16))] * 64),
        Codec.ZSTD: zstd(bytes(1 << 16), content_size=False) * 64,
    }
    for codec, data in parts.items():
        with pytest.raises(DecompressedTooLarge):
            decompress(data, codec, max_bytes=LIMIT)


def test_length_that_a_snappy_block_claims_is_not_believed() -> None:
    with pytest.raises(DecompressedTooLarge):
        decompress(b"\xff\xff\xff\xff\x0f" + bytes(10), Codec.SNAPPY, max_bytes=LIMIT)


def test_many_empty_gzip_members_take_no_time() -> None:
    assert decompress(gzip.compress(b"") * 20_000, Codec.GZIP) == b""
