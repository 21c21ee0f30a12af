"""Kafka's spec files as they are in the jars: JSON with comments, and prose that we leave behind.

`normal_form` turns one into the bare facts that specs/ keeps: no comments, no `about`, defaults
as JSON values instead of strings of digits, every field with its versions, keys in one order.
"""

import json
from typing import Any, Final

from codegen.field_type import FIXED_FORMATS, INTEGER_RANGES
from codegen.model import NULL_DEFAULT
from codegen.spec_error import SpecError

_PROSE: Final = frozenset({"about", "deprecatedVersions"})
"""Keys that say nothing about the bytes; deprecated versions are in specs/releases.json."""

_KEY_ORDER: Final = (
    "name",
    "type",
    "apiKey",
    "listeners",
    "validVersions",
    "latestVersionUnstable",
    "versions",
    "nullableVersions",
    "taggedVersions",
    "tag",
    "flexibleVersions",
    "default",
    "ignorable",
    "mapKey",
    "entityType",
    "zeroCopy",
    "commonStructs",
    "fields",
)
_FLAGS: Final = frozenset({"ignorable", "latestVersionUnstable"})
_NESTED: Final = frozenset({"fields", "commonStructs"})

Document = dict[str, Any]


def read_kafka_json(text: str, file: str) -> Document:
    """Read a spec as Kafka ships it: comments, and text behind the last brace, are ignored.

    Raises:
        SpecError: It is no JSON even without its comments.
    """
    try:
        document, _ = json.JSONDecoder().raw_decode(_without_comments(text).lstrip())
    except ValueError as error:
        raise SpecError(file, "", f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(file, "", "not a JSON object")
    return document


def normal_form(document: Document, file: str) -> Document:
    """The bare facts of a spec, keys in one order.

    Raises:
        SpecError: A value has no normal form.
    """
    return _normal_object(document, file, "")


def _normal_object(node: Document, file: str, path: str) -> Document:
    facts = {key: value for key, value in node.items() if key not in _PROSE}
    if facts.get("default", ...) is None:
        del facts["default"]  # a bare null is no default: only the string "null" is one
    if "tag" in facts:
        facts["tag"] = _integer(facts["tag"], file, f"{path}.tag")
    if "taggedVersions" in facts:
        facts.setdefault("versions", facts["taggedVersions"])
    if "default" in facts:
        facts["default"] = _default(facts, file, f"{path}.default")
    for key in _NESTED & facts.keys():
        facts[key] = [
            _normal_object(each, file, f"{path}.{each.get('name')}".lstrip("."))
            for each in facts[key]
        ]
    for key in _FLAGS & facts.keys():
        if facts[key] in ("true", "false"):  # 4.2 wrote one so
            facts[key] = facts[key] == "true"
        if facts[key] is False:
            del facts[key]
    # An unknown key goes last and stays: the model refuses it with its path.
    order = {key: place for place, key in enumerate(_KEY_ORDER)}
    return dict(sorted(facts.items(), key=lambda item: order.get(item[0], len(order))))


def _default(facts: Document, file: str, path: str) -> object:
    default, kind = facts["default"], facts.get("type")
    if kind in INTEGER_RANGES:
        return _integer(default, file, path)
    if kind == "bool" and default in ("true", "false"):
        return default == "true"
    if kind in FIXED_FORMATS or default != NULL_DEFAULT:
        return default
    return NULL_DEFAULT


def _integer(value: object, file: str, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            pass
    raise SpecError(file, path, f"not an integer: {value!r}")


def _without_comments(text: str) -> str:
    """Drop `//` to the end of the line, but not inside a string (they hold web addresses)."""
    kept: list[str] = []
    at, in_string = 0, False
    while at < len(text):
        char = text[at]
        if in_string and char == "\\":
            kept.append(text[at : at + 2])
            at += 2
            continue
        if char == '"':
            in_string = not in_string
        elif not in_string and text.startswith("//", at):
            line_end = text.find("\n", at)
            at = line_end if line_end >= 0 else len(text)
            continue
        kept.append(char)
        at += 1
    return "".join(kept)
