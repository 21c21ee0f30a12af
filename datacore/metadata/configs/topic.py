"""What a topic may say to its logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datacore.metadata.configs.key import (
    BOOLEAN,
    CLEANUP_POLICIES,
    CODECS,
    DOUBLE,
    GZIP_LEVELS,
    INT,
    LIST,
    LONG,
    LONG_MAX,
    MEDIUM,
    REFUSED,
    STRING,
    TIMESTAMP_TYPES,
    YES,
    ConfigKey,
    Range,
    Shape,
    at_least,
    by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

THROTTLED: Final = Shape(
    r"\*|([0-9]+:[0-9]+)?(,([0-9]+:[0-9]+)?)*", "*, or partition:broker pairs separated by commas"
)

# fmt: off
_TOPIC: Final = (
    ConfigKey("cleanup.policy", LIST, "delete", MEDIUM, CLEANUP_POLICIES,
              synonym="log.cleanup.policy", effect=YES,
              about="Whether old records are deleted by age and size, reduced to the newest of "
                    "each key, or both."),
    ConfigKey("compression.type", STRING, "producer", MEDIUM, CODECS, synonym="compression.type",
              effect=YES,
              about='The codec that batches are stored in; "producer" leaves them as they came.'),
    ConfigKey("compression.gzip.level", INT, "-1", MEDIUM, GZIP_LEVELS,
              synonym="compression.gzip.level", effect=YES,
              about="How hard gzip tries where the broker compresses; -1 is gzip's own choice."),
    ConfigKey("compression.lz4.level", INT, "9", MEDIUM, Range(1, 17),
              synonym="compression.lz4.level", effect=YES,
              about="How hard lz4 tries where the broker compresses."),
    ConfigKey("compression.zstd.level", INT, "3", MEDIUM, Range(-131_072, 22),
              synonym="compression.zstd.level", effect=YES,
              about="How hard zstd tries where the broker compresses."),
    ConfigKey("delete.retention.ms", LONG, "86400000", MEDIUM, at_least(0),
              synonym="log.cleaner.delete.retention.ms", effect=YES,
              about="How long a tombstone is kept after the log is compacted up to it."),
    ConfigKey("file.delete.delay.ms", LONG, "60000", MEDIUM, at_least(0),
              synonym="log.segment.delete.delay.ms", effect=YES,
              about="How long a deleted file stays on the disk, under another name."),
    ConfigKey("flush.messages", LONG, LONG_MAX, MEDIUM, at_least(1),
              synonym="log.flush.interval.messages", effect=YES,
              about="After how many records a log is flushed to the disk, where disk.sync is off; "
                    "where it is on, every write is at once."),
    ConfigKey("flush.ms", LONG, LONG_MAX, MEDIUM, at_least(0), synonym="log.flush.interval.ms",
              effect=YES,
              about="After how long a log is flushed to the disk, where disk.sync is off; where it "
                    "is on, every write is at once."),
    ConfigKey("follower.replication.throttled.replicas", LIST, "", MEDIUM, THROTTLED,
              about="Replicas whose fetching is throttled: partition:broker each, or * for all."),
    ConfigKey("index.interval.bytes", INT, "4096", MEDIUM, at_least(0),
              synonym="log.index.interval.bytes", effect=YES,
              about="How many bytes of records lie between two entries of the offset index."),
    ConfigKey("leader.replication.throttled.replicas", LIST, "", MEDIUM, THROTTLED,
              about="Replicas that leaders throttle: partition:broker each, or * for all."),
    ConfigKey("local.retention.bytes", LONG, "-2", MEDIUM, at_least(-2),
              synonym="log.local.retention.bytes",
              about="How much of a log stays here that the remote store has; -2 is as much as "
                    "retention says."),
    ConfigKey("local.retention.ms", LONG, "-2", MEDIUM, at_least(-2),
              synonym="log.local.retention.ms",
              about="How long records stay here that the remote store has; -2 is as long as "
                    "retention says."),
    ConfigKey("max.compaction.lag.ms", LONG, LONG_MAX, MEDIUM, at_least(1),
              synonym="log.cleaner.max.compaction.lag.ms", effect=YES,
              about="How long a record may wait for compaction."),
    ConfigKey("max.message.bytes", INT, "1048588", MEDIUM, at_least(0),
              synonym="message.max.bytes", effect=YES,
              about="The largest batch of records that is taken, as it was compressed."),
    ConfigKey("message.timestamp.after.max.ms", LONG, "3600000", MEDIUM, at_least(0),
              synonym="log.message.timestamp.after.max.ms", effect=YES,
              about="How far a producer's timestamp may lie in the future."),
    ConfigKey("message.timestamp.before.max.ms", LONG, LONG_MAX, MEDIUM, at_least(0),
              synonym="log.message.timestamp.before.max.ms", effect=YES,
              about="How far a producer's timestamp may lie in the past."),
    ConfigKey("message.timestamp.type", STRING, "CreateTime", MEDIUM, TIMESTAMP_TYPES,
              synonym="log.message.timestamp.type", effect=YES,
              about="Whether records bear their producer's time or that of their arrival."),
    ConfigKey("min.cleanable.dirty.ratio", DOUBLE, "0.5", MEDIUM, Range(0, 1),
              synonym="log.cleaner.min.cleanable.ratio", effect=YES,
              about="The share of a log that must be new since its last compaction before it is "
                    "compacted again."),
    ConfigKey("min.compaction.lag.ms", LONG, "0", MEDIUM, at_least(0),
              synonym="log.cleaner.min.compaction.lag.ms", effect=YES,
              about="How long a record is kept whatever follows it."),
    ConfigKey("min.insync.replicas", INT, "1", MEDIUM, at_least(1), synonym="min.insync.replicas",
              about="How many replicas must have a record before acks=all is answered."),
    ConfigKey("preallocate", BOOLEAN, "false", MEDIUM, synonym="log.preallocate", effect=YES,
              about="Whether a new file gets its full size at once."),
    ConfigKey("remote.log.copy.disable", BOOLEAN, "false", MEDIUM,
              about="Whether a topic of tiered storage copies nothing more to the remote store."),
    ConfigKey("remote.log.delete.on.disable", BOOLEAN, "false", MEDIUM,
              about="Whether what is in the remote store goes when tiered storage is switched "
                    "off."),
    ConfigKey("remote.storage.enable", BOOLEAN, "false", MEDIUM, effect=REFUSED,
              about="Whether parts of the topic's logs may live in remote storage."),
    ConfigKey("retention.bytes", LONG, "-1", MEDIUM, synonym="log.retention.bytes", effect=YES,
              about="How large a log may become before its oldest file is deleted; -1 is without "
                    "limit."),
    ConfigKey("retention.ms", LONG, "604800000", MEDIUM, at_least(-1), synonym="log.retention.ms",
              effect=YES,
              about="How old records may become before their file is deleted; -1 is for ever."),
    ConfigKey("segment.bytes", INT, "1073741824", MEDIUM, at_least(1_048_576),
              synonym="log.segment.bytes", effect=YES,
              about="Size at which a log goes on in a new file."),
    ConfigKey("segment.index.bytes", INT, "10485760", MEDIUM, at_least(4),
              synonym="log.index.size.max.bytes",
              about="The largest offset index of a file."),
    ConfigKey("segment.jitter.ms", LONG, "0", MEDIUM, at_least(0), synonym="log.roll.jitter.ms",
              effect=YES,
              about="At most this much is taken off the age of each log, so that not all roll at "
                    "once."),
    ConfigKey("segment.ms", LONG, "604800000", MEDIUM, at_least(1), synonym="log.roll.ms",
              effect=YES,
              about="Age at which a log goes on in a new file, full or not."),
    ConfigKey("unclean.leader.election.enable", BOOLEAN, "false", MEDIUM,
              synonym="unclean.leader.election.enable",
              about="Whether a replica that lags behind may become leader, at the price of lost "
                    "records."),
    ConfigKey("internal.segment.bytes", INT, None, MEDIUM, is_internal=True,
              about="For tests of Kafka: the size of a log's files, below the usual minimum."),
)
# fmt: on

TOPIC_CONFIGS: Final[Mapping[str, ConfigKey]] = by_name(_TOPIC)
