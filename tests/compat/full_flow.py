"""What applications are tried with: a broker that may be killed, and a flow that never pauses.

    with Lines(bootstrap, "lines", partitions=2) as lines:      # produces until told to stop
        counts.wait_for_more(500)
        broker.kill()                                           # so this is in the middle of things

Rules: nothing is killed before the application's output has moved on by some records since the
last time, while more input keeps coming: never while idle.
"""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

__all__ = ["Crashing", "Killable", "Lines", "Output", "WordCounts", "until"]

MOVED_ON_TIMEOUT_S = 120.0
_ASK_TIMEOUT_S = 60.0
_POLL_S = 0.2
_SHORT_POLL_S = 0.02
_PAUSE_S = 0.02
_WORDS = ("time", "flies", "like", "an", "arrow", "fruit", "banana")


class Crashing(Protocol):
    """A process of a broker that starts again with its data, on the same port."""

    def start(self) -> None:
        """Returns once it serves."""

    def kill(self) -> None:
        """Ends it as a crash does."""


@dataclass(frozen=True, slots=True)
class Killable:
    """A broker of one's own, to be killed."""

    process: Crashing
    bootstrap: str

    def crash(self) -> None:
        """kill -9, and a new start."""
        self.process.kill()
        self.process.start()


class Lines:
    """Produces lines of words until it is stopped, whatever becomes of the broker meanwhile.

    Attributes:
        words: how often each word was sent; read it after `stop`.
    """

    def __init__(
        self, bootstrap: str, topic: str, *, partitions: int, lines_a_pause: int = 5
    ) -> None:
        self.words: Counter[str] = Counter()
        self._lines_a_pause = lines_a_pause
        self._topic = topic
        self._partitions = partitions
        self._chance = random.Random(1)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "metadata.recovery.strategy": "none",
            }
        )
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def stop(self) -> Counter[str]:
        """Ends the flow; returns how often each word is in it, all of them acknowledged."""
        self._is_over.set()
        self._thread.join()
        assert self._producer.flush(60) == 0
        return self.words

    def _run(self) -> None:
        number = 0
        while not self._is_over.wait(_PAUSE_S):
            for _ in range(self._lines_a_pause):
                line = self._chance.choices(_WORDS, k=4)
                self.words.update(line)
                number += 1
                partition = number % self._partitions
                self._producer.produce(self._topic, " ".join(line).encode(), partition=partition)
            self._producer.poll(0)


class Output:
    """All committed records of a topic, as (key, value), in the order of their partitions."""

    def __init__(self, bootstrap: str, topic: str, *, partitions: int) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self._topic = topic
        self._partitions = partitions
        self._consumer, self._flowing = (
            Consumer(
                {
                    "bootstrap.servers": bootstrap,
                    "group.id": "unused",
                    "isolation.level": isolation,
                    "metadata.recovery.strategy": "none",
                }
            )
            for isolation in ("read_committed", "read_uncommitted")
        )
        for each in (self._consumer, self._flowing):
            each.assign([TopicPartition(topic, at, 0) for at in range(partitions)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()
        self._flowing.close()

    def poll(self) -> None:
        """Takes in what has come, waiting a little for it."""
        for message in self._consumer.consume(500, _POLL_S):
            if message.error() is None:
                self.records.append((message.key() or b"", message.value() or b""))

    def wait_for_more(self, count: int) -> None:
        """Returns once there are so many records more than now."""
        wanted = len(self.records) + count
        self.wait_until(lambda: len(self.records) >= wanted, f"{wanted} records came out")

    def wait_for_uncommitted(self, count: int) -> None:
        """Returns once so many more have come out, committed or not.

        What is committed comes out in bursts: one who waits for that would kill just after each.
        """
        # What was written before does not count, however late it comes.
        ends: dict[int | None, int] = {}

        def ask() -> None:
            try:
                for at in range(self._partitions):
                    place = TopicPartition(self._topic, at)
                    ends[at] = self._flowing.get_watermark_offsets(place, _ASK_TIMEOUT_S)[1]
            except KafkaException:  # one that has just started may not lead it yet
                self.poll()

        until(lambda: len(ends) == self._partitions, "the broker tells the ends", ask)
        seen = 0

        def take_in() -> None:
            nonlocal seen
            for message in self._flowing.consume(500, _SHORT_POLL_S):
                offset = message.offset()
                if message.error() is None and offset is not None:
                    seen += offset >= ends[message.partition()]

        until(lambda: seen >= count, f"{count} more came out", take_in)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Returns once the condition holds, and takes in records until then.

        Raises:
            AssertionError: it did not come true in time.
        """
        try:
            until(condition, what, self.poll)
        except AssertionError as error:
            error.add_note(f"there are {len(self.records)} records")
            raise


class WordCounts(Output):
    """The output of a word count: by word, every count that was committed."""

    def by_word(self) -> dict[str, list[int]]:
        """All counts of each word, in order."""
        counts: dict[str, list[int]] = defaultdict(list)
        for word, count in self.records:
            counts[word.decode()].append(int(count))
        return counts

    def wait_for_all(self, words: Counter[str]) -> None:
        """Returns once the highest counts are at least these."""

        def all_counted() -> bool:
            counts = self.by_word()
            return all(max(counts[word], default=0) >= words[word] for word in words)

        self.wait_until(all_counted, f"{words.total()} words were counted")


def until(condition: Callable[[], bool], what: str, meanwhile: Callable[[], None]) -> None:
    """Returns once the condition holds; `meanwhile` is what is done until then, and waits a little.

    Raises:
        AssertionError: it did not come true within `MOVED_ON_TIMEOUT_S`.
    """
    deadline_s = time.monotonic() + MOVED_ON_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {MOVED_ON_TIMEOUT_S:.0f} s: {what}"
        meanwhile()
