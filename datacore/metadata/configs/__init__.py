"""Every config of Apache Kafka 4.1 that a broker, a topic, a group or a client has.

Rules: one row a config, in the file of its subject; whatever shows, checks or documents configs
reads these rows. A topic config that is not set takes the broker's value of its synonym, and that
its default. ``effect`` says what becomes of a config here.
"""

from __future__ import annotations

from datacore.metadata.configs.broker import BROKER_CONFIGS
from datacore.metadata.configs.client_metrics import CLIENT_METRICS_CONFIGS
from datacore.metadata.configs.group import GROUP_CONFIGS
from datacore.metadata.configs.key import ConfigKey, ConfigType, Effect, InvalidConfig, Update
from datacore.metadata.configs.rules import check_topic_configs
from datacore.metadata.configs.topic import TOPIC_CONFIGS
from datacore.metadata.configs.values import broker_int, broker_value, group_value, topic_value

__all__ = [
    "BROKER_CONFIGS",
    "CLIENT_METRICS_CONFIGS",
    "GROUP_CONFIGS",
    "TOPIC_CONFIGS",
    "ConfigKey",
    "ConfigType",
    "Effect",
    "InvalidConfig",
    "Update",
    "broker_int",
    "broker_value",
    "check_topic_configs",
    "group_value",
    "topic_value",
]
