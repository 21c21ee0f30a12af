"""Kafka Streams counts words exactly once, while the broker is killed and started again."""

import random
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from datacore.testing.broker_process import BrokerProcess
from tests.compat.environments import JavaStreams, NotRunError
from tests.compat.raw_requests import create_topic

pytestmark = [pytest.mark.compat, pytest.mark.slow, pytest.mark.timeout(600)]

WORDS = ("time", "flies", "like", "an", "arrow", "fruit", "banana")
PARTITIONS = 2
LINES_A_ROUND = 200
RESTARTS = 3
COUNTED_TIMEOUT_S = 120.0
POLL_S = 0.2


def produce_lines(bootstrap: str, chance: random.Random) -> Counter[str]:
    """A round of lines; how often each word is in them."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    words: Counter[str] = Counter()
    for number in range(LINES_A_ROUND):
        line = chance.choices(WORDS, k=4)
        words.update(line)
        producer.produce("lines", " ".join(line).encode(), partition=number % PARTITIONS)
        producer.poll(0)
    assert producer.flush(60) == 0
    return words


class Counts:
    """All counts that a read_committed consumer has seen, by word, in order."""

    def __init__(self, bootstrap: str) -> None:
        self.by_word: dict[str, list[int]] = defaultdict(list)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused",
                "isolation.level": "read_committed",
                "metadata.recovery.strategy": "none",
            }
        )
        self._consumer.assign([TopicPartition("counts", at, 0) for at in range(PARTITIONS)])

    def wait_for(self, words: Counter[str]) -> None:
        deadline_s = time.monotonic() + COUNTED_TIMEOUT_S
        while {word: counts[-1] for word, counts in self.by_word.items()} != words:
            assert time.monotonic() < deadline_s, f"{self.by_word} are not yet {words}"
            for message in self._consumer.consume(500, POLL_S):
                if message.error() is None:
                    word = (message.key() or b"").decode()
                    self.by_word[word].append(int(message.value() or b""))

    def close(self) -> None:
        self._consumer.close()


def test_every_word_is_counted_exactly_once(tmp_path: Path) -> None:
    try:
        program = JavaStreams().prepare("kafka-streams", "4.1.1")
    except NotRunError as missing:
        pytest.skip(f"Kafka Streams not run: {missing}")
    chance = random.Random(1)
    with BrokerProcess() as broker, tempfile.TemporaryFile("w+") as log:
        bootstrap = broker.bootstrap_servers
        for topic in ("lines", "counts"):
            create_topic(bootstrap, topic, partitions=PARTITIONS)
        words = produce_lines(bootstrap, chance)
        with subprocess.Popen(
            [*program.command, bootstrap, "word-count", str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as streams:
            assert streams.stdin is not None
            assert streams.stdout is not None
            counts = Counts(bootstrap)
            try:
                assert streams.stdout.readline() == "running\n"
                for restart in range(RESTARTS):
                    words += produce_lines(bootstrap, chance)
                    # In the middle of the counting: that is what this is about.
                    time.sleep(chance.uniform(0.2, 1.0))
                    if restart % 2:
                        broker.stop()
                    else:
                        broker.kill()
                    broker.start()
                words += produce_lines(bootstrap, chance)
                counts.wait_for(words)
                streams.stdin.close()
                assert streams.wait(60) == 0
            except Exception as error:
                log.seek(0)
                error.add_note(log.read()[-4_000:])
                raise
            finally:
                counts.close()
                streams.kill()
    # Each count is written as it comes, so one that was counted twice would leave a gap or a copy.
    assert counts.by_word == {word: list(range(1, words[word] + 1)) for word in words}
    print(f"{words.total()} words counted exactly once over {RESTARTS} restarts")
