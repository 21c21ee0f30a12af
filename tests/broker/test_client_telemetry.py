"""What clients are asked for, and when they may push."""

from __future__ import annotations

import pytest

from datacore._generated.errors import ErrorCode
from datacore.broker import client_metrics
from datacore.broker.client_metrics import ClientMetrics
from datacore.broker.client_telemetry import ClientTelemetry, Subscription
from datacore.broker.context import RequestContext, Session
from datacore.metadata.image import RESOURCE_CLIENT_METRICS, ClusterImage
from datacore.protocol.errors import KafkaError
from datacore.record.compression import Codec, compress
from datacore.record.otlp import Kind, Point
from tests.record.test_otlp import PUSH

NO_ID = bytes(16)
INTERVAL_MS = 1_000


class Bench:
    """A broker's telemetry, and the clock."""

    def __init__(self, **broker_values: str) -> None:
        self.now_ms = 1_000_000
        self.image = ClusterImage()
        self._ids = iter(range(100, 10_000))
        self.telemetry = ClientTelemetry(
            self.image,
            {name.replace("_", "."): value for name, value in broker_values.items()},
            lambda: self.now_ms,
            lambda: next(self._ids).to_bytes(16, "big"),
        )
        self.subscribe_to("all", metrics="org.apache", **{"interval.ms": str(INTERVAL_MS)})

    def subscribe_to(self, name: str, **values: str) -> None:
        self.image.configs[RESOURCE_CLIENT_METRICS, name] = values
        self.telemetry.refresh()

    def ask(self, instance_id: bytes = NO_ID, client_id: str = "c") -> tuple[bytes, Subscription]:
        return self.telemetry.subscribe(asked_by(client_id), instance_id)

    def push(
        self,
        instance_id: bytes,
        subscription_id: int,
        data: bytes = PUSH,
        compression: int = Codec.NONE,
        *,
        is_terminating: bool = False,
    ) -> None:
        self.telemetry.push(
            asked_by("c"),
            instance_id,
            subscription_id,
            compression,
            data,
            is_terminating=is_terminating,
        )


def asked_by(client_id: str) -> RequestContext:
    session = Session("c", "PLAINTEXT", "127.0.0.1", 1, "127.0.0.1", 2)
    session.client_software_name = "tester"
    return RequestContext(session, 72, 0, 1, client_id)


def refusal(error: pytest.ExceptionInfo[KafkaError]) -> ErrorCode:
    return error.value.code


def test_a_client_is_asked_for_what_all_matching_subscriptions_want() -> None:
    bench = Bench()
    bench.subscribe_to("some", metrics="b,a", match="client_id=d.*,client_software_name=tester")
    bench.subscribe_to("fast", metrics="c", match="client_id=d", **{"interval.ms": "100"})
    assert bench.ask(client_id="c")[1].metrics == ("org.apache",)
    _, subscription = bench.ask(client_id="dd")
    assert (subscription.metrics, subscription.push_interval_ms) == (
        ("a", "b", "org.apache"),
        INTERVAL_MS,
    )
    _, subscription = bench.ask(client_id="d")
    assert (subscription.metrics, subscription.push_interval_ms) == (
        ("a", "b", "c", "org.apache"),
        100,
    )
    bench.subscribe_to("every", metrics="*")
    assert bench.ask(client_id="e")[1].metrics == ("*",)


@pytest.mark.parametrize("codec", Codec)
def test_a_push_of_each_codec_is_kept(codec: Codec) -> None:
    bench = Bench()
    instance_id, subscription = bench.ask()
    bench.push(instance_id, subscription.subscription_id, compress(PUSH, codec), codec)
    ((labels, series),) = bench.telemetry.metrics.clients()
    assert (labels.instance_id, labels.client_id) == (instance_id, "c")
    assert len(series) == bench.telemetry.metrics.series_count == 108


def test_a_client_asks_and_pushes_once_in_an_interval() -> None:
    bench = Bench()
    instance_id, subscription = bench.ask()
    with pytest.raises(KafkaError) as refused:
        bench.ask(instance_id)
    assert refusal(refused) is ErrorCode.THROTTLING_QUOTA_EXCEEDED
    bench.push(instance_id, subscription.subscription_id)
    with pytest.raises(KafkaError) as refused:
        bench.push(instance_id, subscription.subscription_id)
    assert refusal(refused) is ErrorCode.THROTTLING_QUOTA_EXCEEDED
    bench.now_ms += INTERVAL_MS
    bench.push(instance_id, subscription.subscription_id)
    assert bench.ask(instance_id) == (instance_id, subscription)


def test_a_client_pushes_once_more_when_it_ends_and_never_again() -> None:
    bench = Bench()
    instance_id, subscription = bench.ask()
    bench.push(instance_id, subscription.subscription_id)
    bench.push(instance_id, subscription.subscription_id, is_terminating=True)
    for _ in range(2):
        bench.now_ms += INTERVAL_MS
        with pytest.raises(KafkaError) as refused:
            bench.push(instance_id, subscription.subscription_id)
        assert refusal(refused) is ErrorCode.INVALID_REQUEST


def test_an_altered_subscription_reaches_a_client_by_its_next_push() -> None:
    bench = Bench()
    instance_id, subscription = bench.ask()
    bench.push(instance_id, subscription.subscription_id)
    bench.subscribe_to("more", metrics="more")
    with pytest.raises(KafkaError) as refused:
        bench.push(instance_id, subscription.subscription_id)
    assert refusal(refused) is ErrorCode.UNKNOWN_SUBSCRIPTION_ID
    _, altered = bench.ask(instance_id)
    assert altered.metrics == ("more", "org.apache")
    bench.push(instance_id, altered.subscription_id)


@pytest.mark.parametrize(
    ("data", "compression", "code"),
    [
        (PUSH, 5, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        (PUSH, Codec.ZSTD, ErrorCode.INVALID_RECORD),
        (PUSH[:-1], Codec.NONE, ErrorCode.INVALID_RECORD),
        (PUSH * 2, Codec.NONE, ErrorCode.TELEMETRY_TOO_LARGE),
    ],
)
def test_what_is_no_push_is_refused(data: bytes, compression: int, code: ErrorCode) -> None:
    bench = Bench(telemetry_max_bytes=str(len(PUSH)))
    instance_id, subscription = bench.ask()
    with pytest.raises(KafkaError) as refused:
        bench.push(instance_id, subscription.subscription_id, data, compression)
    assert refusal(refused) is code
    assert bench.telemetry.metrics.series_count == 0


def test_ids_that_stand_for_nobody_are_refused() -> None:
    bench = Bench()
    for act in (lambda: bench.ask((1).to_bytes(16, "big")), lambda: bench.push(NO_ID, 0)):
        with pytest.raises(KafkaError) as refused:
            act()
        assert refusal(refused) is ErrorCode.INVALID_REQUEST


def test_a_silent_client_is_forgotten_with_its_metrics() -> None:
    bench = Bench()
    instance_id, subscription = bench.ask()
    bench.push(instance_id, subscription.subscription_id)
    bench.now_ms += 60_000
    bench.ask()
    assert list(bench.telemetry.metrics.clients()) == []
    assert bench.telemetry.metrics.series_count == 0


def point(name: str, value: float, *, is_delta: bool) -> Point:
    return Point(name, Kind.SUM, "", (), value, 0, is_delta, 0)


def test_what_counts_since_the_last_push_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_metrics, "SERIES_PER_CLIENT_MAX", 2)
    metrics = ClientMetrics()
    labels = client_metrics.ClientLabels(NO_ID, "c", "", "", "", 0, "")
    for value in (2.0, 3.0):
        points = [point("delta", value, is_delta=True), point("total", value, is_delta=False)]
        metrics.take(labels, [*points, point("beyond", value, is_delta=True)], 1)
    ((_, series),) = metrics.clients()
    assert {each.name: each.value for each in series} == {"delta": 5.0, "total": 3.0}
    assert metrics.dropped_points == 2
