"""What a refused request is, and the topics that such requests are about."""

from collections.abc import Callable
from dataclasses import dataclass

from datacore._generated.api_keys import ApiKey
from datacore._generated.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from datacore._generated.errors import ErrorCode
from datacore.handlers.table import TABLE
from datacore.wire.message import WireMessage

TOPIC, EMPTY, COMPACTED, SMALL, RECENT, MISSING = (
    "refused",
    "refused-empty",
    "compacted",
    "small",
    "recent",
    "missing",
)
TOPICS: dict[str, dict[str, str]] = {
    TOPIC: {},
    EMPTY: {},
    COMPACTED: {"cleanup.policy": "compact"},
    SMALL: {"max.message.bytes": "80"},
    RECENT: {"message.timestamp.before.max.ms": "3600000"},
    "dotted.name": {},
}
SOME_ID = bytes(range(16))


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is answered with one error code in all its versions."""

    name: str
    key: ApiKey
    error_code: ErrorCode
    request: Callable[[int], WireMessage]
    """The request in a version."""
    since: int = 0
    until: int = 99

    @property
    def versions(self) -> range:
        api = TABLE[self.key]
        return range(max(api.min_version, self.since), min(api.max_version, self.until) + 1)


def creation() -> CreateTopicsRequest:
    """Makes the topics of all requests; v5 may ask it."""
    return CreateTopicsRequest(
        topics=[
            CreatableTopic(
                name=name,
                num_partitions=1,
                replication_factor=1,
                configs=[
                    CreatableTopicConfig(name=key, value=text) for key, text in values.items()
                ],
            )
            for name, values in TOPICS.items()
        ]
    )
