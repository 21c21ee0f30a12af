"""Which new versions need no hand: those that only bring what may be left out."""

from pathlib import Path

from codegen.merge import load_messages
from codegen.new_versions import NewVersion, advertised, new_versions

SPECS = Path(__file__).parents[2] / "specs"
TABLE = """
    _api(ApiKey.LIST_OFFSETS, 7, list_offsets.handle, list_offsets.error_response),
    _api(ApiKey.FETCH, 16, fetch.handle, fetch.error_response),
    _api(ApiKey.OFFSET_FETCH, 7, offset_fetch.handle, offset_fetch.error_response),
"""


def test_new_versions_tell_what_they_bring_and_what_needs_a_hand() -> None:
    found = {(each.api, each.version): each for each in new_versions(load_messages(SPECS), TABLE)}
    assert found["LIST_OFFSETS", 8] == NewVersion("LIST_OFFSETS", 8, (), ())
    assert found["LIST_OFFSETS", 10].brings == ("request.TimeoutMs",)
    assert found["FETCH", 17].brings == ("request.Topics.Partitions.ReplicaDirectoryId",)
    assert "request.GroupId (gone)" in found["OFFSET_FETCH", 8].needs
    assert ("FETCH", 16) not in found


def test_a_version_that_needs_a_hand_stops_its_api() -> None:
    versions = [
        NewVersion("FETCH", 17, ("request.X",), ()),
        NewVersion("OFFSET_FETCH", 8, (), ("request.GroupId (gone)",)),
        NewVersion("OFFSET_FETCH", 9, (), ()),
    ]
    changed = advertised(TABLE, versions)
    assert "_api(ApiKey.FETCH, 17, fetch.handle" in changed
    assert "_api(ApiKey.OFFSET_FETCH, 7, offset_fetch.handle" in changed


def test_today_nothing_stable_is_left_unserved() -> None:
    table = Path(__file__).parents[2] / "datacore" / "handlers" / "table.py"
    assert new_versions(load_messages(SPECS), table.read_text()) == []
