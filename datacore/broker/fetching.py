"""Fetch: what answers it.

Rules: what is there is read and answered at once (``fetch_reading.py``). A request for which there
is not enough, or for which a device must be asked, waits (``parked_fetch.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore.broker.fetch_reading import Cold, FetchReading
from datacore.broker.parked_fetch import ParkedFetch
from datacore.protocol.isolation_level import ISOLATION_LEVELS, unknown_isolation_level

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from datacore._generated.fetch import FetchRequest, FetchResponse
    from datacore.broker.context import RequestContext
    from datacore.broker.fetch_reading import Readable
    from datacore.broker.fetch_sessions import FetchSessions
    from datacore.storage.pending import Pending


class Fetching:
    """Answers Fetch requests."""

    def __init__(
        self,
        readable: Readable,
        sessions: FetchSessions,
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._readable = readable
        self._spawn = spawn
        self._sessions = sessions

    def fetch(
        self, context: RequestContext, request: FetchRequest
    ) -> FetchResponse | Pending[FetchResponse]:
        """Reads what a request asks for, now or when there is enough of it.

        Raises:
            KafkaError: The fetch session is unknown or out of step, or the isolation level is none.
        """
        scope = self._sessions.resolve(request, context.api_version)
        reading = FetchReading(self._readable, context.api_version, request, scope)
        if request.isolation_level not in ISOLATION_LEVELS and reading.has_partitions():
            # Kafka does not look at it where there is nothing to read.
            raise unknown_isolation_level(request.isolation_level)
        collected = reading.collect()
        if isinstance(collected, Cold) or not reading.is_enough:
            return ParkedFetch(self._spawn, context, reading).start(collected)
        return reading.response(collected)
