"""docs/configuration.md: every setting of ``datacore.config`` and ``datacore.metadata.configs``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec

from datacore.config import KAFKA_NAMES, Config, keys
from datacore.metadata.configs import BROKER_CONFIGS, TOPIC_CONFIGS, ConfigType
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

Accepted by their Kafka names and validated as Kafka does. **Those without a "yes" in the last
column are accepted, stored and shown by DescribeConfigs, and change nothing yet.** Any other name
stops the start. Some are another name of a key above, which they set:
"""

_TOPICS: Final = """\
## Topic configs

Given when a topic is created (`datacore topic create --config NAME=VALUE`, CreateTopics); what is
not given comes from the broker config in the third column. **The same holds: without a "yes" a
config is accepted, stored and shown, and changes nothing yet.** `cleanup.policy=compact` makes keys
compulsory, and no more: nothing is compacted or deleted by age or size yet. No API changes configs
later ([gaps](gaps.md)).
"""

_TYPES: Final = {bool: "true or false", int: "integer", str: "text"}
_LARGEST: Final = {ConfigType.INT: 2**31 - 1, ConfigType.LONG: 2**63 - 1}


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
    yield table(
        ["config", "type", "default", "valid values", "takes effect"],
        [_kafka_row(key) for key in BROKER_CONFIGS.values()],
    )
    yield _TOPICS
    yield table(
        ["config", "type", "broker config", "default", "valid values", "takes effect"],
        [
            [*_kafka_row(key)[:2], code(key.synonym or ""), *_kafka_row(key)[2:]]
            for key in TOPIC_CONFIGS.values()
        ],
    )


def _kafka_row(key: ConfigKey) -> list[str]:
    return [
        code(key.name),
        key.type.name.lower(),
        code(key.default) if key.default else "empty",
        _valid(key),
        "yes" if key.takes_effect else "",
    ]


def _valid(key: ConfigKey) -> str:
    if key.choices:
        return ", ".join(map(code, key.choices))
    if key.minimum is None:
        return ""
    if key.maximum is None or key.maximum == _LARGEST.get(key.type):
        return f"at least {key.minimum:.15g}"
    return f"{key.minimum:.15g} to {key.maximum:.15g}"
