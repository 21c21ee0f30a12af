"""What brokers answer becomes a Kafka error, also where it is news to this client."""

import pytest

from datacore._generated.errors import ErrorCode
from datacore.client.errors import check
from datacore.protocol.errors import KafkaError


def test_success_is_no_error() -> None:
    check(0, "a message does not make it one")


def test_an_error_keeps_its_code_and_message() -> None:
    with pytest.raises(KafkaError, match=r"^INVALID_CONFIG: why$") as caught:
        check(40, "why")
    assert caught.value.code == ErrorCode.INVALID_CONFIG


def test_an_error_that_is_newer_than_this_client_is_told_by_its_number() -> None:
    with pytest.raises(KafkaError, match=r"^UNKNOWN_SERVER_ERROR: error code 9999: why$"):
        check(9999, "why")
