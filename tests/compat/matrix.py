"""The table of clients: what is run, at which version, and what it knows of Kafka.

A new client is a driver in `clients/` and a line here. `quick` marks the newest of each family: the
subset for every push.
"""

from dataclasses import dataclass
from enum import Enum, auto

from tests.compat.environments import (
    Environment,
    GoModule,
    JavaClasspath,
    KafkaTools,
    NpmPackages,
    PythonPackages,
    SystemProgram,
)

__all__ = ["CLIENTS", "CONNECT", "CONSOLE_TOOLS", "FLINK", "STREAMS", "Client", "Feature"]


class Feature(Enum):
    """What some clients cannot do; scenarios leave it out for them."""

    HEADERS = auto()
    RAW_HEADERS = auto()  # header values with any byte in them
    NULL_HEADERS = auto()
    REPEATED_HEADERS = auto()  # one name twice, with another in between
    TIMESTAMPS = auto()  # a timestamp of the application's choice
    CHOSEN_COMMIT = auto()  # commit an offset of the application's choice
    TRANSACTIONS = auto()  # and the driver's `copy`


_PLAIN = frozenset(Feature) - {Feature.TRANSACTIONS}
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
    features: frozenset[Feature] = _PLAIN
    quick: bool = False

    def __str__(self) -> str:
        return f"{self.family}-{self.version}"


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
    below = (3, 12) if version in {"1.4.7", "2.0.2"} else None
    environment = PythonPackages("kafka_python", packages, below)
    # Its producer insists that header values are bytes.
    features = _PLAIN - {Feature.NULL_HEADERS}
    return Client("kafka-python", version, environment, codecs, features, quick)


def _confluent_kafka(version: str, *, below: tuple[int, int] | None, quick: bool = False) -> Client:
    environment = PythonPackages("confluent_kafka", (f"confluent-kafka=={version}",), below)
    return Client("confluent-kafka", version, environment, features=_ALL, quick=quick)


def _aiokafka(version: str, *, quick: bool = False) -> Client:
    environment = PythonPackages("aiokafka", (f"aiokafka[snappy,lz4,zstd]=={version}",))
    return Client("aiokafka", version, environment, features=_ALL, quick=quick)


# The last of each minor release; those after 4.1 are newer than what we speak.
_JAVA_RELEASES = (
    *("1.1.1", "2.0.1", "2.1.1", "2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.3", "2.7.2", "2.8.2"),
    *("3.0.2", "3.1.2", "3.2.3", "3.3.2", "3.4.1", "3.5.2", "3.6.2", "3.7.2", "3.8.1", "3.9.1"),
    *("4.0.1", "4.1.1", "4.2.0", "4.3.0"),
)


def _java(version: str) -> Client:
    # zstd came with 2.1 (KIP-110).
    codecs = _OLD_CODECS if version in {"1.1.1", "2.0.1"} else _CODECS
    return Client("java", version, JavaClasspath(), codecs, _ALL, quick=version == "4.1.1")


# kafkajs brings gzip only; these are the codecs that it lets one register.
_KAFKAJS_CODECS = ("kafkajs-snappy@1.1.0", "lz4-napi@2.10.0", "zstd-codec@0.1.5")


def _kafkajs(version: str, *, quick: bool = False) -> Client:
    environment = NpmPackages("kafkajs/driver.mjs", (f"kafkajs@{version}", *_KAFKAJS_CODECS))
    # Its headers are an object's properties, and its encoder stumbles over null.
    features = _PLAIN - {Feature.NULL_HEADERS, Feature.REPEATED_HEADERS}
    return Client("kafkajs", version, environment, features=features, quick=quick)


def _franz_go(version: str, *, quick: bool = False) -> Client:
    environment = GoModule("go/franz_go/main.go", "github.com/twmb/franz-go")
    return Client("franz-go", version, environment, quick=quick)


def _sarama(version: str, *, quick: bool = False) -> Client:
    environment = GoModule("go/sarama/main.go", "github.com/IBM/sarama")
    return Client("sarama", version, environment, quick=quick)


CLIENTS: tuple[Client, ...] = (
    _kafka_python("1.4.7", _OLD_CODECS),
    _kafka_python("2.0.2"),
    _kafka_python("3.0.12", quick=True),
    # The oldest with a wheel for Python 3.11, and none for later ones.
    _confluent_kafka("2.0.2", below=(3, 12)),
    _confluent_kafka("2.16.1", below=None, quick=True),
    _aiokafka("0.14.0", quick=True),
    Client(
        "kcat",
        "system",
        SystemProgram("kcat", "kcat"),
        features=frozenset({Feature.HEADERS, Feature.NULL_HEADERS, Feature.REPEATED_HEADERS}),
        quick=True,
    ),
    *map(_java, _JAVA_RELEASES),
    _kafkajs("2.2.4", quick=True),
    _franz_go("1.22.2", quick=True),
    _sarama("1.61.1", quick=True),
)


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
