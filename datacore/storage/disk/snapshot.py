"""The file ``snapshot`` of a log: what its owner wants to find again, with a checksum.

CRC32C of what follows, uint32; the offset that it sums up to, int64; the owner's bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from fastcrc import crc32

if TYPE_CHECKING:
    from pathlib import Path

    from datacore.storage.disk.files import Files

_CRC: Final = Struct(">I")
_OFFSET: Final = Struct(">q")
_HEADER_SIZE: Final = _CRC.size + _OFFSET.size


def write_snapshot(files: Files, folder: Path, offset: int, snapshot: bytes) -> None:
    """Replaces the log's snapshot, unless it says the same.

    A loss of power leaves this one or the one before, either of them whole: a start from the older
    one takes longer, and that is all.

    Raises:
        OSError: The one before is still there.
    """
    if read_snapshot(folder) == (offset, snapshot):
        return
    content = _OFFSET.pack(offset) + snapshot
    files.replace(folder / "snapshot", _CRC.pack(crc32.iscsi(content)) + content, sync_folder=False)


def read_snapshot(folder: Path) -> tuple[int, bytes] | None:
    """The log's snapshot and its offset; None when there is none that is whole."""
    try:
        content = (folder / "snapshot").read_bytes()
    except FileNotFoundError:
        return None
    if len(content) < _HEADER_SIZE:
        return None
    summed = memoryview(content)[_CRC.size :]
    if crc32.iscsi(summed) != _CRC.unpack_from(content)[0]:
        return None
    return _OFFSET.unpack_from(summed)[0], content[_HEADER_SIZE:]


def drop_snapshot(folder: Path, above_offset: int) -> None:
    """Removes the snapshot when it sums up more than the log holds."""
    found = read_snapshot(folder)
    if found is not None and found[0] > above_offset:
        (folder / "snapshot").unlink(missing_ok=True)
