"""The type of one entry of the handler table: an API, its versions, and who answers it.

Rules:

- ``min_version`` to ``max_version`` are handled end to end, and exactly these are advertised.
- A plain handler returns the response, a ``Pending`` of it that is settled later, or None where
  the protocol wants no answer at all (Produce with acks=0). An ``async`` handler returns the
  response. Only ``async`` handlers may outlive the frame that their request was decoded from, so
  an API whose request holds records has a plain one.
- Requests of a connection run one after the other, as on Apache Kafka's muted channel: the next
  starts when the one before is answered. Only behind a parked ``pipelined`` request (Produce) the
  next may start at once; answers still leave in order.
- Whatever a handler raises becomes a well-formed body of that API version by ``error_response``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from datacore.protocol.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from datacore._generated.api_keys import ApiKey
    from datacore.broker.context import RequestContext
    from datacore.protocol.errors import KafkaError
    from datacore.storage.pending import Pending

BrokerT = TypeVar("BrokerT")
RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class Failable(Message, Protocol):
    """A response with an error code for all of it."""

    error_code: int


FailableT = TypeVar("FailableT", bound=Failable)

Answer: TypeAlias = "ResponseT | Pending[ResponseT] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api(Generic[BrokerT, RequestT, ResponseT]):
    """One entry of the table.

    Attributes:
        key: Which API.
        min_version: The oldest version handled.
        max_version: The newest version handled.
        handle: Answers a request; plain or ``async``.
        error_response: The response that says that all of the request failed, in the place where
            that version has room for it; see ``top_level_error``. None where the request gets no
            answer: its connection is closed then, so that the client notices.
        pipelined: The next request of the connection may start while this one is parked.
    """

    key: ApiKey
    min_version: int
    max_version: int
    handle: Callable[
        [BrokerT, RequestContext, RequestT],
        Answer[ResponseT] | Coroutine[Any, Any, ResponseT],
    ]
    error_response: Callable[[RequestContext, RequestT, KafkaError], ResponseT | None]
    pipelined: bool = False

    def __post_init__(self) -> None:
        assert 0 <= self.min_version <= self.max_version


def top_level_error(
    response_class: type[FailableT],
) -> Callable[[RequestContext, Message, KafkaError], FailableT]:
    """The ``error_response`` of an API with an ``error_code`` at the top of every version."""
    has_message = hasattr(response_class, "error_message")

    def error_response(_: RequestContext, __: Message, error: KafkaError) -> FailableT:
        response = response_class()
        response.error_code = error.code
        if has_message:
            # The field has this name and type in every response that has it.
            response.error_message = error.message  # type: ignore[attr-defined]
        return response

    return error_response
