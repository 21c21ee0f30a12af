"""The table of clients: what is run, at which version, and what it knows of Kafka.

A new client is a driver in `clients/` and a line here. `quick` marks the newest of each family:
the subset for every push.
"""

from dataclasses import dataclass
from enum import Enum, auto

from tests.compat.environments import Environment, PythonPackages, SystemProgram

__all__ = ["CLIENTS", "Client", "Feature"]


class Feature(Enum):
    """What some clients cannot do; scenarios leave it out for them."""

    HEADERS = auto()
    RAW_HEADERS = auto()  # header values with any byte in them
    NULL_HEADERS = auto()
    TIMESTAMPS = auto()  # a timestamp of the application's choice
    CHOSEN_COMMIT = auto()  # commit an offset of the application's choice


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
    features = _ALL - {Feature.NULL_HEADERS}
    return Client("kafka-python", version, environment, codecs, features, quick)


def _confluent_kafka(version: str, *, below: tuple[int, int] | None, quick: bool = False) -> Client:
    environment = PythonPackages("confluent_kafka", (f"confluent-kafka=={version}",), below)
    return Client("confluent-kafka", version, environment, quick=quick)


def _aiokafka(version: str, *, quick: bool = False) -> Client:
    environment = PythonPackages("aiokafka", (f"aiokafka[snappy,lz4,zstd]=={version}",))
    return Client("aiokafka", version, environment, quick=quick)


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
        features=frozenset({Feature.HEADERS, Feature.NULL_HEADERS}),
        quick=True,
    ),
)
