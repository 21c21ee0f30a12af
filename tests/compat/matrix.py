"""The table of clients: what is run, at which version, and what it knows of Kafka.

A new client is a driver in `clients/` and a line here. `quick` marks the newest of each family: the
subset for every push.
"""

from dataclasses import dataclass
from enum import Enum, auto

import pytest

from tests.compat.environments import (
    CargoPackage,
    Environment,
    GoModule,
    JavaClasspath,
    KafkaTools,
    NpmPackages,
    PythonPackages,
    SystemProgram,
)

__all__ = [
    "ABSENT",
    "CLIENTS",
    "CONNECT",
    "CONSOLE_TOOLS",
    "EACH_CLIENT",
    "EACH_CLIENT_AT_LENGTH",
    "FAUST",
    "FLINK",
    "QUIX",
    "STREAMS",
    "Client",
    "Feature",
]


class Feature(Enum):
    """What some clients cannot do; scenarios leave it out for them."""

    HEADERS = auto()
    RAW_HEADERS = auto()  # header values with any byte in them
    NULL_HEADERS = auto()
    NULLS = auto()  # tells what is absent (keys, values, header values) from what is empty
    REPEATED_HEADERS = auto()  # one name twice, with another in between
    HEADER_ORDER = auto()
    TIMESTAMPS = auto()  # a timestamp of the application's choice
    DISTANT_TIMESTAMPS = auto()  # years apart within one batch
    CHOSEN_COMMIT = auto()  # commit an offset of the application's choice
    GROUPS = auto()  # members that share partitions
    STATIC_MEMBERS = auto()  # KIP-345
    OFFSET_LOOKUP = auto()  # the first and next offset, and that of a time
    FLOW = auto()  # goes on by itself over the end of a broker
    IDEMPOTENCE = auto()
    TRANSACTIONS = auto()
    ADMIN = auto()  # creates, describes and deletes topics
    CONFIGS = auto()  # describes and alters their configs


ABSENT = "the client has no"
_ALL = frozenset(Feature)
_OLD_CODECS = ("none", "gzip", "snappy", "lz4")
_CODECS = (*_OLD_CODECS, "zstd")


@dataclass(frozen=True, slots=True)
class Client:
    """One client at one version.

    Attributes:
        family: what people call it.
        version: as its registry names it.
        environment: how it gets to run.
        codecs: those it can write and read.
        features: what else it knows.
        quick: whether the quick subset holds it.
    """

    family: str
    version: str
    environment: Environment
    codecs: tuple[str, ...] = _CODECS
    features: frozenset[Feature] = _ALL
    quick: bool = False

    def __str__(self) -> str:
        return f"{self.family}-{self.version}"

    def must_know(self, feature: Feature) -> None:
        """Skip the test if the client, not its driver, lacks the feature."""
        if feature not in self.features:
            pytest.skip(f"{self} not run: {ABSENT} {feature.name.lower().replace('_', ' ')}")


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _kafka_python(
    version: str, codecs: tuple[str, ...] = _CODECS, *, quick: bool = False
) -> Client:
    # Its codecs are packages of their own; these versions serve the oldest kafka-python too.
    packages = (
        f"kafka-python=={version}",
        "python-snappy==0.7.3",
        "lz4==4.4.4",
        "zstandard==0.23.0",
        "crc32c==2.7.1",
    )
    # Up to 2.0.2 it carries a copy of six whose import hook Python 3.12 refuses.
    release = _release(version)
    below = (3, 12) if release <= (2, 0, 2) else None
    environment = PythonPackages("kafka_python", packages, below)
    # Its producer insists that header values are bytes.
    lacks = {Feature.NULL_HEADERS}
    if release < (2, 2):
        lacks |= {Feature.IDEMPOTENCE, Feature.TRANSACTIONS}
    if release < (2, 3):
        lacks |= {Feature.STATIC_MEMBERS}
    features = _ALL - lacks
    return Client("kafka-python", version, environment, codecs, features, quick)


def _confluent_kafka(
    version: str, *, below: tuple[int, int] | None = None, quick: bool = False
) -> Client:
    packages = (f"confluent-kafka=={version}",)
    # Without a wheel pip would look for librdkafka's headers.
    environment = PythonPackages("confluent_kafka", packages, below, wheels="confluent-kafka")
    lacks: set[Feature] = set()
    if _release(version) < (1, 4):
        lacks |= {Feature.STATIC_MEMBERS}
    # 1.4 has transactions, but its consumer does not close after control records (asked of Apache
    # Kafka 3.9.1, too); 4.1.1 has none of the versions that they need.
    if _release(version) < (1, 5):
        lacks |= {Feature.TRANSACTIONS}
    features = _ALL - lacks
    return Client("confluent-kafka", version, environment, features=features, quick=quick)


def _aiokafka(version: str, *, quick: bool = False) -> Client:
    packages = [f"aiokafka[snappy,lz4,zstd]=={version}"]
    # 0.10 has wheels up to Python 3.12.
    below = None if _release(version) >= (0, 12) else (3, 13)
    if _release(version) < (0, 9):
        # Up to then it stands on kafka-python and takes any, also those that it cannot import.
        packages.append("kafka-python==2.0.2")
        below = (3, 12)
    environment = PythonPackages("aiokafka", tuple(packages), below, wheels="aiokafka")
    features = _ALL if _release(version) >= (0, 9) else _ALL - {Feature.STATIC_MEMBERS}
    return Client("aiokafka", version, environment, features=features, quick=quick)


# The last of each minor release; those after 4.1 are newer than what we speak.
_JAVA_RELEASES = (
    *("1.1.1", "2.0.1", "2.1.1", "2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.3", "2.7.2", "2.8.2"),
    *("3.0.2", "3.1.2", "3.2.3", "3.3.2", "3.4.1", "3.5.2", "3.6.2", "3.7.2", "3.8.1", "3.9.1"),
    *("4.0.1", "4.1.1", "4.2.0", "4.3.0"),
)


def _java(version: str) -> Client:
    # zstd came with 2.1 (KIP-110).
    codecs = _OLD_CODECS if version in {"1.1.1", "2.0.1"} else _CODECS
    static = frozenset() if _release(version) >= (2, 3) else {Feature.STATIC_MEMBERS}
    features = _ALL - static
    environment = JavaClasspath(parts=("java/TopicAdmin.java",))
    return Client("java", version, environment, codecs, features, quick=version == "4.1.1")


# kafkajs brings gzip only; these are the codecs that it lets one register.
_KAFKAJS_CODECS = ("kafkajs-snappy@1.1.0", "lz4-napi@2.10.0", "zstd-codec@0.1.5")


def _kafkajs(version: str, *, quick: bool = False) -> Client:
    environment = NpmPackages("kafkajs/driver.mjs", (f"kafkajs@{version}", *_KAFKAJS_CODECS))
    # Its headers are an object's properties, and its encoder stumbles over null.
    lacks = {
        Feature.NULL_HEADERS,
        Feature.REPEATED_HEADERS,
        Feature.STATIC_MEMBERS,
    }
    features = _ALL - lacks
    return Client("kafkajs", version, environment, features=features, quick=quick)


def _platformatic(version: str, *, quick: bool = False) -> Client:
    environment = NpmPackages("platformatic/driver.mjs", (f"@platformatic/kafka@{version}",))
    # It writes null as empty, and years apart within a batch as any time.
    lacks = {Feature.NULLS, Feature.DISTANT_TIMESTAMPS}
    lacks |= {Feature.STATIC_MEMBERS, Feature.TRANSACTIONS, Feature.CONFIGS}
    features = _ALL - lacks
    # zstd came with Node.js 22.15.
    return Client("platformatic", version, environment, _OLD_CODECS, features, quick)


def _confluent_js(version: str) -> Client:
    environment = NpmPackages(
        "confluent_js/driver.mjs",
        (f"@confluentinc/kafka-javascript@{version}",),
        tools=(("g++", "a C++ compiler"), ("make", "make"), ("python3", "Python")),
        # Where it finds no binary of the platform it builds the librdkafka that it brings, over the
        # system's libraries rather than over what it would download.
        variables=(("CKJS_LINKING", "dynamic"),),
    )
    # An empty value comes back as null; its headers are an object's properties.
    lacks = {Feature.NULLS, Feature.NULL_HEADERS, Feature.REPEATED_HEADERS, Feature.CONFIGS}
    # That has zstd where the system has its headers.
    return Client("confluent-kafka-js", version, environment, _OLD_CODECS, _ALL - lacks)


def _franz_go(version: str, *, quick: bool = False) -> Client:
    environment = GoModule("go/franz_go/main.go", "github.com/twmb/franz-go")
    # Old ones write such a batch with a time that Apache Kafka 4.1.1 refuses, too.
    lacks = {Feature.DISTANT_TIMESTAMPS} if version == "1.10.0" else set[Feature]()
    return Client("franz-go", version, environment, features=_ALL - lacks, quick=quick)


def _sarama(version: str, *, quick: bool = False) -> Client:
    # It was Shopify's up to 1.38.
    module = (
        "github.com/IBM/sarama" if _release(version) >= (1, 40) else "github.com/Shopify/sarama"
    )
    environment = GoModule("go/sarama/main.go", module, imported="github.com/IBM/sarama")
    # The idempotent producer of old ones gives up, or loses count, when a broker ends (asked of
    # Apache Kafka 4.1.1, too).
    lacks = {Feature.FLOW} if _release(version) < (1, 46) else set[Feature]()
    return Client("sarama", version, environment, features=_ALL - lacks, quick=quick)


def _confluent_kafka_go(version: str, *, quick: bool = False) -> Client:
    # Of its own it brings librdkafka, built for Linux with glibc or musl, and for macOS.
    module = f"github.com/confluentinc/confluent-kafka-go/v{version[0]}"
    environment = GoModule("go/confluent/main.go", module, cgo=True)
    return Client("confluent-kafka-go", version, environment, quick=quick)


def _rdkafka(version: str) -> Client:
    # It builds the librdkafka that it brings.
    rdkafka = 'rdkafka = { version = "={version}", features = ["zstd", "libz-static"] }'
    tools = (("gcc", "a C compiler"), ("make", "make"))
    environment = CargoPackage("rust/rdkafka.rs", (rdkafka, 'futures-executor = "0.3"'), tools)
    return Client("rust-rdkafka", version, environment)


def _rskafka(version: str) -> Client:
    crates = (
        'rskafka = "={version}"',
        'tokio = { version = "1", features = ["rt-multi-thread"] }',
        'chrono = "0.4"',
    )
    environment = CargoPackage("rust/rskafka.rs", crates, (("gcc", "a C compiler"),))
    # Its headers are a sorted map without nulls, and it is for those who keep their own offsets.
    lacks = {Feature.NULL_HEADERS, Feature.REPEATED_HEADERS, Feature.HEADER_ORDER, Feature.CONFIGS}
    lacks |= {Feature.GROUPS, Feature.CHOSEN_COMMIT, Feature.STATIC_MEMBERS}
    lacks |= {Feature.IDEMPOTENCE, Feature.TRANSACTIONS}
    return Client("rskafka", version, environment, features=_ALL - lacks)


def _segmentio(version: str) -> Client:
    environment = GoModule("go/segmentio/main.go", "github.com/segmentio/kafka-go")
    lacks = {Feature.STATIC_MEMBERS, Feature.IDEMPOTENCE, Feature.TRANSACTIONS}
    lacks |= {Feature.NULLS}  # it writes an empty value as null
    return Client("segmentio", version, environment, features=_ALL - lacks)


CLIENTS: tuple[Client, ...] = (
    _kafka_python("1.4.7", _OLD_CODECS),
    _kafka_python("2.0.2"),
    _kafka_python("2.0.6"),
    _kafka_python("2.1.6"),
    _kafka_python("2.2.21"),
    _kafka_python("2.3.3"),
    _kafka_python("3.0.12", quick=True),
    # Old ones have wheels for old Pythons only.
    _confluent_kafka("1.0.1", below=(3, 8)),
    _confluent_kafka("1.4.2", below=(3, 9)),
    _confluent_kafka("1.7.0", below=(3, 10)),
    _confluent_kafka("1.9.2", below=(3, 11)),
    _confluent_kafka("2.0.2", below=(3, 12)),
    _confluent_kafka("2.5.3", below=(3, 13)),
    _confluent_kafka("2.10.1"),
    _confluent_kafka("2.16.1", quick=True),
    _aiokafka("0.8.1"),
    _aiokafka("0.10.0"),
    _aiokafka("0.12.0"),
    _aiokafka("0.14.0", quick=True),
    Client(
        "kcat",
        "system",
        SystemProgram("kcat", "kcat"),
        features=_ALL
        - {
            Feature.RAW_HEADERS,
            Feature.TIMESTAMPS,
            Feature.DISTANT_TIMESTAMPS,
            Feature.CHOSEN_COMMIT,
            Feature.FLOW,
            Feature.TRANSACTIONS,
            Feature.ADMIN,
        },
        quick=True,
    ),
    *map(_java, _JAVA_RELEASES),
    _kafkajs("1.16.0"),
    _kafkajs("2.2.4", quick=True),
    # The last for Node.js 20; 2.x needs 22.
    _platformatic("1.20.0", quick=True),
    _confluent_js("1.10.1"),
    _franz_go("1.10.0"),
    _franz_go("1.22.2", quick=True),
    _sarama("1.38.1"),
    _sarama("1.45.2"),
    _sarama("1.61.1", quick=True),
    _segmentio("0.4.51"),
    _confluent_kafka_go("2.3.0"),
    _confluent_kafka_go("2.11.1"),
    _rdkafka("0.39.0"),
    _rskafka("0.6.0"),
)


def _each_client(*, quick: frozenset[str]) -> pytest.MarkDecorator:
    """One test per client; of the quick clients, those of these families are in the subset."""

    def marks(client: Client) -> list[pytest.MarkDecorator]:
        return [pytest.mark.quick] if client.quick and client.family in quick else []

    return pytest.mark.parametrize(
        "client", [pytest.param(client, id=str(client), marks=marks(client)) for client in CLIENTS]
    )


EACH_CLIENT = _each_client(quick=frozenset(client.family for client in CLIENTS))
# The longer scenarios: every push asks them of one client only, the one that starts soonest.
EACH_CLIENT_AT_LENGTH = _each_client(quick=frozenset({"aiokafka"}))


def _console_tools(
    version: str, codecs: tuple[str, ...] = _CODECS, *, quick: bool = False
) -> Client:
    return Client("console-tools", version, KafkaTools(), codecs, quick=quick)


# These speak no contract: they are programs for people, with tests of their own.
CONSOLE_TOOLS: tuple[Client, ...] = (
    _console_tools("1.1.1", _OLD_CODECS),
    _console_tools("2.8.2"),
    _console_tools("3.9.1"),
    _console_tools("4.1.1", quick=True),
    _console_tools("4.2.0"),
    _console_tools("4.3.0"),
)

_KAFKA = "org.apache.kafka"
_STREAMS = JavaClasspath(
    "streams", (f"{_KAFKA}:kafka-streams:{{version}}",), "java/WordCount.java", rehearsal=None
)
_CONNECT = JavaClasspath(
    "connect",
    tuple(f"{_KAFKA}:connect-{name}:{{version}}" for name in ("runtime", "file", "json")),
    source=None,
    rehearsal=None,
)


def _flink(version: str, connector: str) -> Client:
    artifacts = (
        *(
            f"org.apache.flink:flink-{name}:{{version}}"
            for name in ("streaming-java", "clients", "connector-base")
        ),
        f"org.apache.flink:flink-connector-kafka:{connector}",
    )
    # What bin/config.sh gives a JVM of Java 17; and a cluster of one process needs its room.
    opens = (f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPEN_TO_FLINK)
    environment = JavaClasspath(
        "flink", artifacts, "java/FlinkWordCount.java", (*opens, "-Xmx384m"), rehearsal=None
    )
    return Client("flink", version, environment)


_OPEN_TO_FLINK = ("lang", "net", "io", "nio", "text", "time", "util", "util.concurrent")

# Applications: what they do is in tests of their own, with the broker and them killed meanwhile.
STREAMS: tuple[Client, ...] = tuple(
    Client("kafka-streams", version, _STREAMS) for version in ("2.8.2", "4.1.1", "4.3.0")
)
CONNECT: tuple[Client, ...] = tuple(
    Client("kafka-connect", version, _CONNECT) for version in ("3.9.1", "4.1.1", "4.3.0")
)
FLINK: tuple[Client, ...] = (_flink("1.20.4", "3.4.0-1.20"), _flink("2.2.1", "5.0.0-2.2"))
QUIX: tuple[Client, ...] = (
    Client("quix-streams", "3.28.1", PythonPackages("quix_word_count", ("quixstreams==3.28.1",))),
)
FAUST: tuple[Client, ...] = (
    Client(
        "faust",
        "0.15.3",
        PythonPackages("faust_word_count", ("faust-streaming==0.15.3", "aiokafka==0.14.0")),
    ),
)
