"""Every message at every version, judged by the bytes of Apache Kafka's own classes."""

import base64
import math
import pkgutil
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import datacore._generated
from datacore.wire.message import WireMessage
from tests.golden import corpus
from tests.golden.corpus import MessageVector

# The specs describe these, but no release whose classes we ask still has a Java class for them.
WITHOUT_JAVA: frozenset[tuple[str, int]] = frozenset()
# Fields as the newest spec calls them, where the class of an older release has another name.
RENAMED = {
    ("VoteRequest", "candidateepoch"): "replicaepoch",
    ("VoteRequest", "candidateid"): "replicaid",
    ("VoteRequest", "candidatedirectoryid"): "replicadirectoryid",
    ("ListConfigResourcesResponse", "clientmetricsresources"): "configresources",
    ("ListConfigResourcesResponse", "name"): "resourcename",
}


def _generated_classes() -> dict[str, type[WireMessage]]:
    classes: dict[str, type[WireMessage]] = {}
    tree = datacore._generated
    for module_info in pkgutil.walk_packages(tree.__path__, f"{tree.__name__}."):
        module = import_module(module_info.name)
        for member in vars(module).values():
            is_class = isinstance(member, type) and issubclass(member, WireMessage)
            if is_class and member.__module__ == module.__name__:
                assert member.__name__ not in classes
                classes[member.__name__] = member
    return classes


CLASSES = _generated_classes()
VECTORS: dict[str, list[MessageVector]] = defaultdict(list)
for _vector in corpus.messages():
    VECTORS[_vector.message].append(_vector)


def test_every_version_that_java_speaks_is_generated() -> None:
    spoken = {(v.message, v.version) for vectors in VECTORS.values() for v in vectors}
    assert spoken <= _generated_versions()


def test_every_generated_version_has_golden_vectors() -> None:
    generated = _generated_versions()
    judged = {(v.message, v.version) for vectors in VECTORS.values() for v in vectors}
    assert generated - judged == WITHOUT_JAVA
    count = sum(map(len, VECTORS.values()))
    print(f"{len(CLASSES)} messages, {len(judged)} of message and version, {count} vectors")


@pytest.mark.parametrize("message", sorted(VECTORS))
def test_bytes_of_java_decode_and_encode_to_the_same_bytes(message: str) -> None:
    kind = CLASSES[message]
    differing = [str(vector) for vector in VECTORS[message] if _again(kind, vector) != vector.body]
    assert differing == []


@pytest.mark.parametrize("message", sorted(VECTORS))
def test_records_stay_views_and_parts_join_to_the_same_bytes(message: str) -> None:
    kind = CLASSES[message]
    for vector in VECTORS[message]:
        decoded, _ = kind.decode(memoryview(vector.body), vector.version)
        assert b"".join(decoded.encode_parts(vector.version)) == vector.body, str(vector)


@pytest.mark.parametrize("message", sorted(VECTORS))
def test_a_message_inside_a_larger_frame_ends_where_java_ended_it(message: str) -> None:
    kind = CLASSES[message]
    for vector in VECTORS[message]:
        frame = b"\xff" * 5 + vector.body + b"\xff" * 3
        decoded, end = kind.decode(frame, vector.version, 5)
        assert end == 5 + len(vector.body), str(vector)
        assert decoded.encode(vector.version) == vector.body, str(vector)


@pytest.mark.parametrize("message", sorted(VECTORS))
def test_a_new_message_is_encoded_as_a_new_one_of_java(message: str) -> None:
    kind = CLASSES[message]
    for vector in VECTORS[message]:
        if vector.case == "default":
            assert kind().encode(vector.version) == vector.body, str(vector)


@pytest.mark.parametrize("message", sorted(VECTORS))
def test_every_field_means_what_it_means_to_java(message: str) -> None:
    kind = CLASSES[message]
    for vector in VECTORS[message]:
        if vector.fields is not None:
            decoded, _ = kind.decode(vector.body, vector.version)
            assert list(_differences(message, decoded, vector.fields, "")) == [], str(vector)


def _generated_versions() -> set[tuple[str, int]]:
    return {
        (name, version)
        for name, kind in CLASSES.items()
        for version in range(kind.min_version, kind.max_version + 1)
    }


def _again(kind: type[WireMessage], vector: MessageVector) -> bytes:
    decoded, end = kind.decode(vector.body, vector.version)
    assert end == len(vector.body), str(vector)
    return decoded.encode(vector.version)


def _differences(message: str, ours: Any, java: dict[str, Any], path: str) -> Iterator[str]:
    """Paths of the fields where ours is not Java's; what Java leaves out has its default."""
    names = {name.replace("_", ""): name for name in ours.__slots__}
    left = set(ours.__slots__) - {"unknown_tagged_fields"}
    for java_name, theirs in java.items():
        spelled = RENAMED.get((message, java_name.lower()), java_name.lower())
        # Of records it tells the size, under a name of its own.
        name = names.get(spelled) or names[spelled.removesuffix("sizeinbytes")]
        left.discard(name)
        yield from _unequal(message, getattr(ours, name), theirs, f"{path}.{java_name}")
    fresh = type(ours)()
    yield from (f"{path}.{name}" for name in left if getattr(ours, name) != getattr(fresh, name))


def _unequal(message: str, ours: Any, theirs: Any, path: str) -> Iterator[str]:
    match theirs:
        case dict():
            yield from _differences(message, ours, theirs, path)
        case list():
            if not isinstance(ours, list) or len(ours) != len(theirs):
                yield path
                return
            for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                yield from _unequal(message, one, other, f"{path}[{index}]")
        case str() if isinstance(ours, bytes):
            if theirs not in _texts_of(ours):
                yield path
        case int() if isinstance(ours, memoryview):
            if len(ours) != theirs:
                yield path
        case float():
            if not math.isclose(ours, theirs, rel_tol=0, abs_tol=0):
                yield path
        case _:
            if ours != theirs or type(ours) is not type(theirs):
                yield path


def _texts_of(content: bytes) -> set[str]:
    """How JSON shows these bytes: as bytes, or as a uuid."""
    uuid = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return {base64.b64encode(content).decode(), *([uuid] if len(content) == 16 else [])}
