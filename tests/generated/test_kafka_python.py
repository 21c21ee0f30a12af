"""kafka-python's two sets of codecs read what ours write, and write the same bytes again.

Its newer codecs cover all versions of what clients use, its older ones are written by hand.
"""

import importlib
import pkgutil
import re
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from codegen.names import snake_case
from codegen.resolved import Field, Struct
from datacore.wire.message import WireMessage
from tests.generated.messages import Generated, all_generated

WRONG_IN_KAFKA_PYTHON = {
    "DescribeAclsRequest_v2",  # has a tagged section from version 2 on, they read none
    "DescribeAclsResponse_v2",
    "DescribeLogDirsRequest_v0",  # partitions are an array, they read one
    "ApiVersionsResponse_v1",  # any error code makes them read version 0
    "ApiVersionsResponse_v2",
    "ApiVersionsResponse_v3",
    "ApiVersionsResponse_v4",
}


def subclasses(of: Any) -> Iterator[Any]:
    """All below a class."""
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def newer_codecs() -> dict[str, Any]:
    """kafka-python's codecs by the message's name."""
    for name in ("admin", "consumer", "metadata", "producer", "sasl"):
        importlib.import_module(f"kafka.protocol.{name}")
    message = importlib.import_module("kafka.protocol.api_message").ApiMessage
    return {each.__name__: each for each in subclasses(message)}


def older_codecs() -> dict[str, Any]:
    """kafka-python's hand-written codecs by the message's name and version."""
    package = importlib.import_module("kafka.protocol.old")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"kafka.protocol.old.{module.name}")
    message = importlib.import_module("kafka.protocol.old.api").RequestResponse
    return {each.__name__: each for each in subclasses(message)}


with warnings.catch_warnings():
    # It reads its own specs in a way that Python 3.11 deprecates and later versions take back.
    warnings.simplefilter("ignore", DeprecationWarning)
    NEWER = newer_codecs()
    OLDER = older_codecs()
KNOWN_BY_NEWER = [each for each in all_generated() if each.message.name in NEWER]


def full_value(generated: Generated, version: int) -> WireMessage:
    """A message without what kafka-python drops or takes for a failure."""
    message = generated.full_value(version, unknown_tagged_fields=())
    if generated.message.name == "ApiVersionsResponse":
        message.error_code = 0  # type: ignore[attr-defined]
    return message


def same(struct: Struct, version: int, ours: object, theirs: Any) -> bool:
    """Whether two structs have the same values in all fields of a version."""
    for each in struct.fields:
        # Bits of allowed operations become a set under another name in kafka-python.
        if version in each.versions and not each.spec_name.endswith("AuthorizedOperations"):
            name = snake_case(each.spec_name)
            if not same_value(each, version, getattr(ours, name), getattr(theirs, name)):
                return False
    return True


def same_value(field: Field, version: int, ours: Any, theirs: Any) -> bool:
    """Whether two values of one field are equal, whatever classes they have."""
    if field.type.is_array:
        pairs = zip(ours, theirs, strict=True)
    else:
        pairs = zip([ours], [theirs], strict=True)
    if field.struct is not None:
        struct = field.struct
        return all(same(struct, version, our, their) for our, their in pairs)
    return all(
        our == (their.bytes if isinstance(their, uuid.UUID) else their) for our, their in pairs
    )


@pytest.mark.parametrize("generated", KNOWN_BY_NEWER, ids=lambda each: each.message.name)
def test_newer_codecs_read_and_write_the_same(generated: Generated) -> None:
    theirs = NEWER[generated.message.name]
    for version in sorted(generated.message.versions):
        if version > theirs.max_version:
            continue
        ours = full_value(generated, version)
        encoded = ours.encode(version)
        decoded = theirs.decode(encoded, version=version)
        decoded._header = None  # what its own decode leaves unset, its encode asks for
        assert decoded.encode(version=version) == encoded
        assert same(generated.message.root, version, ours, decoded), version


def test_older_codecs_read_and_write_the_same() -> None:
    by_name = {each.message.name: each for each in all_generated()}
    compared = 0
    for name, theirs in OLDER.items():
        match = re.fullmatch(r"(\w+)_v(\d+)", name)
        if match is None or name in WRONG_IN_KAFKA_PYTHON:
            continue
        version = int(match[2])
        encoded = by_name[match[1]].full_value(version, unknown_tagged_fields=()).encode(version)
        assert theirs.decode(encoded).encode() == encoded, name
        compared += 1
    assert compared > 200
