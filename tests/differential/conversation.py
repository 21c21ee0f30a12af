"""One broker's side of a sequence: names and ids put in, answers made comparable.

Placeholders: "<t0>" and the like become names of this sequence alone; "<m0>" is the first member id
that the broker told in it, ``PRODUCERS`` its first producer id, ``SESSIONS`` its first fetch
session. In answers all of them become placeholders again.
"""

import re
from collections.abc import Mapping
from typing import Any

from datacore._generated.api_keys import ApiKey, response_class
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.produce import ProduceRequest
from datacore.client.connection import Connection
from datacore.client.errors import BrokerUnreachableError
from datacore.wire.message import WireStruct
from tests.differential.field_values import LEFT_ALONE, PRODUCERS, SESSIONS
from tests.differential.record_specs import OF_CLOCKS_MS, RecordSpec, shown_records
from tests.differential.sequences import Step

__all__ = ["CLOSED", "PREFIX", "SILENT", "UNANSWERED", "Conversation", "error_codes"]

CLOSED, SILENT, UNANSWERED = "closed", "no answer in time", "no answer wanted"
PREFIX = "dt"
"""Names of all sequences begin so."""
_PLACEHOLDER = re.compile(r"<([tgx]\d)>")
_TOPICS = ("<t0>", "<t1>", "<t2>", "<t3>")
# What no two brokers agree on, and texts, which are nobody's to repeat.
_OF_ONE_BROKER = frozenset(
    {
        "api_keys",
        "cluster_id",
        "client_instance_id",
        "controller_id",
        "documentation",
        "error_message",
        "batch_index_error_message",
        "finalized_features",
        "finalized_features_epoch",
        "last_timestamp",
        "log_append_time_ms",
        "port",
        "push_interval_ms",
        "subscription_id",
        "supported_features",
        "throttle_time_ms",
        "transaction_start_time_ms",
        "unknown_tagged_fields",
        "zk_migration_ready",
    }
)
# Which part of Kafka found an error decides what stands beside it; no client reads that.
_MEANINGLESS_BESIDE_ERRORS = frozenset({"log_start_offset"})
_NAMES_OF_ELEMENTS = ("name", "topic", "topic_name", "group_id", "transactional_id")
_TELLS_OF_ALL = frozenset({ApiKey.LIST_GROUPS, ApiKey.LIST_TRANSACTIONS})
_SETS = frozenset({"subscribed_topic_names"})
"""Whose elements are values, in whatever order a broker has them."""
_MEMBER_FIELDS = frozenset({"member_id", "leader"})
_SENT_MEMBERS = frozenset({"", "nobody", "made-a", "made-b"})


class Conversation:
    """The steps that one broker is told, and what it answers."""

    def __init__(self, port: int, label: str, topic_ids: Mapping[str, bytes]) -> None:
        """Opens nothing yet.

        Args:
            port: The broker's, on loopback.
            label: What tells this sequence's names from all others'.
            topic_ids: The ids that the broker gave to topics, by placeholder.
        """
        self.port = port
        self.label = label
        self._topic_ids = dict(topic_ids)
        self._strange_topics: list[bytes] = []
        self._members: list[str] = []
        self._producers: list[int] = []
        self._sessions: list[int] = []
        self._connections: dict[int, Connection] = {}

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def name(self, placeholder: str) -> str:
        """The broker's name behind a placeholder."""
        return f"{PREFIX}{self.label}-{placeholder.strip('<>')}"

    # --- asking

    def connection(self, number: int) -> Connection:
        found = self._connections.get(number)
        if found is None or found.is_closed:
            client_id = f"client-{number}"
            found = Connection("127.0.0.1", self.port, client_id=client_id, timeout_s=30.0)
            self._connections[number] = found
        return found

    def ask(self, step: Step) -> int:
        """Sends a step's request; returns what `take` needs."""
        request = self.resolved(
            step.request.decode(step.request.encode(step.version), step.version)[0]
        )
        return self.connection(step.connection).post(request, step.version)

    def take(self, step: Step, correlation_id: int) -> Any:
        """What is comparable of the answer, which must have been asked for."""
        connection = self.connection(step.connection)
        try:
            if isinstance(step.request, ProduceRequest) and step.request.acks == 0:
                connection.send(ApiVersionsRequest(), ApiVersionsResponse, 0)
                return UNANSWERED
            answer = connection.take(response_class(step.key), step.version, correlation_id)
        except BrokerUnreachableError as error:
            connection.close()
            return SILENT if "in time" in str(error) else CLOSED
        if step.is_about_the_cluster:
            return tuple(sorted(error_codes(answer)))
        return self.comparable(answer, step.key)

    def has_answer(self, step: Step, timeout_s: float) -> bool:
        """Whether an answer to a step has come."""
        return self.connection(step.connection).has_answer(timeout_s)

    # --- names and ids

    def resolved(self, value: Any, field: str = "") -> Any:
        """A request with this broker's names and ids in place of placeholders, changed in place."""
        if isinstance(value, WireStruct):
            for name in value.__slots__:
                if name not in LEFT_ALONE:
                    setattr(value, name, self.resolved(getattr(value, name), name))
            return value
        if isinstance(value, list):
            return [self.resolved(each, field) for each in value]
        if isinstance(value, str):
            return self._resolved_text(value)
        if field == "records" and value is not None:
            spec = RecordSpec.of(value)
            return spec.made(_resolved(spec.producer, PRODUCERS, self._producers))
        if field == "topic_id":
            return self._topic_ids.get(_placeholder(value), value)
        if isinstance(value, int) and value >= PRODUCERS and field.endswith(_PRODUCER_FIELDS):
            return _resolved(value, PRODUCERS, self._producers)
        if field == "session_id":
            return _resolved(value, SESSIONS, self._sessions)
        return value

    def _resolved_text(self, text: str) -> str:
        if text.startswith("<m"):
            place = int(text.strip("<m>"))
            return self._members[place] if place < len(self._members) else text
        return _PLACEHOLDER.sub(lambda found: self.name(found[0]), text)

    # --- answers

    def comparable(self, value: Any, key: ApiKey, field: str = "") -> Any:
        """An answer as plain values, lists in an order of their own."""
        if isinstance(value, WireStruct):
            return self._plain_fields(value, key)
        if isinstance(value, list):
            kept = [each for each in value if not self._is_anothers(each, key)]
            plain = [self.comparable(each, key, field) for each in kept]
            is_set = field in _SETS or (kept and isinstance(kept[0], WireStruct))
            return sorted(plain, key=str) if is_set else plain
        if field in _MEMBER_FIELDS and isinstance(value, str):
            return self._member(value)
        if field == "records":
            return shown_records(value, self._producer)
        if field == "producer_id":
            return self._producer(value)
        if field == "session_id" and value:
            return f"session {_place(self._sessions, value)}"
        if field == "topic_id":
            return self._topic(value)
        if field == "timestamp" and value in OF_CLOCKS_MS:
            return "now"
        if isinstance(value, bytes | memoryview):
            return bytes(value).hex()
        if isinstance(value, str):
            return value.replace(f"{PREFIX}{self.label}-", "")
        return value

    def _plain_fields(self, struct: WireStruct, key: ApiKey) -> dict[str, Any]:
        left_out = _OF_ONE_BROKER
        if getattr(struct, "error_code", 0):
            left_out |= _MEANINGLESS_BESIDE_ERRORS
        if key in (ApiKey.CREATE_TOPICS, ApiKey.METADATA, ApiKey.CONSUMER_GROUP_HEARTBEAT):
            self._learn_topic(struct)
        return {
            name: self.comparable(getattr(struct, name), key, name)
            for name in struct.__slots__
            if name not in left_out
        }

    def _learn_topic(self, struct: Any) -> None:
        """A topic that was made in this sequence is known by its id from then on."""
        name, topic_id = getattr(struct, "name", None), getattr(struct, "topic_id", bytes(16))
        for placeholder in _TOPICS:
            if name == self.name(placeholder) and topic_id != bytes(16):
                self._topic_ids[placeholder] = topic_id

    def _is_anothers(self, element: Any, key: ApiKey) -> bool:
        """Whether a broker tells of another sequence's things, or of its own."""
        for field in _NAMES_OF_ELEMENTS:
            name = getattr(element, field, None)
            if isinstance(name, str):
                is_ours = name.startswith(f"{PREFIX}{self.label}-")
                is_named = name.startswith((PREFIX, "__", "differential", "dotted"))
                return not is_ours and (is_named or key in _TELLS_OF_ALL)
        return False

    def _member(self, member_id: str) -> str:
        if member_id in _SENT_MEMBERS:
            return member_id
        return f"<m{_place(self._members, member_id)}>"

    def _producer(self, producer_id: int) -> object:
        if producer_id < 0 or producer_id in (7, 999_999):
            return producer_id
        return f"producer {_place(self._producers, producer_id)}"

    def _topic(self, topic_id: bytes) -> str:
        for placeholder, known in self._topic_ids.items():
            if known == topic_id:
                return placeholder
        if topic_id in (bytes(16), bytes(range(16))):
            return bytes(topic_id).hex()
        return f"topic {_place(self._strange_topics, bytes(topic_id))}"


_PRODUCER_FIELDS = ("producer_id", "producer_id_filters")


def _resolved(value: int, first: int, told: list[int]) -> int:
    place = value - first
    return told[place] if 0 <= place < len(told) else value


def _placeholder(topic_id: bytes) -> str:
    return bytes(topic_id).rstrip(b"\x01").decode(errors="replace")


def _place(told: list[Any], value: Any) -> int:
    if value not in told:
        told.append(value)
    return told.index(value)


def error_codes(value: Any) -> list[int]:
    """Every error code of an answer, as message or as plain values."""
    if isinstance(value, list):
        return [code for each in value for code in error_codes(each)]
    if isinstance(value, WireStruct):
        fields = {name: getattr(value, name) for name in value.__slots__}
    elif isinstance(value, dict):
        fields = value
    else:
        return []
    own = [fields["error_code"]] if "error_code" in fields else []
    return own + [code for each in fields.values() for code in error_codes(each)]
