"""The functions of administration that tests and programs use most, under one name.

Each lives in the module of its subject; the rest is found there: ``brokers``, ``configs``,
``group_offsets``, ``groups``, ``offsets``, ``quotas``, ``reassignments``, ``topics``,
``transactions``. A command imports the subjects that it needs, which is what makes it start fast.
"""

from datacore.client.configs import BROKER_RESOURCE, TOPIC_RESOURCE, describe_configs
from datacore.client.group_offsets import group_offsets
from datacore.client.groups import describe_group, list_groups
from datacore.client.offsets import (
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    PartitionOffset,
    list_offsets,
)
from datacore.client.topics import create_partitions, create_topic, delete_topic, list_topics

__all__ = [
    "BROKER_RESOURCE",
    "EARLIEST",
    "LATEST",
    "MAX_TIMESTAMP",
    "TOPIC_RESOURCE",
    "PartitionOffset",
    "create_partitions",
    "create_topic",
    "delete_topic",
    "describe_configs",
    "describe_group",
    "group_offsets",
    "list_groups",
    "list_offsets",
    "list_topics",
]
