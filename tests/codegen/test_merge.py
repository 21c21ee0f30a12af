"""Two releases of one message become one, or an error."""

from pathlib import Path
from typing import Any

import pytest

from codegen.merge import load_messages, merge
from codegen.model import parse_message
from codegen.resolved import Message, resolve
from codegen.spec_error import SpecError

Fields = list[dict[str, Any]]


def message(valid: str, fields: Fields, name: str = "PingRequest", flexible: str = "2+") -> Message:
    """A request with these fields."""
    document = {
        "name": name,
        "type": "request",
        "apiKey": 999,
        "validVersions": valid,
        "flexibleVersions": flexible,
        "fields": fields,
    }
    resolved = resolve(parse_message(document, "new.json"), "messages", Path("new.json"))
    assert resolved is not None
    return resolved


def field(name: str, versions: str, kind: str = "int32", **more: object) -> dict[str, Any]:
    """One field."""
    return {"name": name, "type": kind, "versions": versions, **more}


def test_a_version_comes_from_the_release_that_has_it() -> None:
    older = message("0-2", [field("Old", "0"), field("Both", "0+"), field("Older", "0-1")])
    newer = message("2-3", [field("Both", "0+"), field("New", "3+")])
    merged = merge(older, newer)
    assert merged.versions == {0, 1, 2, 3}
    assert merged.flexible == {2, 3}
    assert [(each.spec_name, set(each.versions)) for each in merged.root.fields] == [
        ("Old", {0}),
        ("Both", {0, 1, 2, 3}),
        ("Older", {0, 1}),
        ("New", {3}),
    ]


def test_a_tag_may_be_added_to_a_version_that_exists() -> None:
    added = field("Extra", "2+", taggedVersions="2+", tag=0)
    merged = merge(message("0-2", [field("A", "0+")]), message("1-2", [field("A", "0+"), added]))
    assert merged.root.fields[1].tagged == {2}


@pytest.mark.parametrize(
    ("newer", "complaint"),
    [
        ([field("A", "0+", "int64")], "A: type differs"),
        ([field("A", "0+", default=5)], "A: default differs"),
        ([field("A", "0-1")], "A: versions differs"),
        ([field("A", "0+", ignorable=True)], "A: ignorable differs"),
        ([field("A", "0+"), field("B", "0+")], "B: presence differs"),
        ([], "A: presence differs"),
    ],
)
def test_releases_that_disagree_are_an_error(newer: Fields, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        merge(message("0-2", [field("A", "0+")]), message("2-3", newer))


def test_nullable_in_one_release_only_is_an_error() -> None:
    older = message("0-2", [field("A", "0+", "string")])
    newer = message("2-3", [field("A", "0+", "string", nullableVersions="2+")])
    with pytest.raises(SpecError, match="A: nullableVersions differs"):
        merge(older, newer)


def test_another_order_of_fields_is_an_error() -> None:
    ab = [field("A", "0+"), field("B", "0+")]
    with pytest.raises(SpecError, match="order of fields"):
        merge(message("0-2", ab), message("2-3", ab[::-1]))


def test_a_gap_between_the_releases_is_an_error() -> None:
    with pytest.raises(SpecError, match="gap"):
        merge(message("0-1", []), message("3", []))


def test_flexible_in_one_release_only_is_an_error() -> None:
    with pytest.raises(SpecError, match="flexibleVersions"):
        merge(message("0-2", []), message("2-3", [], flexible="3+"))


def test_only_a_listed_message_may_differ_in_shared_versions() -> None:
    older = message("0-1", [field("CandidateId", "0+")], name="VoteRequest")
    newer = message("0-2", [field("ReplicaId", "0+")], name="VoteRequest")
    assert merge(older, newer) is newer


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([field("A", "0+", "Nowhere")], "A: unknown type: 'Nowhere'"),
        ([field("A", "0+"), field("A", "0+")], "A: field is there twice"),
        (
            [field("A", "0+", "S", fields=[]), field("B", "0+", "S", fields=[])],
            "B: struct S is defined twice",
        ),
    ],
)
def test_structs_that_cannot_be_resolved_are_an_error(fields: Fields, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        message("0", fields)


def test_a_struct_that_holds_itself_is_an_error() -> None:
    document = {
        "name": "PingRequest",
        "type": "request",
        "apiKey": 999,
        "validVersions": "0",
        "fields": [field("A", "0+", "[]Node")],
        "commonStructs": [
            {"name": "Node", "versions": "0+", "fields": [field("Next", "0+", "[]Node")]}
        ],
    }
    with pytest.raises(SpecError, match="struct Node holds itself"):
        resolve(parse_message(document, "new.json"), "messages", Path("new.json"))


def test_a_folder_that_is_no_release_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "newest").mkdir()
    with pytest.raises(SpecError, match="folder name is no release"):
        load_messages(tmp_path)
