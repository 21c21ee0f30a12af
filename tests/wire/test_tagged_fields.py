"""Sections of tagged fields, known and unknown."""

import pytest

from datacore._generated.fetch import FetchRequest, ReplicaState
from datacore.wire.errors import DecodeError, EncodeError
from datacore.wire.tagged_fields import read_unknown_tags, write_tags


def written(*fields: tuple[int, bytes]) -> bytes:
    """The section of these fields."""
    out: list[bytes | bytearray | memoryview] = []
    write_tags(out, fields)
    return b"".join(out)


def test_fields_are_written_in_order_of_their_tags() -> None:
    assert written((300, b"x"), (1, b"")) == bytes.fromhex("02 0100 ac02 01 78")


def test_a_section_comes_back() -> None:
    fields = ((1, b""), (300, b"x" * 200))
    section = written(*fields)
    assert read_unknown_tags(b"?" + section, 1, len(section) + 1) == (fields, len(section) + 1)


def test_a_tag_that_is_there_twice_is_refused_when_written() -> None:
    with pytest.raises(EncodeError, match="tagged field 1 is there twice"):
        written((1, b"a"), (1, b"b"))


@pytest.mark.parametrize("section", ["05 0000", "01 00 02 61", "ffffffff0f 0000"])
def test_fields_that_do_not_fit_are_refused(section: str) -> None:
    data = bytes.fromhex(section)
    with pytest.raises(DecodeError):
        read_unknown_tags(data, 0, len(data))


def test_unknown_fields_are_merged_among_the_known_ones() -> None:
    # Version 15 of Fetch knows the tags 0 (cluster id) and 1 (replica state).
    fields = FetchRequest(
        cluster_id="a",
        replica_state=ReplicaState(replica_id=3),
        unknown_tagged_fields=((2, b"two"), (9, b"nine")),
    )
    frame = fields.encode(15)
    section = frame[frame.index(b"\x04\x00\x02\x02a") :]
    assert section[5:7] == b"\x01\x0d"
    assert section.endswith(b"\x02\x03two\x09\x04nine")
    assert FetchRequest.decode(frame, 15) == (fields, len(frame))


def test_a_known_field_that_does_not_fill_its_size_is_refused() -> None:
    good = FetchRequest(cluster_id="abc").encode(12)
    assert good.endswith(b"\x01\x00\x04\x04abc")
    for bad in (good[:-6] + b"\x00\x05\x04abcd", good[:-6] + b"\x00\x03\x04abc"):
        with pytest.raises(DecodeError, match=r"FetchRequest\.cluster_id does not fit"):
            FetchRequest.decode(bad, 12)


def test_a_known_tag_of_a_later_version_is_kept_as_unknown() -> None:
    # ReplicaState has tag 1 from version 15 on.
    frame = FetchRequest(unknown_tagged_fields=((1, b"?"),)).encode(12)
    decoded, _ = FetchRequest.decode(frame, 12)
    assert decoded.unknown_tagged_fields == ((1, b"?"),)
    assert decoded.encode(12) == frame


def test_fields_at_their_default_are_not_written() -> None:
    assert FetchRequest().encode(12) == FetchRequest(cluster_id=None).encode(12)
    assert FetchRequest().encode(12).endswith(b"\x00")


def test_unknown_fields_are_refused_where_a_version_has_no_place_for_them() -> None:
    with pytest.raises(EncodeError, match="unknown_tagged_fields is set"):
        FetchRequest(unknown_tagged_fields=((9, b""),)).encode(11)
