"""Rates as Kafka measures them."""

from __future__ import annotations

import pytest

from datacore.broker.rates import TokenBucket, WindowedRate

MIB = 1 << 20


def test_a_burst_of_one_window_is_free() -> None:
    rate = WindowedRate(11, 1000)
    rate.record(100, 0)
    assert rate.throttle_ms(100, 0) == 0
    rate.record(100, 0)
    assert rate.throttle_ms(100, 0) == 1000
    assert rate.throttle_ms(100, 1900) == 100


def test_what_is_older_than_all_windows_is_forgotten() -> None:
    rate = WindowedRate(11, 1000)
    rate.record(5000, 0)
    assert rate.throttle_ms(100, 10_999) > 0
    assert rate.throttle_ms(100, 11_000) == 0


@pytest.mark.parametrize("duration_ms", [12_000, 60_000])
@pytest.mark.parametrize("step_bytes", [16_384, MIB])
def test_who_waits_as_long_as_told_keeps_to_the_limit(step_bytes: int, duration_ms: int) -> None:
    limit = 5 * MIB
    rate = WindowedRate(11, 1000)
    now_ms, sent = 0.0, 0
    while now_ms < duration_ms:
        rate.record(step_bytes, now_ms)
        sent += step_bytes
        now_ms += step_bytes / (200 * MIB) * 1000 + rate.throttle_ms(limit, now_ms)
    assert sent / (now_ms / 1000) == pytest.approx(limit, rel=0.05)


def test_tokens_come_back_at_their_rate_up_to_a_burst() -> None:
    bucket = TokenBucket(2, 1000)
    assert bucket.throttle_ms(10, 5_000) == 0
    bucket.record(25, 5_000)
    assert bucket.throttle_ms(10, 5_000) == 500
    assert bucket.throttle_ms(10, 5_400) == 100
    assert bucket.throttle_ms(10, 60_000) == 0
    bucket.record(20, 60_000)
    assert bucket.throttle_ms(10, 60_000) == 0
