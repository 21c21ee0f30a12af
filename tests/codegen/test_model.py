"""What a spec may say, and that anything else is refused with file, path and reason."""

from typing import Any

import pytest

from codegen.field_type import FieldType
from codegen.model import MessageSpec, parse_message
from codegen.spec_error import SpecError
from codegen.versions import NONE, OPEN, Versions

Document = dict[str, Any]


def spec(**changes: object) -> Document:
    """A small spec that is right, with changes at its top."""
    return {
        "name": "PingRequest",
        "type": "request",
        "apiKey": 999,
        "listeners": ["broker"],
        "validVersions": "0-2",
        "flexibleVersions": "1+",
        "fields": [
            {
                "name": "Topics",
                "type": "[]PingTopic",
                "versions": "0+",
                "fields": [{"name": "Name", "type": "string", "versions": "0+"}],
            }
        ],
    } | changes


def with_field(**changes: object) -> Document:
    """The same with changes of the inner field."""
    document = spec()
    document["fields"][0]["fields"][0] |= changes
    return document


def refusal(document: object) -> SpecError:
    """How the spec is refused."""
    with pytest.raises(SpecError) as caught:
        parse_message(document, "Ping.json")
    assert caught.value.file == "Ping.json"
    return caught.value


def test_a_right_spec_is_taken() -> None:
    message = parse_message(spec(), "Ping.json")
    assert isinstance(message, MessageSpec)
    assert message.valid_versions == Versions(0, 2)
    assert message.fields[0].type == FieldType("PingTopic", is_array=True)


def test_an_unknown_key_of_a_message_is_refused() -> None:
    error = refusal(spec(colour="blue"))
    assert (error.path, error.reason) == ("colour", "unknown key")


def test_an_unknown_key_of_a_field_is_refused_with_the_names_on_its_way() -> None:
    error = refusal(with_field(compression="none"))
    assert (error.path, error.reason) == ("fields.Topics.fields.Name.compression", "unknown key")
    assert str(error) == "Ping.json: fields.Topics.fields.Name.compression: unknown key"


@pytest.mark.parametrize("kind", ["int128", "[][]int32", "[]records", "", "topicName", "[]", 7])
def test_an_unknown_type_is_refused(kind: object) -> None:
    error = refusal(with_field(type=kind))
    assert error.path == "fields.Topics.fields.Name.type"
    assert error.reason == f"unknown type: {kind!r}"


@pytest.mark.parametrize("versions", ["1-", "+", "2-1", "0 +", "all", "1,2", "99999", 3, ""])
def test_unknown_version_syntax_is_refused(versions: object) -> None:
    error = refusal(with_field(versions=versions))
    assert error.path == "fields.Topics.fields.Name.versions"
    assert error.reason == f"not a version range: {versions!r}"


def test_a_missing_key_is_refused() -> None:
    document = spec()
    del document["fields"][0]["versions"]
    assert refusal(document).path == "fields.Topics.versions"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tag": 0}, "tag and taggedVersions belong together"),
        ({"taggedVersions": "1+"}, "tag and taggedVersions belong together"),
        ({"tag": -1, "taggedVersions": "1+"}, "negative tag -1"),
        ({"type": "int32", "nullableVersions": "0+"}, "type int32 cannot be null"),
        ({"fields": []}, "type string has no fields"),
        ({"zeroCopy": True}, "zeroCopy is for bytes, not for string"),
        ({"type": "int8", "default": 128}, "default 128 is no int8"),
        ({"type": "int8", "default": "1"}, "default '1' is no int8"),
        ({"type": "bool", "default": 0}, "default 0 is no bool"),
        ({"type": "[]int32", "default": 0}, "default 0 is no []int32"),
        ({"type": "bytes", "default": "null"}, "default 'null' is no bytes"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: Document, reason: str) -> None:
    error = refusal(with_field(**changes))
    assert error.path == "fields.Topics.fields.Name"
    assert error.reason == reason


def test_a_tag_outside_the_flexible_versions_is_refused() -> None:
    error = refusal(with_field(tag=0, taggedVersions="0+"))
    assert error.reason == "Name is tagged in versions that are not flexible"


def test_a_request_without_a_key_is_refused() -> None:
    document = spec()
    del document["apiKey"]
    assert "apiKey is for messages that are sent or logged" in refusal(document).reason


def test_an_unknown_entity_type_is_refused() -> None:
    assert refusal(with_field(entityType="colour")).path == "fields.Topics.fields.Name.entityType"


@pytest.mark.parametrize("text", ["none", "0", "3", "0-4", "2+"])
def test_version_ranges_are_written_as_they_were_read(text: str) -> None:
    assert str(Versions.parse(text)) == text


def test_version_ranges_are_cut_to_the_valid_ones() -> None:
    assert Versions.parse("2+") == Versions(2, OPEN)
    assert Versions.parse("2+").within(Versions(0, 4)) == {2, 3, 4}
    assert Versions.parse("0-2").within(Versions(3, 4)) == frozenset()
    assert NONE.within(Versions(0, 4)) == frozenset()
