"""Which metrics clients are asked for, and what they push (KIP-714).

Rules:

- A subscription is a resource with configs: metrics by prefix of their names, an interval, and
  which clients it is about. A client is asked for what all subscriptions that match it want, as
  often as the most impatient one wants it.
- A client is known by an id that it gets here. It may ask anew, and push, once in an interval;
  it may push at once behind asking, and once more when it ends.
- A push under another id than that of the subscription in force is refused, so that the client
  asks again: that is how an alteration reaches it.
- So many clients are remembered at most; the one that was not heard for longest goes first.

Kafka's counterparts: ``ClientMetricsManager``, ``ClientMetricsInstance``.
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

from datacore._generated.errors import ErrorCode
from datacore.broker.client_metrics import ClientLabels, ClientMetrics
from datacore.metadata.configs import CLIENT_METRICS_CONFIGS, broker_int
from datacore.metadata.configs.rules import client_patterns
from datacore.metadata.image import RESOURCE_CLIENT_METRICS
from datacore.protocol.errors import KafkaError
from datacore.record.compression import Codec, decompress
from datacore.record.errors import DecompressionError
from datacore.record.otlp import OtlpError, decode_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datacore.broker.context import RequestContext
    from datacore.metadata.image import ClusterImage

logger = logging.getLogger("datacore.broker.client_telemetry")

COMPRESSIONS: Final = (Codec.ZSTD, Codec.LZ4, Codec.GZIP, Codec.SNAPPY)
"""That a client may push with, the best first; none is always possible."""

ALL_METRICS: Final = "*"
INSTANCES_MAX: Final = 16_384
PUSHED_BYTES_MAX: Final = 4 << 20
"""Of one push, decompressed."""

_NO_ID: Final = bytes(16)
_RESERVED_IDS: Final = frozenset({_NO_ID, (1).to_bytes(16, "big")})
_SILENT_INTERVALS_MAX: Final = 3
_SILENCE_MS_MIN: Final = 60_000
_NEVER: Final = -(1 << 62)
# Errors of a push behind which a client may ask at once.
_ASK_ANEW: Final = frozenset(
    {ErrorCode.UNKNOWN_SUBSCRIPTION_ID, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE}
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one client is asked for."""

    subscription_id: int
    push_interval_ms: int
    metrics: tuple[str, ...]
    """Prefixes of names; one of ``*`` alone is all, none is none."""


@dataclass(slots=True)
class _Instance:
    """One client that has asked."""

    labels: ClientLabels
    subscription: Subscription
    revision: int
    asked_ms: int = _NEVER
    pushed_ms: int = _NEVER
    has_asked: bool = False
    """Since its last push."""
    last_error: ErrorCode = ErrorCode.NONE
    is_terminating: bool = False

    def is_forgotten_at(self) -> int:
        """When it has been silent for too long."""
        silence_ms = max(
            _SILENT_INTERVALS_MAX * self.subscription.push_interval_ms, _SILENCE_MS_MIN
        )
        return max(self.asked_ms, self.pushed_ms) + silence_ms


class ClientTelemetry:
    """Subscriptions, and the clients that were asked."""

    def __init__(
        self,
        image: ClusterImage,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
        new_instance_id: Callable[[], bytes],
    ) -> None:
        self.metrics = ClientMetrics()
        self.pushed_bytes_max = broker_int("telemetry.max.bytes", broker_values)
        self._configs = image.configs
        self._now_ms = now_ms
        self._new_instance_id = new_instance_id
        self._instances: OrderedDict[bytes, _Instance] = OrderedDict()
        self._revision = 0

    @property
    def is_wanted(self) -> bool:
        """Whether any client is asked for anything."""
        return any(kind == RESOURCE_CLIENT_METRICS for kind, _ in self._configs)

    def refresh(self) -> None:
        """Takes over what the cluster's metadata says by now."""
        self._revision += 1

    def subscribe(self, context: RequestContext, instance_id: bytes) -> tuple[bytes, Subscription]:
        """What a client is asked for, and the id that it is known by.

        Args:
            context: Who asks.
            instance_id: The id that it has; zeros where it has none yet.

        Raises:
            KafkaError: INVALID_REQUEST, or THROTTLING_QUOTA_EXCEEDED where it asks too often.
        """
        if instance_id == _NO_ID:
            instance_id = self._new_instance_id()
        elif instance_id in _RESERVED_IDS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid client instance id")
        now_ms = self._now_ms()
        instance = self._instance(context, instance_id, now_ms)
        may_ask = (
            now_ms - instance.asked_ms >= instance.subscription.push_interval_ms
            or instance.last_error in _ASK_ANEW
        )
        if not may_ask:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, "It has asked in this interval")
        instance.asked_ms = now_ms
        instance.has_asked = True
        instance.last_error = ErrorCode.NONE
        return instance_id, instance.subscription

    def push(
        self,
        context: RequestContext,
        instance_id: bytes,
        subscription_id: int,
        compression: int,
        data: bytes,
        *,
        is_terminating: bool,
    ) -> None:
        """Takes a client's metrics.

        Raises:
            KafkaError: Why they cannot be taken.
        """
        if instance_id in _RESERVED_IDS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid client instance id")
        now_ms = self._now_ms()
        instance = self._instance(context, instance_id, now_ms)
        try:
            self._check_push(
                instance,
                subscription_id,
                compression,
                len(data),
                now_ms,
                is_terminating=is_terminating,
            )
            instance.is_terminating = is_terminating
            points = decode_metrics(
                decompress(data, Codec(compression), max_bytes=PUSHED_BYTES_MAX)
            )
        except KafkaError as error:
            instance.last_error = error.code
            raise
        except (DecompressionError, OtlpError) as error:
            instance.last_error = ErrorCode.INVALID_RECORD
            raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from None
        instance.last_error = ErrorCode.NONE
        self.metrics.take(instance.labels, points, now_ms)
        logger.debug(
            "client %s (%s) pushed %d points of %d metrics",
            instance.labels.client_id,
            context.session.connection_id,
            len(points),
            len({point.name for point in points}),
        )

    def _check_push(
        self,
        instance: _Instance,
        subscription_id: int,
        compression: int,
        size_bytes: int,
        now_ms: int,
        *,
        is_terminating: bool,
    ) -> None:
        if instance.is_terminating:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "It has said that it ends")
        may_push = (
            is_terminating
            or instance.has_asked
            or now_ms - instance.pushed_ms >= instance.subscription.push_interval_ms
        )
        if not may_push:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, "It has pushed in this interval")
        instance.pushed_ms = now_ms
        instance.has_asked = False
        if subscription_id != instance.subscription.subscription_id:
            raise KafkaError(ErrorCode.UNKNOWN_SUBSCRIPTION_ID, None)
        if compression not in (Codec.NONE, *COMPRESSIONS):
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, None)
        if size_bytes > self.pushed_bytes_max:
            raise KafkaError(ErrorCode.TELEMETRY_TOO_LARGE, None)

    def _instance(self, context: RequestContext, instance_id: bytes, now_ms: int) -> _Instance:
        """The client of an id, with what it is asked for by now."""
        self._forget_silent(now_ms)
        instance = self._instances.get(instance_id)
        if instance is None:
            if len(self._instances) >= INSTANCES_MAX:
                forgotten, _ = self._instances.popitem(last=False)
                self.metrics.forget(forgotten)
            labels = _labels(context, instance_id)
            instance = _Instance(labels, self._subscription(labels), self._revision)
            self._instances[instance_id] = instance
        elif instance.revision != self._revision:
            before = instance.subscription
            instance.subscription = self._subscription(instance.labels)
            instance.revision = self._revision
            if instance.subscription != before:
                instance.asked_ms = instance.pushed_ms = _NEVER
        self._instances.move_to_end(instance_id)
        return instance

    def _forget_silent(self, now_ms: int) -> None:
        """Forgets clients from the one on that was not heard for longest."""
        while self._instances:
            instance_id, instance = next(iter(self._instances.items()))
            if instance.is_forgotten_at() > now_ms:
                return
            del self._instances[instance_id]
            self.metrics.forget(instance_id)

    def _subscription(self, labels: ClientLabels) -> Subscription:
        """What all subscriptions want of a client together."""
        interval = CLIENT_METRICS_CONFIGS["interval.ms"].default
        intervals_ms = []
        metrics: set[str] = set()
        for (kind, _), values in self._configs.items():
            if kind == RESOURCE_CLIENT_METRICS and _matches(values.get("match", ""), labels):
                intervals_ms.append(int(values.get("interval.ms", interval or 0)))
                metrics.update(filter(None, values.get("metrics", "").split(",")))
        push_interval_ms = min(intervals_ms, default=int(interval or 0))
        names = (ALL_METRICS,) if ALL_METRICS in metrics else tuple(sorted(metrics))
        told = f"{names}{push_interval_ms}".encode() + labels.instance_id
        return Subscription(crc32(told) - (1 << 31), push_interval_ms, names)


def _labels(context: RequestContext, instance_id: bytes) -> ClientLabels:
    session = context.session
    return ClientLabels(
        instance_id,
        context.client_id or "",
        session.client_software_name,
        session.client_software_version,
        session.client_host,
        session.client_port,
        session.principal,
    )


def _matches(match: str, labels: ClientLabels) -> bool:
    if not match:
        return True
    texts = {
        "client_instance_id": _uuid_text(labels.instance_id),
        "client_id": labels.client_id,
        "client_software_name": labels.software_name,
        "client_software_version": labels.software_version,
        "client_source_address": labels.address,
        "client_source_port": str(labels.port),
    }
    return all(matches(texts[name]) for name, matches in client_patterns(match).items())


def _uuid_text(value: bytes) -> str:
    """As Kafka writes ids: URL-safe base64 without padding."""
    return urlsafe_b64encode(value).decode().rstrip("=")
