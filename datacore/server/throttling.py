"""Requests handled within quotas: charged, told how long to wait, and made to wait.

Rules: a client over its quota gets its answer at once, with the throttle time in it (KIP-219), and
the connection handles nothing more until that time is over, whether or not the client obeys. A
produce request is charged when it comes, a fetch when its records leave, every request with the
time that its handler ran. The records of a fetch over the quota are sent, and paid for by the wait
behind them; Apache Kafka answers with none and lets the client fetch them again later.

Kafka's counterparts: ``ClientQuotaManager.throttle`` and ``ThrottledChannel``.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, cast

from datacore._generated.api_keys import ApiKey
from datacore._generated.fetch import FetchResponse
from datacore.storage.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from datacore.broker.context import RequestContext
    from datacore.broker.quotas import ClientRates
    from datacore.protocol.message import Message
    from datacore.server.dispatch import Route


def handle_within_quotas(
    rates: ClientRates,
    mute: Callable[[int], None],
    route: Route,
    broker: object,
    context: RequestContext,
    request: Message,
    request_bytes: int,
) -> Message | Pending[Message | None] | Coroutine[Any, Any, Message] | None:
    """What a handler answers, with the throttle time in it.

    Args:
        rates: The quotas in force.
        mute: Lets the connection handle nothing for so many milliseconds.
        route: The handler.
        broker: What it is handed.
        context: Who asks.
        request: What.
        request_bytes: The size of its frame.
    """
    began_ns = perf_counter_ns()
    answer = route.handle(broker, context, request)
    throttle_ms = rates.handled(context, perf_counter_ns() - began_ns)
    if route.api_key == ApiKey.PRODUCE:
        throttle_ms = max(throttle_ms, rates.produced(context, request_bytes))
    if throttle_ms:
        mute(throttle_ms)

    def settle(response: Message) -> Message:
        return _told(response, throttle_ms, rates, mute, context)

    if answer is None:
        return None
    if type(answer) is route.response_class:
        return settle(answer)
    if type(answer) is Pending:
        return _after(answer, settle)
    return _awaited(answer, settle)


def _after(
    answer: Pending[Message | None], settle: Callable[[Message], Message]
) -> Pending[Message | None]:
    settled: Pending[Message | None] = Pending()

    def pass_on(pending: Pending[Message | None]) -> None:
        if pending.error is not None:
            settled.fail(pending.error)
        else:
            response = pending.result()
            settled.resolve(None if response is None else settle(response))

    answer.then(pass_on)
    return settled


async def _awaited(
    answer: Coroutine[Any, Any, Message], settle: Callable[[Message], Message]
) -> Message:
    return settle(await answer)


def _told(
    response: Message,
    throttle_ms: int,
    rates: ClientRates,
    mute: Callable[[int], None],
    context: RequestContext,
) -> Message:
    """The response with the longest of the times that the client is to wait."""
    if isinstance(response, FetchResponse):
        throttle_ms = max(throttle_ms, rates.fetched(context, _record_bytes(response)))
    if not hasattr(response, "throttle_time_ms"):
        return response
    throttled = cast("Any", response)  # the field has this name and type wherever there is one
    throttled.throttle_time_ms = max(throttle_ms, throttled.throttle_time_ms)
    if throttled.throttle_time_ms:
        mute(throttled.throttle_time_ms)
    return response


def _record_bytes(response: FetchResponse) -> int:
    return sum(
        len(partition.records)
        for topic in response.responses
        for partition in topic.partitions
        if partition.records is not None
    )
