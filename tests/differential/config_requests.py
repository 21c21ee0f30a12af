"""Requests about configs, topics and quotas of which most are not valid, to be put to two brokers.

Each is small, so that a difference says what it is about. Nothing that may succeed changes
anything: whatever can only be validated is.
"""

from hypothesis import strategies as st

from datacore._generated import alter_configs, incremental_alter_configs
from datacore._generated.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasRequestEntityData,
    AlterClientQuotasRequestEntryData,
    OpData,
)
from datacore._generated.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from datacore._generated.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from datacore._generated.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from datacore._generated.list_config_resources import ListConfigResourcesRequest
from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    ConfigKey,
)
from datacore.metadata.configs.key import OneOf, Range

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
EXISTING = "differential"
NAMES = {
    TOPIC: (EXISTING, "missing", "a b", "", ".", "n" * 250),
    BROKER: ("1", "", "2", "one", "-1", "01"),
    LOGGER: ("1", "", "2", "one"),
    CLIENT_METRICS: ("subscription", "", "a b"),
    GROUP: ("group", "", "a b"),
    0: ("", "x"),
    3: ("x",),
    99: ("", EXISTING),
}
TABLES = {
    TOPIC: TOPIC_CONFIGS,
    BROKER: BROKER_CONFIGS,
    CLIENT_METRICS: CLIENT_METRICS_CONFIGS,
    GROUP: GROUP_CONFIGS,
}
_ODD_TEXTS = (
    *("", " ", "x", "-1", "0", "1", "-2", "100", "1.5", "1e3", "+7", " 8 ", "1_000", "NaN", "0.5"),
    *("true", "FALSE", "yes", "a,b", ",", "a,,b", "null", "*", "0:1", "0:1,1:1"),
    *(str(2**15), str(2**31 - 1), str(2**31), str(2**63 - 1), str(2**63), str(-(2**31) - 1)),
)


def values(key: ConfigKey) -> st.SearchStrategy[str]:
    """Texts at the edges of what a config may be, and some of no sense."""
    near = [key.default or ""]
    if isinstance(key.valid, Range):
        for edge in (key.valid.low, key.valid.high):
            if edge is not None:
                near += [f"{edge:.15g}", f"{edge - 1:.15g}", f"{edge + 1:.15g}"]
    if isinstance(key.valid, OneOf):
        near += [*key.valid.choices, ",".join(key.valid.choices), key.valid.choices[0].upper()]
    return st.sampled_from(near) | st.sampled_from(_ODD_TEXTS)


@st.composite
def settings(draw: st.DrawFn, kind: int) -> tuple[str, str | None]:
    """A config of a kind of resource, and a value."""
    table = TABLES.get(kind, TOPIC_CONFIGS)
    known = st.sampled_from(sorted(table.values(), key=lambda key: key.name))
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(["no.such", "", "root"])), draw(st.sampled_from(_ODD_TEXTS))
    key = draw(known)
    value = draw(values(key))
    return key.name, None if draw(st.integers(0, 29)) == 0 else value


@st.composite
def increments(draw: st.DrawFn) -> incremental_alter_configs.IncrementalAlterConfigsRequest:
    """One resource, one or two changes."""
    kind = draw(st.sampled_from([TOPIC, TOPIC, BROKER, BROKER, CLIENT_METRICS, GROUP, LOGGER, 99]))
    changes = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        name, value = draw(settings(kind))
        operation = draw(st.sampled_from([0, 0, 0, 0, 1, 2, 3]))
        changes.append(
            incremental_alter_configs.AlterableConfig(
                name=name, config_operation=operation, value=value
            )
        )
    resource = incremental_alter_configs.AlterConfigsResource(
        resource_type=kind, resource_name=_name(draw, kind), configs=changes
    )
    return incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=True
    )


@st.composite
def replacements(draw: st.DrawFn) -> alter_configs.AlterConfigsRequest:
    """One resource, none to two values."""
    kind = draw(st.sampled_from([TOPIC, BROKER, CLIENT_METRICS, GROUP, LOGGER, 0]))
    given = [draw(settings(kind)) for _ in range(draw(st.integers(0, 2)))]
    resource = alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=_name(draw, kind),
        configs=[alter_configs.AlterableConfig(name=name, value=value) for name, value in given],
    )
    return alter_configs.AlterConfigsRequest(resources=[resource], validate_only=True)


@st.composite
def descriptions(draw: st.DrawFn) -> DescribeConfigsRequest:
    """One resource, all of its configs or some."""
    kind = draw(st.sampled_from(sorted(NAMES)))
    keys = draw(st.none() | st.lists(st.sampled_from(["retention.ms", "no.such", ""]), max_size=2))
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=_name(draw, kind), configuration_keys=keys
    )
    return DescribeConfigsRequest(
        resources=[resource], include_synonyms=draw(st.booleans()), include_documentation=False
    )


@st.composite
def creations(draw: st.DrawFn) -> CreateTopicsRequest:
    """One or two topics, by numbers or by assignments, with none to two configs."""
    topics = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        given = [draw(settings(TOPIC)) for _ in range(draw(st.integers(0, 2)))]
        is_assigned = draw(st.integers(0, 2)) == 0
        numbers = st.sampled_from([-1] if is_assigned else [-2, -1, 0, 1, 2, 10_001])
        factors = st.sampled_from([-1] if is_assigned else [-2, -1, 0, 1, 1, 1, 2, 32_767])
        brokers = st.lists(st.sampled_from([1, 1, 2, -1]), max_size=2)
        assignments = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, -1]), brokers), max_size=3)
        topics.append(
            CreatableTopic(
                name=draw(
                    st.sampled_from(["new", "new", "new", "other", "a b", "", ".", EXISTING])
                    | st.sampled_from(["..", "n" * 249, "n" * 250, "dotted_name", "é", "__x"])
                ),
                num_partitions=draw(numbers | st.just(-1)),
                replication_factor=draw(factors | st.just(-1)),
                assignments=[
                    CreatableReplicaAssignment(partition_index=index, broker_ids=ids)
                    for index, ids in (draw(assignments) if is_assigned else [])
                ],
                configs=[CreatableTopicConfig(name=name, value=value) for name, value in given],
            )
        )
    return CreateTopicsRequest(topics=topics, timeout_ms=10_000, validate_only=True)


@st.composite
def quota_alterations(draw: st.DrawFn) -> AlterClientQuotasRequest:
    """One or two entities, none to two quotas each."""
    names = st.sampled_from(["u", "", None, "127.0.0.1", "::1", "999.0.0.1"])
    kinds = st.sampled_from(["user", "client-id", "ip", "group", ""])
    keys = st.sampled_from(
        [
            *("producer_byte_rate", "consumer_byte_rate", "request_percentage"),
            *("controller_mutation_rate", "connection_creation_rate", "no_such", ""),
        ]
    )
    amounts = st.sampled_from([1.0, 0.0, -1.0, 1.5, 1e19, 2.0**31, 2.0**62, 0.25])
    entries = [
        AlterClientQuotasRequestEntryData(
            entity=[
                AlterClientQuotasRequestEntityData(entity_type=kind, entity_name=name)
                for kind, name in draw(
                    st.lists(st.tuples(kinds, names), max_size=2, unique_by=lambda pair: pair[0])
                )
            ],
            ops=[
                OpData(key=key, value=draw(amounts), remove=draw(st.integers(0, 3)) == 0)
                for key in draw(st.lists(keys, max_size=2, unique=True))
            ],
        )
        for _ in range(draw(st.sampled_from([1, 1, 2])))
    ]
    return AlterClientQuotasRequest(entries=entries, validate_only=True)


@st.composite
def quota_descriptions(draw: st.DrawFn) -> DescribeClientQuotasRequest:
    """A filter of none to two components."""
    component = st.builds(
        ComponentData,
        entity_type=st.sampled_from(["user", "client-id", "ip", "group", ""]),
        match_type=st.sampled_from([0, 1, 2, 2, 7]),
        match=st.sampled_from(["u", "", None, None]),
    )
    return DescribeClientQuotasRequest(
        components=draw(st.lists(component, max_size=2)), strict=draw(st.booleans())
    )


def listings() -> st.SearchStrategy[ListConfigResourcesRequest]:
    """Some kinds of resources, among them such as there are not."""
    kinds = st.lists(st.sampled_from([*NAMES, 1, -1, 64]), max_size=3)
    return st.builds(ListConfigResourcesRequest, resource_types=kinds)


def _name(draw: st.DrawFn, kind: int) -> str:
    """Mostly a name that there is."""
    names = NAMES[kind]
    return draw(st.just(names[0]) | st.just(names[0]) | st.sampled_from(names))
