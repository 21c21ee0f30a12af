"""Quotas, metrics and client telemetry."""

from __future__ import annotations

from typing import Final

from datacore.metadata.configs.key import (
    CLASS,
    CLUSTER_WIDE,
    INT,
    LIST,
    LONG,
    LONG_MAX,
    LOW,
    MEDIUM,
    PER_BROKER,
    REFUSED,
    STRING,
    ConfigKey,
    at_least,
)

# fmt: off
QUOTAS: Final = (
    ConfigKey("quota.window.num", INT, "11", LOW, at_least(1),
              about="Windows that produce, fetch and request quotas are measured over."),
    ConfigKey("quota.window.size.seconds", INT, "1", LOW, at_least(1),
              about="The length of each."),
    ConfigKey("controller.quota.window.num", INT, "11", LOW, at_least(1),
              about="Windows that controller_mutation_rate is measured over."),
    ConfigKey("controller.quota.window.size.seconds", INT, "1", LOW, at_least(1),
              about="The length of each."),
    ConfigKey("replication.quota.window.num", INT, "11", LOW, at_least(1),
              about="Windows that replication is measured over."),
    ConfigKey("replication.quota.window.size.seconds", INT, "1", LOW, at_least(1),
              about="The length of each."),
    ConfigKey("alter.log.dirs.replication.quota.window.num", INT, "11", LOW, at_least(1),
              about="Windows that moves between directories are measured over."),
    ConfigKey("alter.log.dirs.replication.quota.window.size.seconds", INT, "1", LOW, at_least(1),
              about="The length of each."),
    ConfigKey("client.quota.callback.class", CLASS, None, LOW, effect=REFUSED,
              about="Java class that decides on quotas."),
    ConfigKey("leader.replication.throttled.rate", LONG, LONG_MAX, MEDIUM, at_least(0),
              update=PER_BROKER, is_internal=True,
              about="Bytes a second that leaders send to throttled replicas."),
    ConfigKey("follower.replication.throttled.rate", LONG, LONG_MAX, MEDIUM, at_least(0),
              update=PER_BROKER, is_internal=True,
              about="Bytes a second that throttled replicas fetch."),
    ConfigKey("replica.alter.log.dirs.io.max.bytes.per.second", LONG, LONG_MAX, MEDIUM,
              at_least(0), update=PER_BROKER, is_internal=True,
              about="Bytes a second that move between directories."),
    ConfigKey("metrics.num.samples", INT, "2", LOW, at_least(1),
              about="Samples that a metric is computed from."),
    ConfigKey("metrics.sample.window.ms", LONG, "30000", LOW, at_least(1),
              about="The length of a sample."),
    ConfigKey("metrics.recording.level", STRING, "INFO", LOW,
              about="How much Kafka's metrics record: INFO, DEBUG or TRACE."),
    ConfigKey("metric.reporters", LIST, "org.apache.kafka.common.metrics.JmxReporter", LOW,
              update=CLUSTER_WIDE, effect=REFUSED,
              about="Java classes that Kafka's metrics are given to."),
    ConfigKey("kafka.metrics.reporters", LIST, "", LOW, effect=REFUSED,
              about="Java classes that the older metrics are given to."),
    ConfigKey("kafka.metrics.polling.interval.secs", INT, "10", LOW, at_least(1),
              about="How often those are given the metrics."),
    ConfigKey("telemetry.max.bytes", INT, "1048576", LOW, at_least(1),
              about="The largest push of a client's metrics, as it was compressed."),
)
# fmt: on
