"""Quotas of clients: altered, described, and in force.

Rules:

- Quotas are records of the cluster's metadata. An alteration holds from the next request on.
- ``in_force`` is None as long as nobody has a quota: then requests pay for nothing but looking.
- Clients that share a quota share its rate. Rates are kept for so many clients at most; the one
  that was not heard for longest is forgotten, and with it a burst at most.

Kafka's counterparts: ``ClientQuotaManager``, ``ClientRequestQuotaManager``,
``ControllerMutationQuotaManager``, ``ConnectionQuotas``, ``ClientQuotaControlManager``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore._generated.records.client_quota_record import ClientQuotaRecord, EntityData
from datacore.broker.rates import TokenBucket, WindowedRate
from datacore.metadata.configs import broker_int
from datacore.metadata.quotas import (
    CONSUMER_BYTE_RATE,
    CONTROLLER_MUTATION_RATE,
    PRODUCER_BYTE_RATE,
    REQUEST_PERCENTAGE,
    InvalidQuota,
    Met,
    check_quota,
    entity_of,
    met_by,
    met_by_address,
)
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datacore.broker.cluster_metadata import ClusterMetadata
    from datacore.broker.context import RequestContext
    from datacore.metadata.quotas import Entity
    from datacore.metadata.records import MetadataRecord

RATES_MAX: Final = 10_000
"""Rates that are kept at a time, and clients whose quotas are looked up only once."""

_NS_PER_PERCENT: Final = 10_000_000  # of one second


class ClientRates:
    """Quotas as requests meet them.

    Each method says how long, in milliseconds, the client is to be left waiting.
    """

    def __init__(
        self,
        quotas: Mapping[Entity, Mapping[str, float]],
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
    ) -> None:
        self._quotas = quotas
        self._now_ms = now_ms
        self._windows = broker_int("quota.window.num", broker_values)
        self._window_ms = broker_int("quota.window.size.seconds", broker_values) * 1000
        self._mutation_windows = (
            broker_int("controller.quota.window.num", broker_values),
            broker_int("controller.quota.window.size.seconds", broker_values) * 1000,
        )
        self._met: dict[tuple[str, str, str], Met | None] = {}
        self._rates: OrderedDict[tuple[str, str, str], WindowedRate | TokenBucket] = OrderedDict()

    def forget_quotas(self) -> None:
        """Looks quotas up again; rates go on."""
        self._met.clear()

    def produced(self, context: RequestContext, request_bytes: int) -> int:
        """A produce request of some bytes has come."""
        return self._charge(PRODUCER_BYTE_RATE, context, request_bytes)

    def fetched(self, context: RequestContext, record_bytes: int) -> int:
        """Some bytes of records are about to leave."""
        return self._charge(CONSUMER_BYTE_RATE, context, record_bytes)

    def handled(self, context: RequestContext, spent_ns: int) -> int:
        """A request has taken some time of the broker; no longer than a window, as in Kafka."""
        throttle_ms = self._charge(REQUEST_PERCENTAGE, context, spent_ns / _NS_PER_PERCENT)
        return min(throttle_ms, self._window_ms)

    def connected(self, address: str) -> int:
        """An address makes a connection; one that is to wait is not counted."""
        limit = met_by_address(self._quotas, address)
        if limit is None:
            return 0
        rate = self._rate("ip", ("", address))
        now_ms = self._now_ms()
        rate.record(1, now_ms)
        return rate.throttle_ms(limit, now_ms)

    def mutated(self, context: RequestContext, partitions: int, *, is_strict: bool) -> int:
        """Some partitions are about to be made or deleted.

        Raises:
            KafkaError: THROTTLING_QUOTA_EXCEEDED, where the client is of an age that knows it.
        """
        met = self._quota(CONTROLLER_MUTATION_RATE, context)
        if met is None:
            return 0
        bucket = self._rate(CONTROLLER_MUTATION_RATE, met.sharers)
        now_ms = self._now_ms()
        throttle_ms = bucket.throttle_ms(met.limit, now_ms)
        if throttle_ms and is_strict:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, None)
        bucket.record(partitions, now_ms)
        return throttle_ms if is_strict else bucket.throttle_ms(met.limit, now_ms)

    def owed_for_mutations(self, context: RequestContext) -> int:
        """How long until the client may mutate again."""
        met = self._quota(CONTROLLER_MUTATION_RATE, context)
        if met is None:
            return 0
        bucket = self._rate(CONTROLLER_MUTATION_RATE, met.sharers)
        return bucket.throttle_ms(met.limit, self._now_ms())

    def _charge(self, key: str, context: RequestContext, amount: float) -> int:
        met = self._quota(key, context)
        if met is None:
            return 0
        rate = self._rate(key, met.sharers)
        now_ms = self._now_ms()
        rate.record(amount, now_ms)
        return rate.throttle_ms(met.limit, now_ms)

    def _quota(self, key: str, context: RequestContext) -> Met | None:
        who = (key, context.session.principal, context.client_id or "")
        try:
            return self._met[who]
        except KeyError:
            user = who[1].partition(":")[2]
            met = met_by(self._quotas, key, user, who[2])
            if len(self._met) >= RATES_MAX:
                self._met.clear()
            self._met[who] = met
            return met

    def _rate(self, key: str, sharers: tuple[str, str]) -> WindowedRate | TokenBucket:
        rates = self._rates
        of_whom = (key, *sharers)
        rate = rates.get(of_whom)
        if rate is not None:
            rates.move_to_end(of_whom)
            return rate
        if len(rates) >= RATES_MAX:
            rates.popitem(last=False)
        made: WindowedRate | TokenBucket
        if key == CONTROLLER_MUTATION_RATE:
            made = TokenBucket(*self._mutation_windows)
        else:
            made = WindowedRate(self._windows, self._window_ms)
        rates[of_whom] = made
        return made


class MutationCharge:
    """What one request mutates, and how long its client is to wait for it."""

    def __init__(
        self, rates: ClientRates | None, context: RequestContext, *, is_strict: bool
    ) -> None:
        self.throttle_ms = 0
        self._rates = rates
        self._context = context
        self._is_strict = is_strict

    def __call__(self, partitions: int) -> None:
        """Counts partitions that are about to be made or deleted.

        Raises:
            KafkaError: THROTTLING_QUOTA_EXCEEDED.
        """
        if self._rates is None:
            return
        try:
            throttle_ms = self._rates.mutated(self._context, partitions, is_strict=self._is_strict)
        except KafkaError:
            self.throttle_ms = self._rates.owed_for_mutations(self._context)
            raise
        self.throttle_ms = max(self.throttle_ms, throttle_ms)


class Quotas:
    """The quotas of the cluster."""

    def __init__(
        self,
        metadata: ClusterMetadata,
        broker_values: Mapping[str, str],
        now_ms: Callable[[], int],
    ) -> None:
        self.in_force: ClientRates | None = None
        self._metadata = metadata
        self._rates = ClientRates(metadata.image.client_quotas, broker_values, now_ms)
        self._watchers: list[Callable[[], None]] = []

    def when_changed(self, act: Callable[[], None]) -> None:
        """Calls ``act`` when ``in_force`` may be another."""
        self._watchers.append(act)

    def refresh(self) -> None:
        """Takes over what the cluster's metadata says by now."""
        self._rates.forget_quotas()
        self.in_force = self._rates if self._metadata.image.client_quotas else None
        for act in self._watchers:
            act()

    def mutations(self, context: RequestContext, *, is_strict: bool) -> MutationCharge:
        """What a request is to be charged with that makes or deletes partitions."""
        return MutationCharge(self.in_force, context, is_strict=is_strict)

    async def alter(
        self,
        entries: Sequence[tuple[list[tuple[str, str | None]], Sequence[tuple[str, float | None]]]],
        *,
        validate_only: bool,
    ) -> dict[Entity, str | None]:
        """Sets and removes quotas; each entity by itself is altered as a whole or not at all.

        Args:
            entries: Pairs of an entity's types and names, and of its keys and their values, None to
                remove one.
            validate_only: Whether nothing is to change.

        Returns:
            By entity, what was wrong; None where it was altered.

        Raises:
            KafkaError: The engine failed; nothing has changed.
        """
        answers: dict[Entity, str | None] = {}
        changes: dict[Entity, list[MetadataRecord]] = {}
        async with self._metadata.lock:
            for pairs, values in entries:
                entity: Entity = tuple(sorted(dict(pairs).items()))
                try:
                    entity = entity_of(pairs)
                    changes[entity] = self._records(entity, values)
                    problem = None
                except InvalidQuota as error:
                    problem = str(error)
                if entity in answers or len(dict(values)) < len(values):
                    problem = "An entity, and a quota of it, is altered once in a request"
                answers[entity] = problem
            records = [
                record
                for entity, of_entity in changes.items()
                if answers[entity] is None
                for record in of_entity
            ]
            if records and not validate_only:
                await self._metadata.commit(records)
                self.refresh()
        return answers

    def _records(
        self, entity: Entity, values: Sequence[tuple[str, float | None]]
    ) -> list[MetadataRecord]:
        """What sets and removes quotas of an entity."""
        before = self._metadata.image.client_quotas.get(entity, {})
        records: list[MetadataRecord] = []
        for key, value in values:
            if value is not None:
                check_quota(entity, key, value)
            if before.get(key) != value:
                records.append(
                    ClientQuotaRecord(
                        entity=[EntityData(entity_type=t, entity_name=name) for t, name in entity],
                        key=key,
                        value=value or 0.0,
                        remove=value is None,
                    )
                )
        return records
