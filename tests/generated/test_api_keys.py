"""The table of APIs, and the facts that other releases give about it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from datacore._generated.api_keys import (
    API_NAMES,
    ApiKey,
    request_class,
    request_header_version,
    response_class,
    response_header_version,
)
from datacore._generated.errors import RETRIABLE, ErrorCode
from tests.generated.messages import SPECS, all_generated

RELEASES: dict[str, Any] = json.loads((SPECS / "releases.json").read_text())


def test_keys_are_kafkas() -> None:
    assert (ApiKey.PRODUCE.value, ApiKey.FETCH.value, ApiKey.API_VERSIONS.value) == (0, 1, 18)
    assert ApiKey.STREAMS_GROUP_DESCRIBE.value == 89
    assert API_NAMES[ApiKey.OFFSET_FOR_LEADER_EPOCH] == "OffsetForLeaderEpoch"


def test_every_api_finds_its_request_and_response() -> None:
    assert len(ApiKey) == 93
    for key in ApiKey:
        assert request_class(key).__name__ == API_NAMES[key] + "Request"
        assert response_class(key).__name__ == API_NAMES[key] + "Response"
        assert request_class(key).api_key == response_class(key).api_key == key


def test_an_unknown_api_is_a_key_error() -> None:
    for ask in (request_class, response_class):
        with pytest.raises(KeyError):
            ask(9999)


@pytest.mark.parametrize(
    ("key", "version", "request_header", "response_header"),
    [
        (ApiKey.PRODUCE, 8, 1, 0),
        (ApiKey.PRODUCE, 9, 2, 1),
        (ApiKey.API_VERSIONS, 2, 1, 0),
        (ApiKey.API_VERSIONS, 3, 2, 0),
        (ApiKey.CONTROLLED_SHUTDOWN, 0, 0, 0),
        (ApiKey.CONTROLLED_SHUTDOWN, 1, 1, 0),
        (ApiKey.CONTROLLED_SHUTDOWN, 3, 2, 1),
        (ApiKey.SASL_HANDSHAKE, 1, 1, 0),
        (ApiKey.SHARE_FETCH, 1, 2, 1),
    ],
)
def test_headers_follow_flexibility(
    key: ApiKey, version: int, request_header: int, response_header: int
) -> None:
    assert request_header_version(key, version) == request_header
    assert response_header_version(key, version) == response_header


@pytest.mark.parametrize("release", RELEASES)
def test_every_version_that_a_release_speaks_has_a_codec(release: str) -> None:
    for name, facts in RELEASES[release]["apis"].items():
        assert API_NAMES[facts["key"]] == name
        for message in (request_class(facts["key"]), response_class(facts["key"])):
            assert message.min_version <= facts["min"] <= facts["max"] <= message.max_version


def test_the_newest_release_calls_the_same_versions_stable() -> None:
    for facts in RELEASES["4.1"]["apis"].values():
        stable = facts.get("latestStable", facts["max"])
        assert request_class(facts["key"]).latest_stable_version == stable
        assert response_class(facts["key"]).latest_stable_version == stable


def test_importing_one_api_imports_no_other() -> None:
    program = (
        "import sys, datacore._generated.api_keys, datacore._generated.fetch;"
        "print(sorted(m for m in sys.modules if m.startswith('datacore._generated.')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "['datacore._generated.api_keys', 'datacore._generated.fetch']"


def test_error_codes_are_kafkas() -> None:
    assert ErrorCode.UNKNOWN_SERVER_ERROR.value == -1
    assert ErrorCode.NONE.value == 0
    assert ErrorCode.INVALID_RECORD.value == 87
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER in RETRIABLE
    assert ErrorCode.TOPIC_AUTHORIZATION_FAILED not in RETRIABLE


def test_records_of_internal_logs_know_their_type() -> None:
    types = {
        each.message.name: each.message_class.record_type
        for each in all_generated()
        if each.message.kind in ("coordinator-key", "coordinator-value", "metadata")
    }
    assert types["OffsetCommitKey"] == types["OffsetCommitValue"] == 1
    assert types["GroupMetadataValue"] == 2
    assert types["TopicRecord"] == 2
    assert types["PartitionRecord"] == 3
