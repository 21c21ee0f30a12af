"""Configs that cannot be altered so."""

from collections.abc import Callable, Iterator

from datacore._generated import alter_configs, incremental_alter_configs
from datacore._generated.api_keys import ApiKey
from datacore._generated.errors import ErrorCode
from datacore.wire.message import WireMessage
from tests.handlers.refused import MISSING, TOPIC, Refused

_RESOURCE_TOPIC, _RESOURCE_BROKER = 2, 4
_SET, _DELETE, _APPEND, _SUBTRACT = range(4)


def _increment(
    name: str,
    *changes: tuple[str, int, str | None],
    kind: int = _RESOURCE_TOPIC,
    times: int = 1,
) -> Callable[[int], WireMessage]:
    configs = [
        incremental_alter_configs.AlterableConfig(name=key, config_operation=operation, value=value)
        for key, operation, value in changes
    ]
    resource = incremental_alter_configs.AlterConfigsResource(
        resource_type=kind, resource_name=name, configs=configs
    )
    return lambda _: incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource] * times
    )


def _replace(name: str, *values: tuple[str, str | None], kind: int) -> Callable[[int], WireMessage]:
    resource = alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[alter_configs.AlterableConfig(name=key, value=value) for key, value in values],
    )
    return lambda _: alter_configs.AlterConfigsRequest(resources=[resource])


def config_refusals() -> Iterator[Refused]:
    good = ("retention.ms", "1")
    config, request = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST
    unknown, topic = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION
    for name, code, resource, values, kind in (
        ("to what is no number", config, TOPIC, [("retention.ms", "soon")], _RESOURCE_TOPIC),
        ("below the minimum", config, TOPIC, [("segment.bytes", "1")], _RESOURCE_TOPIC),
        ("to nothing", config, TOPIC, [("retention.ms", "")], _RESOURCE_TOPIC),
        ("of an unknown name", config, TOPIC, [("no.such", "1")], _RESOURCE_TOPIC),
        ("to null", request, TOPIC, [("retention.ms", None)], _RESOURCE_TOPIC),
        ("twice", request, TOPIC, [good, good], _RESOURCE_TOPIC),
        ("of an unknown topic", unknown, MISSING, [good], _RESOURCE_TOPIC),
        ("of what cannot be a topic", topic, "a b", [good], _RESOURCE_TOPIC),
        ("of an unknown resource", request, TOPIC, [good], 99),
        ("of the broker", request, "1", [("num.partitions", "3")], _RESOURCE_BROKER),
        ("of all brokers", request, "", [("broker.id", "3")], _RESOURCE_BROKER),
        ("of another broker", request, "99", [("log.retention.ms", "3000")], _RESOURCE_BROKER),
        ("of no broker", request, "one", [("log.retention.ms", "3000")], _RESOURCE_BROKER),
    ):
        replacing = _replace(resource, *values, kind=kind)
        yield Refused(f"AlterConfigs {name}", ApiKey.ALTER_CONFIGS, code, replacing)
        changes = [(key, _SET, value) for key, value in values]
        changing = _increment(resource, *changes, kind=kind)
        key = ApiKey.INCREMENTAL_ALTER_CONFIGS
        yield Refused(f"IncrementalAlterConfigs {name}", key, code, changing)
    key = ApiKey.INCREMENTAL_ALTER_CONFIGS
    for name, code, increment in (
        ("that adds to a number", config, _increment(TOPIC, ("retention.ms", _APPEND, "1"))),
        ("that takes from a number", config, _increment(TOPIC, ("retention.ms", _SUBTRACT, "1"))),
        ("that adds what may not be", config, _increment(TOPIC, ("cleanup.policy", _APPEND, "x"))),
        ("that adds null", request, _increment(TOPIC, ("cleanup.policy", _APPEND, None))),
        ("that adds to an unknown one", config, _increment(TOPIC, ("no.such", _APPEND, "1"))),
        ("of no operation", ErrorCode.UNKNOWN_SERVER_ERROR, _increment(TOPIC, ("a", 9, "1"))),
        (
            "that sets and deletes one",
            request,
            _increment(TOPIC, (*good[:1], _SET, "1"), (*good[:1], _DELETE, None)),
        ),
        ("of one resource twice", request, _increment(TOPIC, times=2)),
    ):
        yield Refused(f"IncrementalAlterConfigs {name}", key, code, increment)
