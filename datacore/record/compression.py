"""Kafka's five codecs, bounded: no input makes more output than the caller is ready to hold.

Rules:

- What is written can be read by every client: lz4 in one frame of independent blocks, snappy in
  xerial's framing, as Java reads only those.
- What is read is what some client writes: raw snappy blocks, gzip of several members, zstd of
  several frames, skippable ones between, sizes or none. Of lz4 the first frame counts, as for
  Java.
- Data that ends early is an error; bytes behind complete gzip and lz4 data are ignored, as Kafka
  ignores them.
- Codec libraries load at first use: a broker that never looks into a batch never loads them.

Kafka's counterpart is ``org.apache.kafka.common.compress``.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Final

from datacore.record.errors import DecompressedTooLarge, DecompressionError

if TYPE_CHECKING:
    from datacore.wire.buffer import Buffer

DECOMPRESSED_BYTES_MAX: Final = 128 << 20
"""How much one batch may hold unless the caller says otherwise."""

XERIAL_HEADER: Final = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
"""Magic, version 1 and lowest compatible version 1 of snappy-java's stream format."""

_XERIAL_MAGIC: Final = XERIAL_HEADER[:8]
_XERIAL_BLOCK_BYTES: Final = 32 * 1024
_GZIP_WBITS: Final = 31
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = 0xFD2FB528
_ZSTD_SKIPPABLE_MAGIC: Final = 0x184D2A50
_ZSTD_SKIPPABLE_MASK: Final = 0xFFFFFFF0
_ZSTD_HEADER_BYTES_MIN: Final = 8
_INT32: Final = Struct(">i")
_READ_BYTES: Final = 64 * 1024


class Codec(IntEnum):
    """A codec by its number in the attributes of a batch or message."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def codec_of(number: int) -> Codec:
    """The codec of that number.

    Raises:
        DecompressionError: Nobody has defined one.
    """
    try:
        return Codec(number)
    except ValueError:
        raise DecompressionError(f"Codec {number} is not known.") from None


def compress(data: Buffer, codec: Codec, level: int | None = None) -> bytes:
    """Compresses as a producer would.

    Args:
        data: What to compress.
        codec: By which codec; ``NONE`` copies.
        level: The codec's own scale; None is its default. Snappy has no levels.
    """
    match codec:
        case Codec.NONE:
            return bytes(data)
        case Codec.GZIP:
            import zlib  # noqa: PLC0415 - loads at first use

            compressor = zlib.compressobj(-1 if level is None else level, wbits=_GZIP_WBITS)
            return compressor.compress(data) + compressor.flush()
        case Codec.SNAPPY:
            return _compress_snappy(data)
        case Codec.LZ4:
            import lz4.frame  # noqa: PLC0415 - loads at first use

            compressed: bytes = lz4.frame.compress(
                data, compression_level=level or 0, block_linked=False, store_size=False
            )
            return compressed
        case Codec.ZSTD:
            import zstandard  # noqa: PLC0415 - loads at first use

            return zstandard.ZstdCompressor(level=3 if level is None else level).compress(data)


def decompress(data: Buffer, codec: Codec, *, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """Decompresses what a producer compressed.

    Args:
        data: The compressed bytes.
        codec: By which codec; ``NONE`` copies.
        max_bytes: The most that may come out.

    Raises:
        DecompressedTooLarge: More than ``max_bytes`` would come out.
        DecompressionError: The data is not what the codec says, or ends early.
    """
    match codec:
        case Codec.NONE:
            if len(data) > max_bytes:
                raise _too_large(max_bytes)
            return bytes(data)
        case Codec.GZIP:
            return _decompress_gzip(data, max_bytes)
        case Codec.SNAPPY:
            return _decompress_snappy(data, max_bytes)
        case Codec.LZ4:
            return _decompress_lz4(data, max_bytes)
        case Codec.ZSTD:
            return _decompress_zstd(data, max_bytes)


def _too_large(max_bytes: int) -> DecompressedTooLarge:
    return DecompressedTooLarge(f"The data is larger than {max_bytes} bytes when decompressed.")


def _cut(codec: str) -> DecompressionError:
    return DecompressionError(f"The {codec} data ends early.")


def _decompress_gzip(data: Buffer, max_bytes: int) -> bytes:
    import zlib  # noqa: PLC0415 - loads at first use

    view = memoryview(data)
    parts: list[bytes] = []
    room = max_bytes + 1
    at = 0
    inflater = zlib.decompressobj(wbits=_GZIP_WBITS)
    while at < len(view):
        # In slices: at each member's end zlib copies what it was given behind it.
        piece = view[at : at + _READ_BYTES]
        try:
            part = inflater.decompress(piece, room)
        except zlib.error as error:
            raise DecompressionError(f"The gzip data is bad: {error}.") from None
        room -= len(part)
        if room <= 0:
            raise _too_large(max_bytes)
        parts.append(part)
        at += len(piece) - len(inflater.unused_data)
        if inflater.eof:
            if bytes(view[at : at + 2]) != _GZIP_MAGIC:
                break
            inflater = zlib.decompressobj(wbits=_GZIP_WBITS)
    if not inflater.eof:
        raise _cut("gzip")
    return b"".join(parts)


def _compress_snappy(data: Buffer) -> bytes:
    import cramjam  # noqa: PLC0415 - loads at first use

    view = memoryview(data)
    parts = [XERIAL_HEADER]
    for at in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[at : at + _XERIAL_BLOCK_BYTES]))
        parts.append(_INT32.pack(len(block)))
        parts.append(block)
    return b"".join(parts)


def _decompress_snappy(data: Buffer, max_bytes: int) -> bytes:
    view = memoryview(data)
    if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _decompress_snappy_block(view, max_bytes, max_bytes)
    parts: list[bytes] = []
    room = max_bytes
    at = len(XERIAL_HEADER)
    end = len(view)
    if end < at:
        raise _cut("snappy")
    # Fewer than four bytes behind the last block are no block: snappy-java stops there, too.
    while end - at >= _INT32.size:
        size: int = _INT32.unpack_from(view, at)[0]
        if view[at : at + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:
            at += len(XERIAL_HEADER)  # a second stream, concatenated
            continue
        at += _INT32.size
        if not 0 < size <= end - at:
            raise DecompressionError(f"A snappy block of {size} bytes; {end - at} are left.")
        part = _decompress_snappy_block(view[at : at + size], room, max_bytes)
        room -= len(part)
        parts.append(part)
        at += size
    return b"".join(parts)


def _decompress_snappy_block(block: memoryview, room: int, max_bytes: int) -> bytes:
    import cramjam  # noqa: PLC0415 - loads at first use

    try:
        # The length is the block's own word and comes before anything is allocated for it.
        if cramjam.snappy.decompress_raw_len(block) > room:
            raise _too_large(max_bytes)
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise DecompressionError(f"The snappy data is bad: {error}.") from None


def _decompress_lz4(data: Buffer, max_bytes: int) -> bytes:
    import lz4.frame  # noqa: PLC0415 - loads at first use

    decompressor = lz4.frame.LZ4FrameDecompressor()
    parts: list[bytes] = []
    room = max_bytes + 1
    source: Buffer = data
    read_bytes = max(_READ_BYTES, 4 * len(data))
    while True:
        try:
            # Never the whole of max_bytes at once: lz4 allocates what it is allowed.
            part: bytes = decompressor.decompress(source, max_length=min(room, read_bytes))
        except (RuntimeError, EOFError) as error:
            raise DecompressionError(f"The lz4 data is bad: {error}.") from None
        room -= len(part)
        if room <= 0:
            raise _too_large(max_bytes)
        parts.append(part)
        if decompressor.eof:
            return b"".join(parts)
        if decompressor.needs_input or not part:
            raise _cut("lz4")
        source = b""


def _decompress_zstd(data: Buffer, max_bytes: int) -> bytes:
    import zstandard  # noqa: PLC0415 - loads at first use

    _check_zstd_frames(data)
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    parts: list[bytes] = []
    room = max_bytes + 1
    read_bytes = max(_READ_BYTES, 4 * len(data))
    while True:
        try:
            part = reader.read(min(room, read_bytes))
        except zstandard.ZstdError as error:
            raise DecompressionError(f"The zstd data is bad: {error}.") from None
        if not part:
            return b"".join(parts)
        room -= len(part)
        if room <= 0:
            raise _too_large(max_bytes)
        parts.append(part)


def _check_zstd_frames(data: Buffer) -> None:
    """Refuses data that ends within a frame, which zstandard's reader takes for the end (RFC 8878).

    Raises:
        DecompressionError: It does, or there is no frame at all, or something else behind one.
    """
    view = memoryview(data)
    end = len(view)
    at = 0
    while at < end or at == 0:
        if end - at < _ZSTD_HEADER_BYTES_MIN:
            raise _cut("zstd")
        magic = int.from_bytes(view[at : at + 4], "little")
        if magic & _ZSTD_SKIPPABLE_MASK == _ZSTD_SKIPPABLE_MAGIC:
            at += 8 + int.from_bytes(view[at + 4 : at + 8], "little")
        elif magic == _ZSTD_MAGIC:
            at = _zstd_frame_end(view, at)
        else:
            raise DecompressionError("The zstd data has something else where a frame should start.")
    if at > end:
        raise _cut("zstd")


def _zstd_frame_end(view: memoryview, at: int) -> int:
    """Where the frame at ``at`` ends; may lie behind the data's end."""
    descriptor = view[at + 4]
    is_single_segment = descriptor >> 5 & 1
    content_size_bytes = (is_single_segment, 2, 4, 8)[descriptor >> 6]
    dictionary_id_bytes = (0, 1, 2, 4)[descriptor & 3]
    checksum_bytes = descriptor & 4
    at += 5 + (1 - is_single_segment) + dictionary_id_bytes + content_size_bytes
    while at + 3 <= len(view):
        block = view[at] | view[at + 1] << 8 | view[at + 2] << 16
        is_run = block >> 1 & 3 == 1
        at += 3 + (1 if is_run else block >> 3)
        if block & 1:
            return at + checksum_bytes
    raise _cut("zstd")
