"""Lines that strangers cause are counted where they are too many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from datacore.server.refusals import RefusalLog

if TYPE_CHECKING:
    import pytest


def test_a_flood_becomes_a_few_lines_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 100.0
    log = RefusalLog(lambda: now_s)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            log.warning("garbage")
        assert len(caplog.messages) == 20

        now_s = 110.0
        log.turn_span()
        assert caplog.messages[20:] == ["refused 980 more connections of this kind"]

        log.warning("line after")
        assert caplog.messages[21:] == ["line after"]


def test_a_quiet_time_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    log = RefusalLog(lambda: now_s)
    with caplog.at_level(logging.WARNING):
        now_s = 60.0
        log.turn_span()

    assert caplog.messages == []
