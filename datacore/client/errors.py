"""What can go wrong between this client and a broker, apart from what a broker answers.

What a broker answers is a ``datacore.protocol.errors.KafkaError``.
"""

from datacore.protocol.errors import KafkaError

__all__ = [
    "BrokerUnreachableError",
    "ClientError",
    "KafkaError",
    "NotAKafkaBrokerError",
    "UnsupportedRequestError",
]


class ClientError(Exception):
    """The request could not be sent or its answer could not be read; the message is for people."""


class BrokerUnreachableError(ClientError):
    """No connection, a connection that ended, or no answer in time; another attempt may succeed."""


class NotAKafkaBrokerError(ClientError):
    """The other side answers something that is not the Kafka protocol."""


class UnsupportedRequestError(ClientError):
    """Broker and client know no version of this API in common."""
