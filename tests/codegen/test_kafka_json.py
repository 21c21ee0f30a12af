"""From the files in Kafka's jars to the normal form."""

import pytest

from codegen.kafka_json import normal_form, read_kafka_json
from codegen.spec_error import SpecError


def test_comments_are_dropped_but_not_inside_strings() -> None:
    text = """// licence
    { "name": "A", // why
      "see": "https://example.org/\\"x\\"//y"
    }
    // the end"""
    assert read_kafka_json(text, "A.json") == {"name": "A", "see": 'https://example.org/"x"//y'}


def test_text_behind_the_last_brace_is_ignored() -> None:
    assert read_kafka_json('{"name": "A"} trailing', "A.json") == {"name": "A"}


def test_what_is_no_json_is_refused_with_its_file() -> None:
    with pytest.raises(SpecError, match=r"A\.json: not JSON"):
        read_kafka_json("{name}", "A.json")
    with pytest.raises(SpecError, match="not a JSON object"):
        read_kafka_json("[]", "A.json")


def test_prose_goes_and_keys_get_one_order() -> None:
    document = {
        "fields": [{"about": "x", "versions": "0+", "name": "N", "type": "int8"}],
        "name": "A",
    }
    assert list(normal_form(document, "A.json").items()) == [
        ("name", "A"),
        ("fields", [{"name": "N", "type": "int8", "versions": "0+"}]),
    ]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"type": "int32", "default": "0x7fffffff"}, {"default": 2147483647}),
        ({"type": "int64", "default": "-1"}, {"default": -1}),
        ({"type": "int16", "default": -1}, {"default": -1}),
        ({"type": "bool", "default": "true"}, {"default": True}),
        ({"type": "bool", "default": False}, {"default": False}),
        ({"type": "string", "default": "null"}, {"default": "null"}),
        ({"type": "Struct", "default": None}, {}),
        ({"tag": "0", "taggedVersions": "1+"}, {"tag": 0, "versions": "1+"}),
        ({"ignorable": False}, {}),
        ({"ignorable": True}, {"ignorable": True}),
        ({"ignorable": "true"}, {"ignorable": True}),
    ],
)
def test_values_get_one_form(field: dict[str, object], expected: dict[str, object]) -> None:
    (normal,) = normal_form({"fields": [field]}, "A.json")["fields"]
    kept = {key: value for key, value in field.items() if key in ("type", "taggedVersions")}
    assert normal == kept | expected


def test_an_integer_that_is_none_is_refused_with_its_path() -> None:
    document = {"fields": [{"name": "N", "type": "int8", "default": "many"}]}
    with pytest.raises(SpecError, match=r"A\.json: N\.default: not an integer: 'many'"):
        normal_form(document, "A.json")


def test_an_unknown_key_stays_for_the_model_to_refuse() -> None:
    assert normal_form({"colour": "blue"}, "A.json") == {"colour": "blue"}
