"""What a group may say for itself, instead of the broker for all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.metadata.configs.key import (
    INT,
    MEDIUM,
    STRING,
    YES,
    ConfigKey,
    OneOf,
    Shape,
    at_least,
    by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

RESETS: Final = Shape(
    r"latest|earliest|by_duration:P(?!$)([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?",
    "latest, earliest or by_duration: and a duration of ISO 8601",
)

# fmt: off
_GROUP: Final = (
    ConfigKey("consumer.session.timeout.ms", INT, "45000", MEDIUM, at_least(1), effect=YES,
              synonym="group.consumer.session.timeout.ms",
              about="How long a member of the consumer group may be silent."),
    ConfigKey("consumer.heartbeat.interval.ms", INT, "5000", MEDIUM, at_least(1), effect=YES,
              synonym="group.consumer.heartbeat.interval.ms",
              about="How often members of the consumer group are to be heard."),
    ConfigKey("share.session.timeout.ms", INT, "45000", MEDIUM, at_least(1),
              synonym="group.share.session.timeout.ms",
              about="How long a member of the share group may be silent."),
    ConfigKey("share.heartbeat.interval.ms", INT, "5000", MEDIUM, at_least(1),
              synonym="group.share.heartbeat.interval.ms",
              about="How often members of the share group are to be heard."),
    ConfigKey("share.record.lock.duration.ms", INT, "30000", MEDIUM, at_least(1000),
              synonym="group.share.record.lock.duration.ms",
              about="How long a record belongs to the consumer that got it."),
    ConfigKey("share.auto.offset.reset", STRING, "latest", MEDIUM, RESETS,
              about="Where a share group begins: latest, earliest, or so long ago."),
    ConfigKey("share.isolation.level", STRING, "read_uncommitted", MEDIUM,
              OneOf(("read_committed", "read_uncommitted")),
              about="Whether a share group sees records of open transactions."),
    ConfigKey("streams.session.timeout.ms", INT, "45000", MEDIUM, at_least(1),
              synonym="group.streams.session.timeout.ms",
              about="How long a member of the streams group may be silent."),
    ConfigKey("streams.heartbeat.interval.ms", INT, "5000", MEDIUM, at_least(1),
              synonym="group.streams.heartbeat.interval.ms",
              about="How often members of the streams group are to be heard."),
    ConfigKey("streams.num.standby.replicas", INT, "0", MEDIUM, at_least(0),
              synonym="group.streams.num.standby.replicas",
              about="How many standby copies a task of the streams group has."),
)
# fmt: on

GROUP_CONFIGS: Final[Mapping[str, ConfigKey]] = by_name(_GROUP)
