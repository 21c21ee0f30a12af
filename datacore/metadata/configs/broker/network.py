"""Where the broker listens, and what connections and requests may take."""

from __future__ import annotations

from typing import Final

from datacore.metadata.configs.key import (
    BOOLEAN,
    CLUSTER_WIDE,
    HIGH,
    INT,
    INT_MAX,
    LONG,
    LOW,
    MEDIUM,
    PER_BROKER,
    STRING,
    YES,
    ConfigKey,
    Shape,
    at_least,
)

OVERRIDES: Final = Shape(
    r"(\s*[^,]+:[0-9]{1,9}\s*(,\s*[^,]+:[0-9]{1,9}\s*)*)?", "address:number pairs"
)

# fmt: off
NETWORK: Final = (
    ConfigKey("listeners", STRING, "PLAINTEXT://:9092", HIGH, update=PER_BROKER, effect=YES,
              about="Addresses to listen on, NAME://host:port each; another name of "
                    "broker.listeners."),
    ConfigKey("advertised.listeners", STRING, None, HIGH, effect=YES,
              about="Addresses that clients are told; another name of "
                    "broker.advertised_listeners."),
    ConfigKey("listener.security.protocol.map", STRING,
              "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", LOW,
              update=PER_BROKER,
              about="Which security protocol each named listener speaks."),
    ConfigKey("early.start.listeners", STRING, None, HIGH,
              about="Listeners that open before authorization is ready."),
    ConfigKey("socket.send.buffer.bytes", INT, "102400", HIGH,
              about="The kernel's send buffer of a connection; -1 leaves it to the kernel."),
    ConfigKey("socket.receive.buffer.bytes", INT, "102400", HIGH,
              about="The kernel's receive buffer of a connection; -1 leaves it to the kernel."),
    ConfigKey("socket.request.max.bytes", INT, "104857600", HIGH, at_least(1), effect=YES,
              about="The largest request; a larger one costs its sender the connection."),
    ConfigKey("socket.listen.backlog.size", INT, "50", MEDIUM, at_least(1),
              about="How many connections may wait to be accepted."),
    ConfigKey("socket.connection.setup.timeout.ms", LONG, "10000", MEDIUM,
              about="How long a connection to another broker may take at first."),
    ConfigKey("socket.connection.setup.timeout.max.ms", LONG, "30000", MEDIUM,
              about="How long it may take after many failures."),
    ConfigKey("max.connections", INT, INT_MAX, MEDIUM, at_least(0), update=CLUSTER_WIDE,
              effect=YES,
              about="How many connections the broker takes."),
    ConfigKey("max.connections.per.ip", INT, INT_MAX, MEDIUM, at_least(0), update=CLUSTER_WIDE,
              effect=YES,
              about="How many connections one address may have."),
    ConfigKey("max.connections.per.ip.overrides", STRING, "", MEDIUM, OVERRIDES,
              update=CLUSTER_WIDE, effect=YES,
              about="The same for single addresses: address:number, separated by commas. Host "
                    "names match nobody here."),
    ConfigKey("max.connection.creation.rate", INT, INT_MAX, MEDIUM, at_least(0),
              update=CLUSTER_WIDE,
              about="How many connections are accepted a second."),
    ConfigKey("connections.max.idle.ms", LONG, "600000", MEDIUM, effect=YES,
              about="How long a connection may be silent before it is closed."),
    ConfigKey("connection.failed.authentication.delay.ms", INT, "100", LOW, at_least(0),
              about="How long a failed authentication is left without an answer."),
    ConfigKey("queued.max.requests", INT, "500", HIGH, at_least(1),
              about="How many requests may wait before Kafka's network threads stop reading."),
    ConfigKey("queued.max.request.bytes", LONG, "-1", MEDIUM,
              about="How many bytes of requests may wait; -1 is without limit."),
    ConfigKey("num.network.threads", INT, "3", HIGH, at_least(1), update=CLUSTER_WIDE,
              about="How many threads Kafka has for sockets. DataCore has one event loop."),
    ConfigKey("num.io.threads", INT, "8", HIGH, at_least(1), update=CLUSTER_WIDE,
              about="How many threads Kafka has for requests. DataCore has one event loop."),
    ConfigKey("request.timeout.ms", INT, "30000", HIGH,
              about="How long the broker waits for the answer of another one."),
    ConfigKey("fetch.max.bytes", INT, "57671680", MEDIUM, at_least(1024), effect=YES,
              about="The most that one answer to a fetch may hold."),
    ConfigKey("max.incremental.fetch.session.cache.slots", INT, "1000", MEDIUM, at_least(0),
              effect=YES,
              about="How many fetch sessions are remembered."),
    ConfigKey("max.request.partition.size.limit", INT, "2000", MEDIUM, at_least(1),
              about="How many partitions one answer of DescribeTopicPartitions may hold."),
    ConfigKey("fetch.purgatory.purge.interval.requests", INT, "1000", MEDIUM,
              about="After how many fetches those that are done are cleared from Kafka's waiting "
                    "room."),
    ConfigKey("producer.purgatory.purge.interval.requests", INT, "1000", MEDIUM,
              about="After how many produce requests those that are done are cleared."),
    ConfigKey("delete.records.purgatory.purge.interval.requests", INT, "1", MEDIUM,
              about="After how many deletions of records those that are done are cleared."),
    ConfigKey("unstable.api.versions.enable", BOOLEAN, "false", HIGH, is_internal=True,
              about="Whether versions of APIs are served that may still change."),
    ConfigKey("unstable.feature.versions.enable", BOOLEAN, "false", HIGH, is_internal=True,
              about="Whether levels of features are allowed that may still change."),
)
# fmt: on
