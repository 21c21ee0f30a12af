"""The table of Kafka's tools: what each is asked to do, in rows of steps that build on each other.

A row is run against DataCore and against Apache Kafka, and what the tools say is compared. Rules:

- A row has topics and groups of its own: ``{row}`` stands for its name in arguments and files.
- ``{bootstrap}``, ``{log_dir}`` (as the broker tells it), ``{folder}`` (with the row's files) and
  ``{segment}`` are the broker's own, and put back into these words before the comparison.
- Rows whose tool exists only in newer releases say so by its classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ROWS", "Row", "Step", "main_class", "needs_its_own_jvm"]

_TOOLS = "org.apache.kafka.tools."
# Main classes of 4.1.1 and later, and of 2.8.2; the oldest has not all of them.
_MAINS: Mapping[str, tuple[str, str | None]] = {
    "kafka-broker-api-versions": (
        f"{_TOOLS}BrokerApiVersionsCommand",
        "kafka.admin.BrokerApiVersionsCommand",
    ),
    "kafka-client-metrics": (f"{_TOOLS}ClientMetricsCommand", None),
    "kafka-cluster": (f"{_TOOLS}ClusterTool", "kafka.tools.ClusterTool"),
    "kafka-configs": ("kafka.admin.ConfigCommand", "kafka.admin.ConfigCommand"),
    "kafka-console-consumer": (
        f"{_TOOLS}consumer.ConsoleConsumer",
        "kafka.tools.ConsoleConsumer",
    ),
    "kafka-console-producer": (f"{_TOOLS}ConsoleProducer", "kafka.tools.ConsoleProducer"),
    "kafka-consumer-groups": (
        f"{_TOOLS}consumer.group.ConsumerGroupCommand",
        "kafka.admin.ConsumerGroupCommand",
    ),
    "kafka-consumer-perf-test": (f"{_TOOLS}ConsumerPerformance", "kafka.tools.ConsumerPerformance"),
    "kafka-delete-records": (f"{_TOOLS}DeleteRecordsCommand", "kafka.admin.DeleteRecordsCommand"),
    "kafka-dump-log": ("kafka.tools.DumpLogSegments", "kafka.tools.DumpLogSegments"),
    "kafka-e2e-latency": (f"{_TOOLS}EndToEndLatency", "kafka.tools.EndToEndLatency"),
    "kafka-features": (f"{_TOOLS}FeatureCommand", None),
    "kafka-get-offsets": (f"{_TOOLS}GetOffsetShell", "kafka.tools.GetOffsetShell"),
    "kafka-groups": (f"{_TOOLS}GroupsCommand", None),
    "kafka-leader-election": (
        f"{_TOOLS}LeaderElectionCommand",
        "kafka.admin.LeaderElectionCommand",
    ),
    "kafka-log-dirs": (f"{_TOOLS}LogDirsCommand", "kafka.admin.LogDirsCommand"),
    "kafka-metadata-quorum": (f"{_TOOLS}MetadataQuorumCommand", None),
    "kafka-producer-perf-test": (f"{_TOOLS}ProducerPerformance", f"{_TOOLS}ProducerPerformance"),
    "kafka-reassign-partitions": (
        f"{_TOOLS}reassign.ReassignPartitionsCommand",
        "kafka.admin.ReassignPartitionsCommand",
    ),
    "kafka-topics": (f"{_TOOLS}TopicCommand", "kafka.admin.TopicCommand"),
    "kafka-transactions": (f"{_TOOLS}TransactionsCommand", None),
    "kafka-verifiable-consumer": (f"{_TOOLS}VerifiableConsumer", f"{_TOOLS}VerifiableConsumer"),
    "kafka-verifiable-producer": (f"{_TOOLS}VerifiableProducer", f"{_TOOLS}VerifiableProducer"),
}


def main_class(tool: str, release: str) -> str | None:
    """The class that a tool is in a release, None where it was not yet there."""
    newest, oldest = _MAINS[tool]
    return newest if release >= "4" else oldest


def needs_its_own_jvm(tool: str, release: str) -> bool:
    """Whether a tool cannot be run again in a JVM, or says its last words when the JVM ends."""
    counts_in_a_singleton = tool == "kafka-console-consumer" and release < "4"
    return counts_in_a_singleton or tool == "kafka-verifiable-producer"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool."""

    tool: str
    arguments: tuple[str, ...]
    stdin: str = ""
    has_figures: bool = False
    """It prints figures that no two runs have in common."""
    lines_in_no_order: bool = False
    is_compared: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """What is done with a tool, and in what order."""

    name: str
    steps: tuple[Step, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    releases: tuple[str, ...] = ("4.1.1", "4.3.0", "2.8.2")
    difference: str | None = None
    """Why DataCore's output is otherwise, where it is."""


def _step(line: str, **settings: object) -> Step:
    """A call as one would type it; ``--bootstrap-server`` is put first unless it is there."""
    tool, *arguments = line.split()
    if "{bootstrap}" not in line and tool != "kafka-dump-log":
        arguments = ["--bootstrap-server", "{bootstrap}", *arguments]
    return Step(tool, tuple(arguments), **settings)  # type: ignore[arg-type]  # as the fields are


def _row(name: str, *steps: Step | str, **settings: object) -> Row:
    made = tuple(_step(step) if isinstance(step, str) else step for step in steps)
    return Row(name, made, **settings)  # type: ignore[arg-type]  # as the fields are


_ONLY_NEW = ("4.1.1", "4.3.0")
_CREATE = "kafka-topics --create --topic {row} --partitions 2 --replication-factor 1"
_PRODUCE = _step(
    # One batch a record, however busy the machine is.
    "kafka-console-producer --topic {row} --request-required-acks all --sync --timeout 1",
    stdin="".join(f"record {number}\n" for number in range(10)),
)
_CREATE_ONE = "kafka-topics --create --topic {row} --partitions 1 --replication-factor 1"

TOPICS = (
    _row(
        "topics-life",
        _CREATE,
        "kafka-topics --list --topic {row}",
        "kafka-topics --describe --topic {row}",
        "kafka-topics --alter --topic {row} --partitions 3",
        "kafka-topics --describe --topic {row}",
        "kafka-topics --delete --topic {row}",
        "kafka-topics --describe --topic {row}",
    ),
    _row(
        "topics-configs",
        _CREATE + " --config cleanup.policy=compact --config segment.bytes=2097152",
        "kafka-topics --describe --topic {row}",
        "kafka-topics --describe --topics-with-overrides --topic {row}",
    ),
    _row(
        "topics-assignments",
        "kafka-topics --create --topic {row} --replica-assignment 1,1,1",
        "kafka-topics --describe --topic {row}",
        "kafka-topics --alter --topic {row} --partitions 4 --replica-assignment 1,1,1,1",
        "kafka-topics --describe --topic {row}",
        "kafka-topics --create --topic {row}.other --replica-assignment 1,99",
    ),
    _row(
        "topics-states",
        _CREATE,
        "kafka-topics --describe --topic {row} --under-replicated-partitions",
        "kafka-topics --describe --topic {row} --unavailable-partitions",
        "kafka-topics --describe --topic {row} --under-min-isr-partitions",
        "kafka-topics --describe --topic {row} --at-min-isr-partitions",
    ),
    _row(
        "topics-refusals",
        _CREATE,
        _CREATE,
        _CREATE + " --if-not-exists",
        "kafka-topics --alter --topic {row} --partitions 1",
        "kafka-topics --alter --topic {row} --partitions 2",
        "kafka-topics --create --topic a*b --partitions 1",
        "kafka-topics --create --topic {row}-rf --partitions 1 --replication-factor 3",
        "kafka-topics --create --topic {row}-none --partitions 0",
        "kafka-topics --create --topic {row}-config --config no.such=1",
        "kafka-topics --create --topic {row}-config --config retention.ms=soon",
        "kafka-topics --create --topic topics_refusals",
        "kafka-topics --delete --topic {row}-missing",
        "kafka-topics --delete --topic {row}-missing --if-exists",
        "kafka-topics --alter --topic {row}-missing --partitions 4",
    ),
)

CONFIGS = (
    _row(
        "configs-of-a-topic",
        _CREATE,
        "kafka-configs --describe --entity-type topics --entity-name {row}",
        "kafka-configs --alter --entity-type topics --entity-name {row} "
        "--add-config retention.ms=60000,cleanup.policy=[compact,delete]",
        "kafka-configs --describe --entity-type topics --entity-name {row}",
        "kafka-configs --alter --entity-type topics --entity-name {row} "
        "--delete-config retention.ms",
        "kafka-configs --describe --entity-type topics --entity-name {row}",
        "kafka-configs --alter --entity-type topics --entity-name {row} --add-config no.such=1",
        "kafka-configs --alter --entity-type topics --entity-name {row} --delete-config no.such",
        "kafka-configs --alter --entity-type topics --entity-name {row} "
        "--add-config retention.ms=soon",
        "kafka-configs --describe --entity-type topics --entity-name {row}-missing",
    ),
    _row(
        "configs-of-a-topic-all",
        _CREATE,
        "kafka-configs --describe --all --entity-type topics --entity-name {row}",
        releases=_ONLY_NEW,
    ),
    _row(
        "configs-of-brokers",
        "kafka-configs --alter --entity-type brokers --entity-default "
        "--add-config log.cleaner.threads=2",
        "kafka-configs --describe --entity-type brokers --entity-default",
        "kafka-configs --alter --entity-type brokers --entity-name 1 "
        "--add-config log.cleaner.threads=3",
        _step("kafka-configs --describe --entity-type brokers --entity-name 1", is_compared=False),
        "kafka-configs --alter --entity-type brokers --entity-name 1 "
        "--delete-config log.cleaner.threads",
        "kafka-configs --alter --entity-type brokers --entity-default "
        "--delete-config log.cleaner.threads",
        "kafka-configs --describe --entity-type brokers --entity-default",
        "kafka-configs --alter --entity-type brokers --entity-name 1 --add-config node.id=2",
    ),
    _row(
        "configs-of-groups",
        "kafka-configs --alter --entity-type groups --entity-name {row} "
        "--add-config consumer.session.timeout.ms=50000",
        "kafka-configs --describe --entity-type groups --entity-name {row}",
        "kafka-configs --alter --entity-type groups --entity-name {row} "
        "--delete-config consumer.session.timeout.ms",
        "kafka-configs --describe --entity-type groups --entity-name {row}",
        releases=_ONLY_NEW,
        difference="Kafka keeps the name of a group whose last config is deleted",
    ),
    _row(
        "configs-of-clients",
        "kafka-configs --alter --entity-type clients --entity-name {row} "
        "--add-config producer_byte_rate=5000000",
        "kafka-configs --describe --entity-type clients --entity-name {row}",
        "kafka-configs --alter --entity-type clients --entity-name {row} "
        "--delete-config producer_byte_rate",
        "kafka-configs --describe --entity-type clients --entity-name {row}",
        "kafka-configs --alter --entity-type clients --entity-name {row} --add-config no_such=1",
    ),
    _row(
        "client-metrics",
        "kafka-client-metrics --alter --name {row} --metrics org.apache.kafka.consumer. "
        "--interval 30000",
        "kafka-client-metrics --describe --name {row}",
        "kafka-client-metrics --list",
        "kafka-client-metrics --delete --name {row}",
        "kafka-client-metrics --describe --name {row}",
        releases=_ONLY_NEW,
    ),
)

RECORDS = (
    _row(
        "console",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-console-consumer --topic {row} --from-beginning --max-messages 10",
        "kafka-console-consumer --topic {row} --partition 0 --offset 7 --max-messages 3",
    ),
    _row(
        "offsets",
        _CREATE,
        "kafka-get-offsets --topic {row} --time -2",
        "kafka-get-offsets --topic-partitions {row}:1-3 --time earliest",
        "kafka-get-offsets --topic {row}-missing",
        releases=_ONLY_NEW,
    ),
    _row(
        "offsets-old",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-get-offsets --broker-list {bootstrap} --topic {row} --time -1",
        "kafka-get-offsets --broker-list {bootstrap} --topic {row} --time -2",
        releases=("2.8.2",),
    ),
    _row(
        "offsets-by-time",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-get-offsets --topic {row} --time latest",
        _step("kafka-get-offsets --topic {row} --time max-timestamp", has_figures=True),
        "kafka-get-offsets --topic {row} --time 1",
        "kafka-get-offsets --topic {row} --time 9000000000000",
        "kafka-get-offsets --topic {row} --time earliest-local",
        "kafka-get-offsets --topic {row} --time latest-tiered",
        releases=_ONLY_NEW,
    ),
    _row(
        "delete-records",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-delete-records --offset-json-file {folder}/four.json",
        "kafka-console-consumer --topic {row} --from-beginning --max-messages 6",
        "kafka-delete-records --offset-json-file {folder}/all.json",
        "kafka-delete-records --offset-json-file {folder}/beyond.json",
        files={
            f"{name}.json": '{"version": 1, "partitions": [{"topic": "{row}", '
            f'"partition": {partition}, "offset": {offset}' + "}]}"
            for name, partition, offset in (
                ("four", 0, 4),
                ("all", 0, -1),
                ("beyond", 0, 11),
            )
        },
    ),
    _row(
        "perf-tests",
        _CREATE_ONE,
        _step(
            "kafka-producer-perf-test --topic {row} --num-records 200 --record-size 100 "
            "--throughput -1 --producer-props bootstrap.servers={bootstrap} acks=all",
            has_figures=True,
        ),
        _step(
            "kafka-consumer-perf-test --topic {row} --messages 200 --timeout 20000 "
            "--group {row} --reporting-interval 60000",
            has_figures=True,
        ),
    ),
    _row(
        "verifiable",
        _CREATE_ONE,
        _step(
            "kafka-verifiable-producer --bootstrap-server {bootstrap} --topic {row} "
            "--max-messages 20",
            has_figures=True,
            lines_in_no_order=True,
        ),
        _step(
            "kafka-verifiable-consumer --bootstrap-server {bootstrap} --topic {row} "
            "--group-id {row} --max-messages 20 --reset-policy earliest",
            has_figures=True,
            lines_in_no_order=True,
        ),
    ),
    _row(
        "end-to-end-latency",
        _CREATE_ONE,
        _step(
            "kafka-e2e-latency {bootstrap} {row} 20 all 100",
            has_figures=True,
        ),
    ),
    _row(
        "dump-log",
        _CREATE_ONE,
        _PRODUCE,
        _step("kafka-dump-log --files {segment} --print-data-log", has_figures=True),
        _step(
            "kafka-dump-log --files {segment} --deep-iteration --verify-index-only",
            has_figures=True,
        ),
        releases=_ONLY_NEW,
    ),
)

GROUPS = (
    _row(
        "groups-life",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-console-consumer --topic {row} --from-beginning --max-messages 10 --group {row}",
        _step("kafka-consumer-groups --describe --group {row}"),
        "kafka-consumer-groups --describe --group {row} --members",
        "kafka-consumer-groups --describe --group {row} --state",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} --to-earliest --dry-run",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} --to-offset 4 --execute",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} --shift-by 2 --execute",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} "
        "--to-datetime 2020-01-01T00:00:00.000 --execute",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} --by-duration P1D "
        "--dry-run",
        "kafka-consumer-groups --reset-offsets --group {row} --all-topics --to-latest --execute "
        "--export",
        "kafka-consumer-groups --reset-offsets --group {row} --topic {row} --to-current --execute",
        "kafka-consumer-groups --describe --group {row}",
        "kafka-consumer-groups --delete-offsets --group {row} --topic {row}",
        "kafka-consumer-groups --describe --group {row}",
        "kafka-consumer-groups --delete --group {row}",
        "kafka-consumer-groups --delete --group {row}",
        "kafka-consumer-groups --describe --group {row}",
    ),
    _row(
        "groups-by-file",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-consumer-groups --reset-offsets --group {row} --from-file {folder}/offsets.csv "
        "--execute",
        "kafka-consumer-groups --describe --group {row} --offsets",
        files={"offsets.csv": "{row},0,5\n"},
    ),
    _row(
        "groups-unknown",
        "kafka-consumer-groups --describe --group {row}-missing",
        "kafka-consumer-groups --describe --group {row}-missing --state",
        "kafka-consumer-groups --delete-offsets --group {row}-missing --topic {row}",
        "kafka-consumer-groups --delete --group {row}-missing",
    ),
    _row(
        "groups-list",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-console-consumer --topic {row} --from-beginning --max-messages 10 --group {row}",
        _step(
            "kafka-groups --list --group-type classic --protocol consumer",
            has_figures=True,
            lines_in_no_order=True,
        ),
        releases=_ONLY_NEW,
    ),
)

CLUSTER = (
    _row(
        "log-dirs",
        _CREATE,
        "kafka-log-dirs --describe --topic-list {row}",
        "kafka-log-dirs --describe --topic-list {row} --broker-list 1",
    ),
    _row(
        "log-dirs-unknown",
        "kafka-log-dirs --describe --topic-list {row}-missing",
        releases=_ONLY_NEW,
    ),
    _row(
        "leader-election",
        _CREATE,
        "kafka-leader-election --election-type preferred --topic {row} --partition 0",
        "kafka-leader-election --election-type unclean --topic {row} --partition 1",
        "kafka-leader-election --election-type preferred --all-topic-partitions",
        "kafka-leader-election --election-type preferred --path-to-json-file {folder}/both.json",
        "kafka-leader-election --election-type preferred --topic {row} --partition 7",
        files={
            "both.json": '{"partitions": [{"topic": "{row}", "partition": 0}, '
            '{"topic": "{row}", "partition": 1}]}'
        },
    ),
    _row(
        "reassign-partitions",
        _CREATE,
        "kafka-reassign-partitions --generate --topics-to-move-json-file {folder}/topics.json "
        "--broker-list 1",
        "kafka-reassign-partitions --execute --reassignment-json-file {folder}/stay.json",
        "kafka-reassign-partitions --verify --reassignment-json-file {folder}/stay.json",
        "kafka-reassign-partitions --list",
        "kafka-reassign-partitions --execute --reassignment-json-file {folder}/go.json",
        "kafka-reassign-partitions --cancel --reassignment-json-file {folder}/stay.json",
        "kafka-reassign-partitions --execute --reassignment-json-file {folder}/dirs.json",
        "kafka-reassign-partitions --execute --reassignment-json-file {folder}/nowhere.json",
        files={
            "topics.json": '{"topics": [{"topic": "{row}"}], "version": 1}',
            **{
                f"{name}.json": '{"version": 1, "partitions": [{"topic": "{row}", '
                f'"partition": 0, "replicas": [{broker}]{log_dirs}' + "}]}"
                for name, broker, log_dirs in (
                    ("stay", 1, ""),
                    ("go", 99, ""),
                    ("dirs", 1, ', "log_dirs": ["{log_dir}"]'),
                    ("nowhere", 1, ', "log_dirs": ["/no/such"]'),
                )
            },
        },
    ),
    _row(
        "cluster",
        "kafka-cluster cluster-id --bootstrap-server {bootstrap}",
        "kafka-cluster unregister --bootstrap-server {bootstrap} --id 99",
    ),
    _row(
        "cluster-endpoints",
        "kafka-cluster list-endpoints --bootstrap-server {bootstrap}",
        "kafka-cluster list-endpoints --bootstrap-server {bootstrap} --include-fenced-brokers",
        releases=_ONLY_NEW,
    ),
    _row(
        "features",
        "kafka-features describe",
        releases=_ONLY_NEW,
        difference="DataCore tells the features that it has, and one metadata.version",
    ),
    _row(
        "features-changed",
        "kafka-features upgrade --feature transaction.version=2",
        "kafka-features upgrade --feature no.such=1",
        "kafka-features upgrade --metadata 9.9",
        "kafka-features downgrade --feature transaction.version=0 --dry-run",
        "kafka-features downgrade --feature transaction.version=1",
        "kafka-features upgrade --feature transaction.version=2",
        "kafka-features disable --feature transaction.version --dry-run",
        "kafka-features version-mapping --release-version 4.1-IV1",
        "kafka-features feature-dependencies --feature transaction.version=2",
        releases=_ONLY_NEW,
    ),
    _row(
        "metadata-quorum",
        _step("kafka-metadata-quorum describe --replication", has_figures=True),
        _step("kafka-metadata-quorum describe --replication --human-readable", has_figures=True),
        releases=_ONLY_NEW,
    ),
    _row(
        "metadata-quorum-status",
        _step("kafka-metadata-quorum describe --status", has_figures=True),
        releases=_ONLY_NEW,
        difference="DataCore's voter has no listener of its own: it is reached as a broker",
    ),
    _row(
        "metadata-quorum-voters",
        "kafka-metadata-quorum remove-controller --controller-id 2 "
        "--controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ",
        releases=_ONLY_NEW,
    ),
    _row(
        "broker-api-versions",
        "kafka-broker-api-versions",
        difference="DataCore serves old versions that Kafka 4 has dropped, and not yet all APIs",
    ),
    _row(
        "transactions",
        _CREATE_ONE,
        _PRODUCE,
        "kafka-transactions --bootstrap-server {bootstrap} list",
        "kafka-transactions --bootstrap-server {bootstrap} describe --transactional-id {row}",
        _step(
            "kafka-transactions --bootstrap-server {bootstrap} describe-producers --topic {row} "
            "--partition 0",
            has_figures=True,
        ),
        "kafka-transactions --bootstrap-server {bootstrap} abort --topic {row} --partition 0 "
        "--start-offset 0",
        "kafka-transactions --bootstrap-server {bootstrap} find-hanging --broker-id 1",
        releases=_ONLY_NEW,
    ),
)

ROWS = (*TOPICS, *CONFIGS, *RECORDS, *GROUPS, *CLUSTER)
