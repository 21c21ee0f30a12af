"""What a request brings along besides its body."""

import msgspec

from datacore.coordinator.outcome import ReplyToken


class RequestContext(msgspec.Struct, kw_only=True):
    """Who asks, in which version, when, and how to name the answer.

    Attributes:
        api_version: Version of the request; it shapes the answer, also that of a parked request.
        token: Comes back with the reply.
        now_ms: Wall clock in ms. The coordinator has no other; it must not go back within a shard.
        client_id: From the request header; null is "".
        client_host: As DescribeGroups shows it. Kafka's form has a slash first: ``/127.0.0.1``.
    """

    api_version: int
    token: ReplyToken
    now_ms: int
    client_id: str = ""
    client_host: str = ""
