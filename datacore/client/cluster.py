"""A cluster reached from a few bootstrap addresses: who leads what, and patience while that moves.

Rules:

- Addresses come from Metadata and FindCoordinator, never from the bootstrap list once one of its
  brokers has answered. Connections are kept, one per broker, and made again when they break.
- What Kafka calls retriable is retried with a back-off that doubles up to a second, until
  ``retry_timeout_s`` is over; then the last error is raised. Every retry looks leaders up again.
  Two things are not: a topic that does not exist (unless the caller expects it to appear), and a
  bootstrap list of which nobody has ever answered.
- Nothing here is safe for several threads.

Kafka's counterpart: ``Metadata`` and the retries of its clients.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from datacore._generated.errors import RETRIABLE, ErrorCode
from datacore._generated.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from datacore._generated.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from datacore.client.connection import CLIENT_ID, Connection, VersionRanges
from datacore.client.errors import BrokerUnreachableError, ClientError, check
from datacore.protocol.errors import KafkaError

T = TypeVar("T")
PartitionT = TypeVar("PartitionT", bound=tuple[str, int])
"""Topic and number of a partition."""

_DEFAULT_PORT: Final = 9092
_ADDRESS: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<host>[^:\[\]\s]+))(?::(?P<port>[0-9]{1,5}))?"
)
_BACKOFF_FIRST_S: Final = 0.02
_BACKOFF_MAX_S: Final = 1.0
_UNKNOWN_TOPIC: Final = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID}
_GROUP_COORDINATOR: Final = 0
_TRANSACTION_COORDINATOR: Final = 1
_COORDINATOR_KEYS_FROM: Final = 4
"""KIP-699: from this version on FindCoordinator is asked for several keys at once."""
_AUTO_CREATE_FLAG_FROM: Final = 4
"""KIP-204: below this version of Metadata, naming a topic may create it."""


class Address(NamedTuple):
    """Where a broker is reached."""

    host: str
    port: int


def parse_bootstrap(text: str) -> list[Address]:
    """Reads ``host:port,host:port``; the port is 9092 where none is given.

    Raises:
        ValueError: No address can be read out of it.
    """
    addresses = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        matched = _ADDRESS.fullmatch(part)
        if matched is None or int(matched["port"] or 0) > 65535:
            raise ValueError(f"expected host:port, got {part!r}")
        host = matched["bracketed"] or matched["host"]
        addresses.append(Address(host, int(matched["port"] or _DEFAULT_PORT)))
    if not addresses:
        raise ValueError("expected host:port, got nothing")
    return addresses


class Cluster:
    """A client's view of a cluster; ``with`` closes its connections."""

    def __init__(
        self,
        bootstrap: str | Sequence[Address],
        *,
        client_id: str = CLIENT_ID,
        timeout_s: float = 30.0,
        retry_timeout_s: float = 30.0,
        release: VersionRanges | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            bootstrap: ``host:port,host:port``, or addresses; the first that answers is enough.
            client_id: As for ``Connection``.
            timeout_s: As for ``Connection``.
            retry_timeout_s: How long retriable errors are retried.
            release: As for ``Connection``.

        Raises:
            ValueError: ``bootstrap`` cannot be read.
        """
        self._bootstrap = parse_bootstrap(bootstrap) if isinstance(bootstrap, str) else bootstrap
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._retry_timeout_s = retry_timeout_s
        self._release = release
        self._connections: dict[Address, Connection] = {}
        self._brokers: dict[int, Address] = {}
        self._leaders: dict[tuple[str, int], int] = {}
        self._topic_ids: dict[str, bytes] = {}
        self._coordinators: dict[tuple[int, str], Address] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection; the next request opens them again."""
        while self._connections:
            self._connections.popitem()[1].close()

    def another(self) -> "Cluster":
        """A view of the same cluster with connections of its own."""
        return Cluster(
            self._bootstrap,
            client_id=self._client_id,
            timeout_s=self._timeout_s,
            retry_timeout_s=self._retry_timeout_s,
            release=self._release,
        )

    def retrying(self, attempt: Callable[[], T], *, expect_topic: bool = False) -> T:
        """Calls ``attempt`` until it raises no retriable error, or patience is over.

        Args:
            attempt: Raises ``KafkaError`` for what a broker refused.
            expect_topic: Whether a topic that is not known will be soon.

        Raises:
            KafkaError: One that is not retriable, or was still raised at the end.
            ClientError: Likewise.
        """
        retriable = RETRIABLE if expect_topic else RETRIABLE - _UNKNOWN_TOPIC
        deadline_s = time.monotonic() + self._retry_timeout_s
        backoff_s = _BACKOFF_FIRST_S
        while True:
            try:
                return attempt()
            except KafkaError as error:
                if error.code not in retriable or time.monotonic() + backoff_s > deadline_s:
                    raise
            except BrokerUnreachableError:
                if not self._brokers or time.monotonic() + backoff_s > deadline_s:
                    raise
            self.forget()
            time.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)

    def forget(self) -> None:
        """Drops what is known about leaders and coordinators, and all connections."""
        self._leaders.clear()
        self._topic_ids.clear()
        self._coordinators.clear()
        self.close()

    def any_broker(self) -> Connection:
        """A connection to some broker.

        Raises:
            BrokerUnreachableError: None of them can be reached.
        """
        failures = []
        for address in dict.fromkeys([*self._brokers.values(), *self._bootstrap]):
            try:
                return self._connection(address)
            except BrokerUnreachableError as error:
                failures.append(str(error))
        raise BrokerUnreachableError("; ".join(failures))

    def metadata(
        self, topics: Sequence[str] | None = (), *, may_create: bool = False
    ) -> MetadataResponse:
        """Asks for brokers, controller and some topics, and remembers who leads them.

        Args:
            topics: Their names; None asks for all of them.
            may_create: Whether brokers may create those that do not exist.

        Raises:
            BrokerUnreachableError: No broker can be reached.
        """
        connection = self.any_broker()
        version = connection.version(MetadataRequest)
        request = MetadataRequest(
            topics=None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        )
        if version >= _AUTO_CREATE_FLAG_FROM:
            request.allow_auto_topic_creation = may_create
        if version == 0 and topics is None:
            request.topics = []
        response = connection.send(request, MetadataResponse, version)
        self._brokers = {
            broker.node_id: Address(broker.host, broker.port) for broker in response.brokers
        }
        for topic in response.topics:
            self._topic_ids[topic.name or ""] = topic.topic_id
            for partition in topic.partitions:
                self._leaders[topic.name or "", partition.partition_index] = partition.leader_id
        return response

    def topic(self, name: str, *, may_create: bool = False) -> MetadataResponseTopic:
        """Partitions and leaders of one topic.

        Raises:
            KafkaError: The topic does not exist, or is not ready.
        """
        (topic,) = self.metadata([name], may_create=may_create).topics
        check(topic.error_code, f"topic {name}")
        return topic

    def broker(self, node_id: int) -> Connection:
        """A connection to the broker of that id.

        Raises:
            ClientError: The cluster has none of that id.
            BrokerUnreachableError: It is not where the cluster says that it is.
        """
        if node_id not in self._brokers:
            self.metadata()
        address = self._brokers.get(node_id)
        if address is None:
            raise ClientError(f"the cluster has no broker {node_id}")
        return self._advertised(address, f"broker {node_id}")

    def controller(self) -> Connection:
        """A connection to the broker that answers administration."""
        controller_id = self.metadata().controller_id
        if controller_id < 0:
            raise KafkaError(ErrorCode.NOT_CONTROLLER, "the cluster has no controller now")
        return self.broker(controller_id)

    def leader_id(self, topic: str, partition: int) -> int:
        """The id of the broker that leads a partition.

        Raises:
            KafkaError: The partition does not exist or has no leader now.
        """
        if self._leaders.get((topic, partition), -1) < 0:
            found = self.topic(topic)
            if partition not in {each.partition_index for each in found.partitions}:
                raise ClientError(
                    f"topic {topic} has no partition {partition}: it has {len(found.partitions)}"
                )
        leader = self._leaders[topic, partition]
        if leader < 0:
            raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"{topic}-{partition}")
        return leader

    def topic_id(self, name: str) -> bytes:
        """The id of a topic; zeros from brokers before KIP-516.

        Raises:
            KafkaError: The topic does not exist.
        """
        if name not in self._topic_ids:
            self.topic(name)
        return self._topic_ids[name]

    def leader(self, topic: str, partition: int) -> Connection:
        """A connection to the broker that leads a partition."""
        return self.broker(self.leader_id(topic, partition))

    def by_leader(self, partitions: Iterable[PartitionT]) -> dict[int, list[PartitionT]]:
        """Partitions by the id of the broker that leads them.

        Raises:
            KafkaError: As for ``leader_id``.
        """
        led: dict[int, list[PartitionT]] = defaultdict(list)
        for partition in partitions:
            led[self.leader_id(*partition)].append(partition)
        return led

    def group_coordinator(self, group: str) -> Connection:
        """A connection to the broker that coordinates a group.

        Raises:
            KafkaError: The cluster cannot tell now.
        """
        return self._coordinator(_GROUP_COORDINATOR, group, f"coordinator of group {group}")

    def transaction_coordinator(self, transactional_id: str) -> Connection:
        """A connection to the broker that coordinates the transactions of an id.

        Raises:
            KafkaError: The cluster cannot tell now.
        """
        who = f"coordinator of transactional id {transactional_id}"
        return self._coordinator(_TRANSACTION_COORDINATOR, transactional_id, who)

    def _coordinator(self, kind: int, key: str, who: str) -> Connection:
        if (kind, key) not in self._coordinators:
            self._coordinators[kind, key] = self._find_coordinator(kind, key)
        return self._advertised(self._coordinators[kind, key], who)

    def _find_coordinator(self, kind: int, key: str) -> Address:
        connection = self.any_broker()
        version = connection.version(FindCoordinatorRequest)
        request = FindCoordinatorRequest(key_type=kind)
        if version >= _COORDINATOR_KEYS_FROM:
            request.coordinator_keys = [key]
        else:
            request.key = key
        response = connection.send(request, FindCoordinatorResponse, version)
        found = response.coordinators[0] if version >= _COORDINATOR_KEYS_FROM else response
        check(found.error_code, found.error_message)
        return Address(found.host, found.port)

    def _advertised(self, address: Address, who: str) -> Connection:
        try:
            return self._connection(address)
        except BrokerUnreachableError as error:
            raise BrokerUnreachableError(
                f"{error} (where the cluster says that {who} is: see its advertised listeners)"
            ) from None

    def _connection(self, address: Address) -> Connection:
        connection = self._connections.get(address)
        if connection is None or connection.is_closed:
            connection = Connection(
                address.host,
                address.port,
                client_id=self._client_id,
                timeout_s=self._timeout_s,
                release=self._release,
            )
            self._connections[address] = connection
        return connection
