"""One client's connection: frames in, answers out, in the order of the requests.

Rules:

- The data plane is here: a read is cut into frames, each is decoded, handled and answered before
  the next, without a task, a timer or a turn of the event loop. All answers of a read leave in one
  write. ``asyncio.BufferedProtocol`` because streams cost ten times as much.
- Answers leave in request order. A parked request has a slot in a queue; what is answered behind
  it waits there too.
- While anything blocks the connection (a request that must be answered before the next starts,
  too many parked ones, a client that does not read its answers, the turn of the others, a graceful
  stop) no frame is handled; bytes are read only until the next read proves that the client goes on
  sending.
- What cannot be a request closes this connection and nothing else, with one line in the log.
- Views of a request's records are valid until its plain handler returns.

Kafka's counterparts: ``KafkaChannel`` with its muting, and ``SocketServer.Processor``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from datacore.broker.context import RequestContext, Session
from datacore.protocol.frame import (
    REQUEST_BYTES_MIN,
    SIZE_BYTES,
    describe_bad_size,
    unpack_size,
)
from datacore.protocol.headers import read_request_header_end, unpack_request_start
from datacore.server.dispatch import Dispatch, RefusedError
from datacore.server.receive import ReceiveBuffer
from datacore.server.throttling import handle_within_quotas
from datacore.storage.pending import Pending
from datacore.wire.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from datacore.broker.quotas import ClientRates
    from datacore.protocol.message import Message
    from datacore.server.dispatch import Route
    from datacore.server.limits import ConnectionLimits
    from datacore.wire.buffer import Buffer

# Why a connection handles no frames at the moment; several may hold at once.
_MUTED: Final = 1
_TOO_MANY_PARKED: Final = 2
_CLIENT_DOES_NOT_READ: Final = 4
_STOPPING: Final = 8
_CLOSED: Final = 16
_OTHERS_TURN: Final = 32
_THROTTLED: Final = 64

_FAILED_WITHOUT_ANSWER: Final = "its request failed and has no other way to tell: {}"

TURN_S: Final = 0.01
"""How long the pipelined requests of one connection may keep the others waiting."""

FAREWELL_S: Final = 0.1
"""How long a graceful stop leaves a connection open behind its last answer. A Java client up to 2.2
that finds the stream's end in the same read as an answer learns of it up to 30 s later."""

_JOINED_BYTES_MAX: Final = 64 * 1024
"""Answers up to this size are copied into one buffer: cheaper than scattering them."""


class ConnectionOwner(Protocol):
    """The server, as far as its connections know it."""

    dispatch: Dispatch[Any]
    limits: ConnectionLimits
    rates: ClientRates | None
    scratch: memoryview

    def admit(self, connection: Connection) -> str | None:
        """Counts the connection in, or says why it cannot be had."""

    def forget(self, connection: Connection) -> None:
        """Counts a connection out that was admitted."""

    def refused(self, line: str) -> None:
        """Logs why a connection was closed, unless too many were."""

    def spawn(self, coroutine: Coroutine[Any, Any, Message]) -> Pending[Message | None]:
        """Runs an ``async`` handler as a task of the server."""


class ParkedRequest:
    """A request whose answer comes later."""

    __slots__ = ("connection", "context", "is_muting", "parts", "request", "route")

    def __init__(
        self, connection: Connection, route: Route, context: RequestContext, request: Message
    ) -> None:
        self.connection = connection
        self.route = route
        self.context = context
        self.request = request
        self.is_muting = not route.is_pipelined or context.holds_back_next
        self.parts: list[Buffer] = []
        """The answer, once it is there; this list stands in the connection's queue."""

    def settle(self, pending: Pending[Message | None]) -> None:
        """Takes the answer; called by ``pending``, which sees no error from here."""
        self.connection.answer_parked(self, pending)


class Connection(asyncio.BufferedProtocol):
    """A connection of the Kafka listener."""

    __slots__ = (
        "_answers",
        "_blocks",
        "_broker",
        "_dispatch",
        "_is_admitted",
        "_is_handling",
        "_is_reading_paused",
        "_limits",
        "_listener_name",
        "_loop",
        "_out",
        "_out_bytes",
        "_owner",
        "_parked",
        "_receive",
        "_recordless_bytes_max",
        "_request_bytes_max",
        "_routes",
        "_throttled_until_s",
        "_transport",
        "has_read",
        "idle_since_s",
        "session",
    )

    def __init__(
        self, owner: ConnectionOwner, listener_name: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._owner = owner
        self._dispatch = owner.dispatch
        self._broker = owner.dispatch.broker
        self._routes = owner.dispatch.routes
        self._limits = owner.limits
        self._request_bytes_max = owner.limits.request_bytes_max
        self._recordless_bytes_max = owner.limits.recordless_request_bytes_max
        self._listener_name = listener_name
        self._loop = loop
        self._receive = ReceiveBuffer(owner.scratch)
        self._answers: deque[list[Buffer]] = deque()
        """From the oldest parked request on: each answer's parts, empty where it is not there."""
        self._parked = 0
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._blocks = 0
        self._is_admitted = False
        self._is_handling = False
        self._is_reading_paused = False
        self._throttled_until_s = 0.0
        self._transport: asyncio.Transport | None = None
        self.has_read = True
        """Whether anything came since the last sweep, which clears it."""
        self.idle_since_s = 0.0
        """For the sweep."""
        self.session: Session

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Gets to know who connected, and whether there is room."""
        self._transport = stream = cast("asyncio.Transport", transport)
        client_host, client_port = (stream.get_extra_info("peername") or ("unknown", 0))[:2]
        local_host, local_port = (stream.get_extra_info("sockname") or ("unknown", 0))[:2]
        self.session = Session(
            connection_id=f"{local_host}:{local_port}-{client_host}:{client_port}",
            listener_name=self._listener_name,
            client_host=client_host,
            client_port=client_port,
            local_host=local_host,
            local_port=local_port,
        )
        stream.set_write_buffer_limits(high=self._limits.unsent_bytes_max)
        refusal = self._owner.admit(self)
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._is_admitted = True

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the next read goes."""
        return self._receive.writable()

    def buffer_updated(self, count: int) -> None:
        """Handles what has been read."""
        self.has_read = True
        self._receive.received(count)
        if self._blocks:
            self._pause_reading()
            self._receive.keep(self._receive.start, 0)
        else:
            self._handle_frames()

    def eof_received(self) -> None:
        """The client sends no more; the transport closes, as Apache Kafka does."""
        self._blocks |= _CLOSED

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._blocks |= _CLIENT_DOES_NOT_READ

    def resume_writing(self) -> None:
        """The client has read most of its answers."""
        self._unblock(_CLIENT_DOES_NOT_READ)

    def connection_lost(self, _error: Exception | None) -> None:
        """Lets go of everything that only this client waited for."""
        self._blocks |= _CLOSED
        self._transport = None
        self._answers.clear()
        self._out.clear()
        if self._is_admitted:
            self._owner.forget(self)
        self._abandon()

    # What the server calls.

    @property
    def is_waiting_for_broker(self) -> bool:
        """Whether an answer is due that the broker has not given: such a connection is not idle."""
        return bool(self._answers) and not self._blocks & _CLOSED

    def shrink(self) -> None:
        """Gives back the memory of a large frame that is gone."""
        self._receive.shrink()

    def close(self) -> None:
        """Closes after sending what is ready."""
        self._blocks |= _CLOSED
        if self._transport is not None:
            self._write_out()
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()

    def stop(self) -> None:
        """Handles nothing more, and closes a moment after every answer that is due is sent."""
        self._blocks |= _STOPPING
        if self._transport is None:
            return
        self._pause_reading()
        if self._abandon():
            self._answers.pop()  # nothing is handled behind it, so it is the last
        if not self._answers:
            self._take_leave()

    def _take_leave(self) -> None:
        """Closes, but not so soon that the client misses it."""
        if self.has_read:
            self._loop.call_at(self._loop.time() + FAREWELL_S, self.close)
        else:
            self.close()

    # Frames in.

    def _handle_frames(self) -> None:
        """Handles every whole frame received, until something blocks."""
        receive = self._receive
        data = receive.data
        at = receive.start
        end = receive.end
        frame_bytes = 0
        unsent_bytes_max = self._limits.unsent_bytes_max
        turn_ends_s: float | None = None
        self._is_handling = True
        try:
            while not self._blocks:
                if end - at < SIZE_BYTES:
                    break
                (size,) = unpack_size(data, at)
                if not REQUEST_BYTES_MIN <= size <= self._request_bytes_max:
                    opening = bytes(data[at : at + SIZE_BYTES])
                    self._refuse(describe_bad_size(opening, size, self._request_bytes_max))
                    break
                next_at = at + SIZE_BYTES + size
                if next_at > end:
                    frame_bytes = SIZE_BYTES + size
                    break
                # A read may hold thousands of small requests that each take long. The clock is
                # asked behind the first one only, which most reads have alone.
                if turn_ends_s is None:
                    turn_ends_s = 0.0
                elif turn_ends_s == 0.0:
                    turn_ends_s = monotonic() + TURN_S
                elif monotonic() > turn_ends_s:
                    self._blocks |= _OTHERS_TURN
                    self._loop.call_soon(self._go_on)
                    break
                frame = data[at + SIZE_BYTES : next_at]
                at = next_at
                self._handle(frame)
                if self._out_bytes > unsent_bytes_max:
                    self._write_out()
        except (RefusedError, DecodeError) as error:
            self._refuse(str(error))
        finally:
            self._is_handling = False
        self._write_out()
        receive.keep(at, frame_bytes)

    def _handle(self, frame: memoryview) -> None:
        """Decodes one request, has it handled, and takes the answer or parks it."""
        key_and_version, correlation_id, client_id_length = unpack_request_start(frame, 0)
        route = self._routes.get(key_and_version) or self._dispatch.find(key_and_version)
        if route is None:
            self._answer([self._dispatch.encode_unsupported_api_versions(correlation_id)])
            return
        if len(frame) > self._recordless_bytes_max and not route.takes_records:
            raise RefusedError(f"a request of {len(frame)} bytes without records is too large")
        client_id, at = read_request_header_end(
            frame, client_id_length, is_flexible=route.has_flexible_header
        )
        request, _ = route.decode(frame, route.api_version, at)
        context = RequestContext(
            self.session, route.api_key, route.api_version, correlation_id, client_id
        )
        try:
            rates = self._owner.rates
            if rates is None:
                answer = route.handle(self._broker, context, request)
            else:
                answer = handle_within_quotas(
                    rates, self._throttle, route, self._broker, context, request, len(frame)
                )
            if type(answer) is route.response_class:
                parts = route.encode(correlation_id, answer)
            elif answer is None:
                return
            else:
                pending = answer if type(answer) is Pending else self._owner.spawn(answer)
                if not pending.is_settled:
                    self._park(route, context, request, pending)
                    return
                self.session.abandon = None
                settled = pending.result()
                if settled is None:
                    return
                parts = route.encode(correlation_id, settled)
        except Exception as error:  # noqa: BLE001  # dispatch logs the unexpected, once
            self._fail(route, context, request, error)
        else:
            self._answer(parts)

    # Answers out.

    def _answer(self, parts: list[Buffer]) -> None:
        """Sends an answer with the others of this read, or behind what is parked."""
        if self._answers:
            self._answers.append(parts)
        else:
            self._send(parts)

    def _park(
        self,
        route: Route,
        context: RequestContext,
        request: Message,
        pending: Pending[Message | None],
    ) -> None:
        parked = ParkedRequest(self, route, context, request)
        self._answers.append(parked.parts)
        if parked.is_muting:
            self._blocks |= _MUTED
        else:
            self._parked += 1
            if self._parked >= self._limits.parked_requests_max:
                self._blocks |= _TOO_MANY_PARKED
        pending.then(parked.settle)

    def answer_parked(self, parked: ParkedRequest, pending: Pending[Message | None]) -> None:
        """Sends the answer of a parked request, and what waited behind it."""
        if self._blocks & _CLOSED:
            return
        context = parked.context
        answers = self._answers
        try:
            answer = pending.result()
            if answer is None:
                # It mutes the connection, so nothing stands behind it (Produce with acks=0).
                assert answers[-1] is parked.parts
                answers.pop()
            else:
                parked.parts += parked.route.encode(context.correlation_id, answer)
        except Exception as error:  # noqa: BLE001  # dispatch logs the unexpected, once
            parts = self._dispatch.encode_failure(parked.route, context, parked.request, error)
            if parts is None:
                self._refuse(_FAILED_WITHOUT_ANSWER.format(error))
                return
            parked.parts += parts
        while answers and answers[0]:
            self._send(answers.popleft())
        if not self._is_handling:
            self._write_out()
        if parked.is_muting:
            self.session.abandon = None
            self._unblock(_MUTED)
        else:
            self._parked -= 1
            self._unblock(_TOO_MANY_PARKED)
        if self._blocks & _STOPPING and not answers:
            self._take_leave()

    def _fail(
        self, route: Route, context: RequestContext, request: Message, error: Exception
    ) -> None:
        parts = self._dispatch.encode_failure(route, context, request, error)
        if parts is None:
            raise RefusedError(_FAILED_WITHOUT_ANSWER.format(error))
        self._answer(parts)

    def _send(self, parts: list[Buffer]) -> None:
        for part in parts:
            self._out_bytes += len(part)
        self._out += parts

    def _write_out(self) -> None:
        """Gives the transport everything that may be sent by now."""
        out = self._out
        if not out:
            return
        transport = self._transport
        assert transport is not None  # it took _out along
        if len(out) == 1:
            transport.write(out[0])
        elif self._out_bytes <= _JOINED_BYTES_MAX:
            transport.write(b"".join(out))
        else:
            transport.writelines(out)
        self._out = []
        self._out_bytes = 0

    # Blocks and ends.

    def _unblock(self, reason: int) -> None:
        """Takes one reason away, and goes on with the frames that wait, if it was the last."""
        self._blocks &= ~reason
        if self._blocks or self._is_handling:
            return
        if self._receive.end > self._receive.start:
            # Not from here: whoever settles an answer may be in the middle of another request.
            self._loop.call_soon(self._continue)
        else:
            self._resume_reading()

    def _throttle(self, throttle_ms: int) -> None:
        """Handles nothing for some time."""
        until_s = self._loop.time() + throttle_ms / 1000
        if until_s > self._throttled_until_s:
            self._throttled_until_s = until_s
            if not self._blocks & _THROTTLED:
                self._blocks |= _THROTTLED
                self._loop.call_at(until_s, self._end_throttle)

    def _end_throttle(self) -> None:
        if self._loop.time() < self._throttled_until_s and not self._blocks & _CLOSED:
            self._loop.call_at(self._throttled_until_s, self._end_throttle)
        else:
            self._unblock(_THROTTLED)

    def _go_on(self) -> None:
        """The other connections had their turn."""
        self._blocks &= ~_OTHERS_TURN
        self._continue()

    def _continue(self) -> None:
        if not self._blocks:
            self._handle_frames()
        if not self._blocks:
            self._resume_reading()

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = False
            self._transport.resume_reading()

    def _abandon(self) -> bool:
        """Drops what is parked for this client alone, if its handler allows that."""
        abandon = self.session.abandon
        if abandon is None:
            return False
        self.session.abandon = None
        abandon()
        return True

    def _refuse(self, reason: str) -> None:
        self._owner.refused(f"closed the connection of {self.session.client_host}: {reason}")
        self.close()
