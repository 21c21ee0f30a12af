"""Kafka's own console tools at any release, as processes: their classes, their ways to be asked.

Classes moved from the core to the tools jar between 3.5 and 4.0 (KAFKA-14525); `--bootstrap-server`
replaced `--broker-list` in 2.5 (KIP-499) and ZooKeeper in kafka-topics in 2.2 (KIP-377). Since 4.2
the console's properties have names of their own, and the old ones a warning on stdout (KIP-1147).
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.compat.environments import Program

__all__ = ["ConsoleTools", "GroupRow", "ToolFailedError"]

_TOOL_TIMEOUT_S = 60.0
_QUICK_REBALANCES = ("session.timeout.ms=6000", "heartbeat.interval.ms=300")


class ToolFailedError(Exception):
    """A tool ended with another status than 0, or not in time; the message is what it said."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One line of `kafka-consumer-groups --describe`; None stands for its "-"."""

    partition: int
    current_offset: int | None
    lag: int | None
    consumer_id: str | None


@dataclass(frozen=True, slots=True)
class ConsoleTools:
    """The tools of one release against one broker."""

    program: Program
    bootstrap: str

    @property
    def release(self) -> tuple[int, ...]:
        """(3, 9, 1) for 3.9.1."""
        return tuple(int(number) for number in self.program.version.split("."))

    def topics(self, *arguments: str) -> str:
        """kafka-topics."""
        moved = self.release >= (3, 6)
        main = "org.apache.kafka.tools.TopicCommand" if moved else "kafka.admin.TopicCommand"
        return self._run(main, ["--bootstrap-server", self.bootstrap, *arguments])

    def produce(self, topic: str, codec: str, lines: Sequence[str], *properties: str) -> None:
        """kafka-console-producer, with acks=all."""
        moved = self.release >= (4, 0)
        main = "org.apache.kafka.tools.ConsoleProducer" if moved else "kafka.tools.ConsoleProducer"
        broker = "--bootstrap-server" if self.release >= (2, 5) else "--broker-list"
        arguments = [broker, self.bootstrap, "--topic", topic, "--request-required-acks", "all"]
        arguments += [
            "--compression-codec",
            codec,
            *_each(self._named("--reader-property"), properties),
        ]
        self._run(main, arguments, stdin="".join(line + "\n" for line in lines))

    def consume(
        self, topic: str, count: int, *properties: str, group: str | None = None
    ) -> list[str]:
        """kafka-console-consumer from the beginning, until it has printed `count` records."""
        arguments = self._consumer_arguments(topic, group)
        arguments += ["--max-messages", str(count)]
        arguments += _each(self._named("--formatter-property"), properties)
        return self._run(self._consumer(), arguments).splitlines()

    @contextmanager
    def consumer(self, topic: str, group: str) -> Iterator[subprocess.Popen[bytes]]:
        """kafka-console-consumer as a member that stays in the group until SIGTERM."""
        command = [*self.program.command, self._consumer(), *self._consumer_arguments(topic, group)]
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(command, stdout=output, stderr=output) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def groups(self, *arguments: str) -> str:
        """kafka-consumer-groups."""
        moved = self.release >= (3, 8)
        main = (
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
            if moved
            else "kafka.admin.ConsumerGroupCommand"
        )
        return self._run(main, ["--bootstrap-server", self.bootstrap, *arguments])

    def describe_group(self, group: str) -> list[GroupRow]:
        """kafka-consumer-groups --describe, a row per partition."""
        table = [line.split() for line in self.groups("--describe", "--group", group).splitlines()]
        starts = [at for at, columns in enumerate(table) if "CURRENT-OFFSET" in columns]
        if not starts:  # "Consumer group ... is rebalancing.", or it has no members and no offsets
            return []
        names = table[starts[0]]
        rows = [dict(zip(names, line, strict=False)) for line in table[starts[0] + 1 :] if line]
        return [
            GroupRow(
                partition=int(row["PARTITION"]),
                current_offset=_number(row["CURRENT-OFFSET"]),
                lag=_number(row["LAG"]),
                consumer_id=None if row["CONSUMER-ID"] == "-" else row["CONSUMER-ID"],
            )
            for row in rows
        ]

    def transactions(self, *arguments: str) -> list[dict[str, str]]:
        """kafka-transactions (KIP-664), a row of its table each."""
        main = "org.apache.kafka.tools.TransactionsCommand"
        printed = self._run(main, ["--bootstrap-server", self.bootstrap, *arguments])
        table = [[cell.strip() for cell in line.split("\t")] for line in printed.splitlines()]
        return [dict(zip(table[0], row, strict=False)) for row in table[1:]] if table else []

    def transaction_log(self, partition: int, count: int) -> str:
        """Kafka's own words for the first records of a partition of __transaction_state."""
        formatter = (
            "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter"
            if self.release >= (4, 0)
            else "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter"
        )
        arguments = self._consumer_arguments("__transaction_state", None)
        arguments += ["--partition", str(partition), "--max-messages", str(count)]
        return self._run(self._consumer(), [*arguments, "--formatter", formatter])

    def _consumer(self) -> str:
        moved = self.release >= (3, 8)
        return (
            "org.apache.kafka.tools.consumer.ConsoleConsumer"
            if moved
            else "kafka.tools.ConsoleConsumer"
        )

    def _consumer_arguments(self, topic: str, group: str | None) -> list[str]:
        arguments = ["--bootstrap-server", self.bootstrap, "--topic", topic, "--from-beginning"]
        if group is not None:
            name = "--command-property" if self.release >= (4, 2) else "--consumer-property"
            arguments += ["--group", group, *_each(name, _QUICK_REBALANCES)]
        return arguments

    def _named(self, flag: str) -> str:
        return flag if self.release >= (4, 2) else "--property"

    def _run(self, main: str, arguments: Sequence[str], *, stdin: str = "") -> str:
        command = [*self.program.command, main, *arguments]
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=_TOOL_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise ToolFailedError(
                f"{main} {arguments}: {late}: {late.stdout!r} {late.stderr!r}"
            ) from late
        # The oldest tools report some failures on stdout or stderr only, and end with 0.
        said = done.stdout + done.stderr
        if done.returncode != 0 or "ERROR" in said or "Exception" in said:
            raise ToolFailedError(f"{main} {arguments}: exit status {done.returncode}: {said}")
        return done.stdout


def _each(flag: str, values: Sequence[str]) -> list[str]:
    return [argument for value in values for argument in (flag, value)]


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)
