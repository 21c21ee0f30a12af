"""docs/configuration.md: every setting of ``datacore.config`` and ``datacore.metadata.configs``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec

from datacore.config import KAFKA_NAMES, Config, keys
from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    Update,
)
from datacore.metadata.configs.broker.cluster import CLUSTER
from datacore.metadata.configs.broker.groups import GROUPS
from datacore.metadata.configs.broker.logs import LOGS
from datacore.metadata.configs.broker.network import NETWORK
from datacore.metadata.configs.broker.quotas import QUOTAS
from datacore.metadata.configs.broker.remote_storage import REMOTE_STORAGE
from datacore.metadata.configs.broker.security import SECURITY
from datacore.metadata.configs.broker.transactions import TRANSACTIONS
from docs._pages.markdown import GENERATED, code, joined, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacore.config import Key
    from datacore.metadata.configs import ConfigKey

_INTRODUCTION: Final = """\
# Configuration

A broker is told by four sources, the later wins: defaults, a TOML file (`--config FILE` or
`DATACORE_CONFIG`), the environment, flags. Every key can be given in each of them. An unknown key,
a wrong type or an impossible value stops the start with its source, the key and what was expected.

```toml
[broker]
port = 9092
data_dir = "./data"

[disk]
sync = true

[kafka]
"log.message.timestamp.type" = "LogAppendTime"
```

In the environment lists are separated by commas, and the Kafka names of `[kafka]` have `_` for `.`
(`DATACORE_KAFKA__LOG_RETENTION_MS`). As a flag they are `--kafka NAME=VALUE`.
"""

_KAFKA: Final = """\
## `[kafka]`: Kafka's broker configs

Accepted by their Kafka names and validated as Kafka does. The last column says what becomes of
each: **yes**: it takes effect; **no**: it is accepted, stored and shown by DescribeConfigs, and
changes nothing; **refused**: only its default is taken, because another value would promise what is
not there. Any other name stops the start. "Altered" says how a config changes while the broker runs
(IncrementalAlterConfigs): for one broker, for the whole cluster too, or not at all. Defaults are
Apache Kafka's but for those that name Kafka's beside their own. Some configs are another name of a
key above, which they set:
"""

_TOPICS: Final = """\
## Topic configs

Given when a topic is created (`datacore topic create --config NAME=VALUE`, CreateTopics) or later
(AlterConfigs, IncrementalAlterConfigs); what is not given comes from the broker config in the third
column. The last column is as above.
"""

_GROUPS: Final = """\
## Group configs

Given to a group by its id, whether or not it is there yet; what is not given comes from the broker.
"""

_CLIENT_METRICS: Final = """\
## Client metrics configs

Given to a subscription by a name (`kafka-client-metrics.sh`, KIP-714).
"""

_TYPES: Final = {bool: "true or false", int: "integer", str: "text"}
_SUBJECTS: Final = {
    "Logs and topics": LOGS,
    "Network": NETWORK,
    "Groups": GROUPS,
    "Transactions": TRANSACTIONS,
    "Quotas and metrics": QUOTAS,
    "Cluster": CLUSTER,
    "Tiered storage": REMOTE_STORAGE,
    "Security": SECURITY,
}
_KEY_HEAD: Final = ["config", "type", "default", "valid values", "importance"]


def configuration() -> str:
    """The page."""
    return joined([GENERATED, _INTRODUCTION, *_sections(), _KAFKA, *_kafka()])


def _sections() -> Iterator[str]:
    for section, members in groupby(keys(), key=lambda key: key.section):
        about = (Config.__annotations__[section].__doc__ or "").partition(": ")[2]
        yield f"## `[{section}]`: {about.rstrip('.')}"
        yield table(
            ["key", "type", "default", "environment and flag", "what it says"],
            [
                [
                    code(key.name),
                    _value_type(key),
                    _default(key.default),
                    f"{code(key.environment)} {_flag(key)}",
                    key.description,
                ]
                for key in members
            ],
        )


def _flag(key: Key) -> str:
    if isinstance(key.default, bool):
        return f"{code(key.flag)}, {code(key.flag.replace('--', '--no-', 1))}"
    return code(key.flag)


def _value_type(key: Key) -> str:
    """The type of a key in words, with its limits."""
    bare, *metas = get_args(key.type)
    if get_origin(bare) is Literal:
        return " or ".join(code(choice) for choice in get_args(bare))
    if get_origin(bare) is tuple:
        return "list of texts"
    named = next(_TYPES[each] for each in _TYPES if bare is each or each in get_args(bare))
    limits = [meta for meta in metas if isinstance(meta, msgspec.Meta)]
    low = next((meta.ge for meta in limits if meta.ge is not None), None)
    high = next((meta.le for meta in limits if meta.le is not None), None)
    return named if low is None else f"{named}, {low} to {high}"


def _default(value: Any) -> str:
    if value is None or value == ():
        return "not set"
    return code(str(value).lower() if isinstance(value, bool) else value)


def _kafka() -> Iterator[str]:
    yield table(
        ["Kafka's name", "key"],
        [
            [code(name), code(f"{section}.{key}")]
            for name, (section, key) in sorted(KAFKA_NAMES.items())
        ],
    )
    for subject, keys_of_it in _SUBJECTS.items():
        yield f"### {subject}"
        yield table(
            [*_KEY_HEAD, "altered", "what it says", "takes effect"],
            [
                [*_row(key), _altered(key), key.about, key.effect.value]
                for key in sorted(keys_of_it, key=lambda key: key.name)
            ],
        )
    assert sum(map(len, _SUBJECTS.values())) == len(BROKER_CONFIGS)
    yield _TOPICS
    yield table(
        ["config", "type", "broker config", *_KEY_HEAD[2:], "what it says", "takes effect"],
        [
            [*_row(key)[:2], code(key.synonym or ""), *_row(key)[2:], key.about, key.effect.value]
            for key in TOPIC_CONFIGS.values()
        ],
    )
    for introduction, configs in (
        (_GROUPS, GROUP_CONFIGS),
        (_CLIENT_METRICS, CLIENT_METRICS_CONFIGS),
    ):
        yield introduction
        yield table(
            [*_KEY_HEAD, "what it says", "takes effect"],
            [[*_row(key), key.about, key.effect.value] for key in configs.values()],
        )


def _row(key: ConfigKey) -> list[str]:
    default = (
        "empty" if key.default == "" else "not set" if key.default is None else code(key.default)
    )
    if key.kafka_default is not None:
        default += f" (Kafka {code(key.kafka_default)})"
    valid = "" if key.valid is None else str(key.valid).replace("|", "\\|")
    return [code(key.name), key.type.name.lower(), default, valid, key.importance.value]


def _altered(key: ConfigKey) -> str:
    return "" if key.update is Update.READ_ONLY else key.update.value
