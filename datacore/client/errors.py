"""What can go wrong between this client and a broker, apart from what a broker answers.

What a broker answers is a ``datacore.protocol.errors.KafkaError``.
"""

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError


class ClientError(Exception):
    """The request could not be sent or its answer could not be read; the message is for people."""


class BrokerUnreachableError(ClientError):
    """No connection, a connection that ended, or no answer in time; another attempt may succeed."""


class NotAKafkaBrokerError(ClientError):
    """The other side answers something that is not the Kafka protocol."""


class UnsupportedRequestError(ClientError):
    """Broker and client know no version of this API in common."""


def check(error_code: int, message: str | None = None) -> None:
    """Raises what a broker answered, unless that is success.

    Raises:
        KafkaError: With UNKNOWN_SERVER_ERROR for a code that is newer than this client.
    """
    if error_code in _KNOWN_CODES:
        if error_code != ErrorCode.NONE:
            raise KafkaError(ErrorCode(error_code), message or None)
        return
    told = f"error code {error_code}" if not message else f"error code {error_code}: {message}"
    raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, told)


_KNOWN_CODES = frozenset(code.value for code in ErrorCode)
