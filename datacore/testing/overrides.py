"""Keyword arguments as configuration: what brokers for tests take.

A key goes by its flag without the dashes (``storage_engine``, ``disk_sync``, ``broker_id``), a key
of ``[broker]`` also by its own name (``port``, ``num_partitions``), and Kafka's settings are a
mapping named ``kafka``.
"""

from collections.abc import Iterator, Mapping

from datacore.config import Key, keys


def dotted_keys(overrides: Mapping[str, object]) -> dict[str, object]:
    """The same values by dotted key, as ``load_config`` takes them for flags.

    Raises:
        TypeError: There is no such key.
    """
    names = {name: key.dotted for key in keys() for name in _names(key)}
    flags: dict[str, object] = {}
    for name, value in overrides.items():
        if name == "kafka" and isinstance(value, Mapping):
            flags |= {f"kafka.{setting}": given for setting, given in value.items()}
        elif name in names:
            flags[names[name]] = value
        else:
            raise TypeError(f"unknown setting {name!r}: expected one of {', '.join(names)}, kafka")
    return flags


def command_line(flags: Mapping[str, object]) -> list[str]:
    """The same values as arguments of ``datacore broker start``."""
    by_dotted = {key.dotted: key for key in keys()}
    arguments = []
    for dotted, value in flags.items():
        if dotted.startswith("kafka."):
            arguments += ["--kafka", f"{dotted.removeprefix('kafka.')}={_text(value)}"]
        elif isinstance(value, bool):
            flag = by_dotted[dotted].flag
            arguments.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            arguments += [by_dotted[dotted].flag, _text(value)]
    return arguments


def _names(key: Key) -> Iterator[str]:
    yield key.flag.removeprefix("--").replace("-", "_")
    if key.section == "broker":
        yield key.name


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
