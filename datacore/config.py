"""The broker's configuration: one typed model, four sources, one sentence when something is wrong.

Sources, the later wins: defaults < file (TOML) < environment (``DATACORE_SECTION__KEY``) < flags.
Every key can be given in each of them. Rules:

- An unknown key, a wrong type or an impossible value is a ``ConfigError`` that names its source,
  the key and what was expected. Nothing is ignored and nothing is guessed.
- A section exists only when something reads it.
- Kafka's settings keep Kafka's names and live in ``[kafka]``. Those that DataCore has a key of its
  own for (``num.partitions``) are taken as that key.
- Environment variables of another shape than ``DATACORE_SECTION__KEY`` are left alone: Kubernetes
  sets ``DATACORE_PORT`` and more for a service that is named datacore.

Built on msgspec and not on pydantic-settings, whose import alone takes 0.12 s of the 0.2 s in which
a broker should listen (``docs/decisions/0003-msgspec-and-click.md``).
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias, get_args, get_origin

import msgspec

KafkaConfigValue: TypeAlias = str | int | float | bool
"""What a setting in ``[kafka]`` may be."""

KafkaConfigCheck: TypeAlias = Callable[[str, KafkaConfigValue], str | None]
"""Asked for each setting in ``[kafka]``: what was expected there, or None when it is fine."""


class ConfigError(Exception):
    """The configuration cannot be used; the message says where, which key, and what is expected."""


class Listener(NamedTuple):
    """An address to listen on, by name, and the address that clients are told.

    ``advertised_host`` is None where the bound host is to be told, ``advertised_port`` is 0 where
    the bound port is.
    """

    name: str
    host: str
    port: int
    advertised_host: str | None = None
    advertised_port: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``NAME://host:port``; an IPv6 host stands in brackets.

        Raises:
            ValueError: It says something else; the message says what was expected.
        """
        name, separator, address = text.partition("://")
        host, colon, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        well_formed = (
            separator and colon and name.isidentifier() and port.isascii() and port.isdigit()
        )
        if not well_formed or int(port) > 65535:
            raise ValueError(f"NAME://host:port with a port up to 65535, got {text!r}")
        if name.upper() in {"SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
            raise ValueError(
                f"a listener without TLS and SASL, which are not built yet, got {text!r}"
            )
        return cls(name.upper(), host, int(port))


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class BrokerSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[broker]``: who this broker is and where it is reached."""

    host: Annotated[str, msgspec.Meta(min_length=1, description="Address to listen on.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, msgspec.Meta(description="Port to listen on; 0 takes a free one.")] = 9092
    broker_id: Annotated[
        int, msgspec.Meta(ge=0, le=2**31 - 1, description="This broker's id in its cluster.")
    ] = 1
    advertised_host: Annotated[
        str | None, msgspec.Meta(description="Host that clients are told to connect to.")
    ] = None
    listeners: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Named listeners, NAME://host:port each, instead of host, port."),
    ] = ()
    advertised_listeners: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Address that clients of a listener are told, NAME://host:port."),
    ] = ()
    data_dir: Annotated[
        str, msgspec.Meta(min_length=1, description="Directory that the disk engine writes to.")
    ] = "./data"
    auto_create_topics: Annotated[
        bool, msgspec.Meta(description="Create a topic when a client first asks for it.")
    ] = True
    num_partitions: Annotated[
        int, msgspec.Meta(ge=1, le=100_000, description="Partitions of a topic made without a say.")
    ] = 1

    def __post_init__(self) -> None:
        """Refuses listeners that contradict each other."""
        self.resolved_listeners()

    def resolved_listeners(self) -> tuple[Listener, ...]:
        """The listeners in the order given; one named PLAINTEXT where none is.

        Raises:
            ValueError: An address cannot be read, or a name is used twice or without a listener.
        """
        if self.listeners:
            bound = [Listener.parse(listener) for listener in self.listeners]
        else:
            bound = [Listener("PLAINTEXT", self.host, self.port)]
        names = [listener.name for listener in bound]
        if len(set(names)) < len(names):
            raise ValueError(f"listeners with names of their own, got {', '.join(names)}")
        advertised = {a.name: a for a in map(Listener.parse, self.advertised_listeners)}
        for name in advertised:
            if name not in names:
                raise ValueError(f"advertised listeners among {', '.join(names)}, got {name}")
        return tuple(
            listener._replace(advertised_host=told.host, advertised_port=told.port)
            if (told := advertised.get(listener.name))
            else listener._replace(advertised_host=self.advertised_host)
            for listener in bound
        )


ENGINES = ("memory", "disk", "postgresql", "s3")
"""The engines that have a name; others are named by where they are made."""

_FACTORY = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"


class StorageSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[storage]``: which engine keeps the logs."""

    engine: Annotated[
        str,
        msgspec.Meta(
            pattern=f"^(?:{'|'.join(ENGINES)}|{_FACTORY})$",
            description="Where logs live; memory keeps nothing over a restart. Or module:factory.",
            extra={"expected": f"one of {', '.join(ENGINES)}, or module:factory of another"},
        ),
    ] = "disk"


class DiskSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[disk]``: how the disk engine writes."""

    sync: Annotated[
        bool,
        msgspec.Meta(description="Answer acks=all only after fdatasync; false trusts the kernel."),
    ] = True
    segment_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1 << 14, le=(1 << 31) - 1, description="Size at which a new file is begun."
        ),
    ] = 1 << 30


class PostgresqlSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[postgresql]``: the database of the postgresql engine."""

    dsn: Annotated[
        str | None,
        msgspec.Meta(description="postgresql://user:password@host:port/database, instead."),
    ] = None
    host: Annotated[
        str, msgspec.Meta(min_length=1, description="Host, or the folder of a Unix socket.")
    ] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="Port of the server.")] = 5432
    database: Annotated[str, msgspec.Meta(min_length=1, description="Database.")] = "datacore"
    user: Annotated[str, msgspec.Meta(min_length=1, description="Role to connect as.")] = "datacore"
    password: Annotated[str | None, msgspec.Meta(description="Its password; never shown.")] = None
    schema: Annotated[
        str,
        msgspec.Meta(
            pattern="^[a-z_][a-z0-9_]{0,62}$",
            description="Schema of this cluster's tables; made when missing.",
        ),
    ] = "datacore"
    pool: Annotated[
        int, msgspec.Meta(ge=4, le=1000, description="Connections at most, and one more.")
    ] = 8
    cache_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 20, le=1 << 40, description="Batches kept in memory for readers.")
    ] = 128 << 20
    flush_timeout_ms: Annotated[
        int,
        msgspec.Meta(
            ge=100, le=600_000, description="How long an append is tried before it has failed."
        ),
    ] = 10_000


class S3Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[s3]``: the bucket of the s3 engine."""

    bucket: Annotated[str, msgspec.Meta(min_length=1, description="Bucket, which must exist.")] = (
        "datacore"
    )
    prefix: Annotated[
        str, msgspec.Meta(description="Of all keys; one prefix of one bucket is one cluster.")
    ] = ""
    endpoint: Annotated[
        str | None,
        msgspec.Meta(description="http(s)://host:port of a server that is not AWS; path style."),
    ] = None
    region: Annotated[str, msgspec.Meta(min_length=1, description="Region.")] = "us-east-1"
    access_key: Annotated[
        str | None, msgspec.Meta(description="Key id; else a profile, AWS's variables, a role.")
    ] = None
    secret_key: Annotated[str | None, msgspec.Meta(description="Its secret; never shown.")] = None
    profile: Annotated[str | None, msgspec.Meta(description="AWS profile that has the keys.")] = (
        None
    )
    ca_file: Annotated[
        str | None, msgspec.Meta(description="PEM file of who signed the endpoint's certificate.")
    ] = None
    linger_ms: Annotated[
        int, msgspec.Meta(ge=0, le=1000, description="How long a round waits for more to write.")
    ] = 0
    cache_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 20, le=1 << 40, description="Batches kept in memory for readers.")
    ] = 128 << 20
    disk_cache_dir: Annotated[
        str | None, msgspec.Meta(description="Folder for batches that were read; emptied at start.")
    ] = None
    disk_cache_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 20, le=1 << 50, description="How much is kept in that folder.")
    ] = 1 << 30
    flush_timeout_ms: Annotated[
        int,
        msgspec.Meta(
            ge=100, le=600_000, description="How long an append is tried before it has failed."
        ),
    ] = 10_000
    rewrite_interval_ms: Annotated[
        int,
        msgspec.Meta(
            ge=1000, le=86_400_000, description="How often written rounds are put in order by log."
        ),
    ] = 60_000
    grace_ms: Annotated[
        int,
        msgspec.Meta(
            ge=60_000,
            le=30 * 86_400_000,
            description="How long an object that nothing refers to stays.",
        ),
    ] = 3_600_000


class LoggingSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[logging]``: what the broker says about itself."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        msgspec.Meta(description="The least severe message that is written."),
    ] = "info"
    output: Annotated[
        str, msgspec.Meta(min_length=1, description='"stderr", or a file to append to.')
    ] = "stderr"
    format: Annotated[
        Literal["text", "json"], msgspec.Meta(description="Lines for people, or JSON per line.")
    ] = "text"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that ``datacore broker start`` and ``datacore.serve`` can be told."""

    broker: BrokerSection = BrokerSection()
    storage: StorageSection = StorageSection()
    disk: DiskSection = DiskSection()
    postgresql: PostgresqlSection = PostgresqlSection()
    s3: S3Section = S3Section()
    logging: LoggingSection = LoggingSection()
    kafka: Mapping[str, KafkaConfigValue] = {}


class Key(NamedTuple):
    """One key of the model, for flags and for the reference in docs."""

    section: str
    name: str
    type: Any
    default: Any
    description: str

    @property
    def dotted(self) -> str:
        """As errors and docs spell it: ``broker.port``."""
        return f"{self.section}.{self.name}"

    @property
    def environment(self) -> str:
        """The environment variable: ``DATACORE_BROKER__PORT``."""
        return f"{ENVIRONMENT_PREFIX}{self.section}__{self.name}".upper()

    @property
    def flag(self) -> str:
        """The flag: ``--broker-port``; a section's name is not said twice (``--broker-id``)."""
        name = self.name.removeprefix(f"{self.section}_")
        return f"--{self.section}-{name}".replace("_", "-")


ENVIRONMENT_PREFIX = "DATACORE_"

KAFKA_NAMES: Mapping[str, tuple[str, str]] = {
    "advertised.listeners": ("broker", "advertised_listeners"),
    "auto.create.topics.enable": ("broker", "auto_create_topics"),
    "broker.id": ("broker", "broker_id"),
    "listeners": ("broker", "listeners"),
    "log.dir": ("broker", "data_dir"),
    "log.dirs": ("broker", "data_dir"),
    "node.id": ("broker", "broker_id"),
    "num.partitions": ("broker", "num_partitions"),
}
"""Kafka's names that stand for a key of ours: in ``[kafka]`` they set that key."""


def keys() -> Iterator[Key]:
    """Every key outside ``[kafka]``, in the model's order."""
    for section, section_type in _SECTIONS.items():
        for name, field_type, default in zip(
            section_type.__struct_fields__,
            (section_type.__annotations__[f] for f in section_type.__struct_fields__),
            section_type.__struct_defaults__,
            strict=True,
        ):
            description = next(
                meta.description
                for meta in field_type.__metadata__
                if isinstance(meta, msgspec.Meta) and meta.description
            )
            yield Key(section, name, field_type, default, description)


def load_config(
    *,
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    check_kafka: KafkaConfigCheck | None = None,
) -> Config:
    """Reads all sources and puts them together.

    Args:
        file: A TOML file; None reads none.
        environment: The process's environment, or what stands for it; None reads none.
        flags: Values by dotted key (``"broker.port"``, ``"kafka.log.retention.ms"``), as typed
            values or as the strings of a command line.
        check_kafka: Judge of the settings in ``[kafka]``; None takes them all.

    Raises:
        ConfigError: A source cannot be read or says something impossible.
    """
    given: dict[tuple[str, str], _Given] = {}
    for source in (
        _from_file(Path(file)) if file is not None else (),
        _from_environment(environment or {}),
        _from_flags(flags or {}),
    ):
        here: dict[tuple[str, str], _Given] = {}
        for value in source:
            key, converted = _convert(value, check_kafka)
            if key in here:
                raise ConfigError(f"{value.where}: the same as {here[key].where}: give one of them")
            here[key] = converted
        given |= here
    return _assemble(given)


def _assemble(given: Mapping[tuple[str, str], "_Given"]) -> Config:
    if listeners := given.get(("broker", "listeners")):
        for name in ("host", "port"):
            if other := given.get(("broker", name)):
                raise ConfigError(
                    f"{other.where}: expected no {name} beside the listeners of {listeners.where}"
                )
    by_section: dict[str, dict[str, Any]] = {}
    for (section, name), value in given.items():
        by_section.setdefault(section, {})[name] = value.value
    sections: dict[str, Any] = {"kafka": by_section.pop("kafka", {})}
    for section, values in by_section.items():
        try:
            sections[section] = _SECTIONS[section](**values)
        except ValueError as error:
            places = [given[section, name].where for name in values if "listeners" in name]
            raise ConfigError(f"{', '.join(places)}: expected {error}") from None
    return Config(**sections)


_SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    name: field_type
    for name, field_type in Config.__annotations__.items()
    if isinstance(field_type, type) and issubclass(field_type, msgspec.Struct)
}


class _Given(NamedTuple):
    """A value as one source gives it."""

    section: str
    name: str
    value: Any
    where: str
    is_text: bool
    """Whether the source knows only strings, so that "1" may be a number."""


def _from_file(path: Path) -> Iterator[_Given]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: expected a readable TOML file: {error.strerror or error}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected TOML: {error}") from None
    for section, table in content.items():
        if not isinstance(table, dict):
            expected = f"a table [{section}]" if _is_section(section) else _sections_expected()
            raise ConfigError(f"{path}: {section}: expected {expected}, got {table!r}")
        for name, value in _flattened(table) if section == "kafka" else table.items():
            yield _Given(section, name, value, f"{path}: {section}.{name}", is_text=False)
        if not table and not _is_section(section):
            raise ConfigError(f"{path}: [{section}]: expected {_sections_expected()}")


def _flattened(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """TOML reads ``log.retention.ms = 1`` as nested tables: quotes make no difference here."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    for variable, text in environment.items():
        section, separator, name = variable.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if not variable.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        section, name = section.lower(), name.lower()
        if section == "kafka":
            name = name.replace("_", ".")
        yield _Given(section, name, text, f"environment: {variable}", is_text=True)


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    spelled = {key.dotted: key.flag for key in keys()}
    for dotted, value in flags.items():
        section, _, name = dotted.partition(".")
        flag = f"--kafka {name}" if section == "kafka" else spelled.get(dotted, dotted)
        yield _Given(section, name, value, f"flag: {flag}", is_text=isinstance(value, str))


def _convert(given: _Given, check_kafka: KafkaConfigCheck | None) -> tuple[tuple[str, str], _Given]:
    """The key that is meant, and the value in that key's type."""
    section, name = given.section, given.name
    if section == "kafka":
        if name not in KAFKA_NAMES:
            value = _of_type(given, KafkaConfigValue) if not given.is_text else given.value
            if check_kafka and (expected := check_kafka(name, value)):
                raise ConfigError(f"{given.where}: expected {expected}, got {given.value!r}")
            return (section, name), given._replace(value=value)
        if name == "log.dirs" and "," in str(given.value):
            raise ConfigError(f"{given.where}: expected one directory, got {given.value!r}")
        section, name = KAFKA_NAMES[name]
    if section not in _SECTIONS:
        raise ConfigError(f"{given.where}: unknown section: expected {_sections_expected()}")
    annotations = _SECTIONS[section].__annotations__
    if name not in annotations:
        known = ", ".join(_SECTIONS[section].__struct_fields__)
        raise ConfigError(f"{given.where}: unknown key: expected one of {known}")
    return (section, name), given._replace(value=_of_type(given, annotations[name]))


def _of_type(given: _Given, value_type: Any) -> Any:
    value = given.value
    if isinstance(value, str) and get_origin(_bare(value_type)) is tuple:
        value = [part for part in (part.strip() for part in value.split(",")) if part]
    try:
        return msgspec.convert(value, value_type, strict=not given.is_text)
    except msgspec.ValidationError as error:
        shown = "something else" if _is_secret(given) else repr(given.value)
        raise ConfigError(
            f"{given.where}: {_expected(str(error), value_type)}, got {shown}"
        ) from None


def _expected(message: str, value_type: Any) -> str:
    """Msgspec's sentence as ours; it does not say which words an enumeration takes."""
    if get_origin(value_type) is Annotated:
        for meta in value_type.__metadata__:
            if meta.extra and "regex" in message:
                return f"expected {meta.extra['expected']}"
    if get_origin(_bare(value_type)) is Literal:
        return "expected one of " + ", ".join(get_args(_bare(value_type)))
    said = message.partition(" - at ")[0].partition(", got ")[0].replace("`", "")
    return said[0].lower() + said[1:]


def _is_secret(given: _Given) -> bool:
    return given.name in {"dsn", "password"}


def _bare(value_type: Any) -> Any:
    """The type without its limits and description."""
    return value_type.__origin__ if get_origin(value_type) is Annotated else value_type


def _is_section(name: str) -> bool:
    return name == "kafka" or name in _SECTIONS


def _sections_expected() -> str:
    return "one of the sections " + ", ".join([*_SECTIONS, "kafka"])
