"""KafkaError reads well in logs."""

from __future__ import annotations

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError


def test_an_error_shows_its_code_by_name_and_its_message() -> None:
    assert str(KafkaError(ErrorCode.NOT_COORDINATOR)) == "NOT_COORDINATOR"
    assert str(KafkaError(ErrorCode.INVALID_CONFIG, "no such")) == "INVALID_CONFIG: no such"
