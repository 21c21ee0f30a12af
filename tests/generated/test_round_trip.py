"""What is encoded comes back, in every version of every message."""

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from datacore.wire.errors import DecodeError, EncodeError
from datacore.wire.message import RecordsMessage
from tests.generated.messages import Generated, all_generated, name_of

# Each example goes through all versions of its message. `make test-all` asks for more.
EXAMPLES: Final = 200 if os.environ.get("DATACORE_HYPOTHESIS") == "thorough" else 4
EVERY_MESSAGE: Final = pytest.mark.parametrize("generated", all_generated(), ids=name_of)


@EVERY_MESSAGE
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # an example of all versions shrinks too slowly to help
    database=None,
    derandomize=EXAMPLES < 10,
)
@given(data=st.data())
def test_a_message_comes_back_as_it_was(generated: Generated, data: st.DataObject) -> None:
    message_class = generated.message_class
    for version in sorted(generated.message.versions):
        message = data.draw(generated.values(version), label=f"version {version}")
        encoded = message.encode(version)
        assert b"".join(message.encode_parts(version)) == encoded

        decoded, end = message_class.decode(encoded, version)
        assert (decoded, end) == (message, len(encoded))
        assert decoded.encode(version) == encoded

        framed = b"\xff\xff" + encoded + b"\xff"
        for frame in (framed, bytearray(framed), memoryview(framed)):
            decoded, end = message_class.decode(frame, version, 2)
            assert (decoded, end) == (message, 2 + len(encoded))


@EVERY_MESSAGE
def test_a_full_message_comes_back_as_it_was(generated: Generated) -> None:
    for version in sorted(generated.message.versions):
        message = generated.full_value(version)
        encoded = message.encode(version)
        assert generated.message_class.decode(encoded, version) == (message, len(encoded))


@EVERY_MESSAGE
def test_defaults_come_back_as_defaults(generated: Generated) -> None:
    message_class = generated.message_class
    for version in sorted(generated.message.versions):
        encoded = message_class().encode(version)
        assert message_class.decode(encoded, version) == (message_class(), len(encoded))


@EVERY_MESSAGE
def test_versions_beyond_the_specs_are_refused(generated: Generated) -> None:
    message_class = generated.message_class
    for version in (message_class.min_version - 1, message_class.max_version + 1):
        with pytest.raises(DecodeError, match="has no version"):
            message_class.decode(bytes(100), version)
        with pytest.raises(EncodeError, match="has no version"):
            message_class().encode(version)


def test_records_are_views_of_the_frame_and_leave_as_they_came() -> None:
    with_records = [
        each for each in all_generated() if issubclass(each.message_class, RecordsMessage)
    ]
    assert {each.message.name for each in with_records} >= {"ProduceRequest", "FetchResponse"}
    for generated in with_records:
        version = generated.message.max_version
        records = b"abcd"
        message = generated.full_value(version)
        parts = message.encode_parts(version)
        assert [part for part in parts if bytes(part) == records] == parts[1::2]
        frame = bytearray(message.encode(version))
        decoded, _ = generated.message_class.decode(frame, version)
        assert decoded == message
        frame[frame.index(records)] = 0
        assert decoded != message
