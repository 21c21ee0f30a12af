"""The one error that crosses the wire: a Kafka error code and what to tell people.

Rules: raised where the whole call fails; where one element of a batch fails, its code is put into
the response instead. The dispatch of the server turns a raised one into a well-formed body of the
request's API version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datacore._generated.errors import ErrorCode


class KafkaError(Exception):
    """A call failed for a reason that Kafka has a code for.

    Attributes:
        code: What the client's program reads.
        message: What its user reads, where the response has a field for it; None lets the client
            show its own text for the code.
    """

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.code.name if self.message is None else f"{self.code.name}: {self.message}"
