"""What kill -9 under load leaves, damaged in every way that disks and people know.

A broker process is killed while producers write to it with acks=all. What it leaves is copied once
for each kind of damage, damaged, and given to a new broker. Of every image:

- what was acknowledged stands where it was acknowledged, or, where the damage hit it, a fetch is
  answered CORRUPT_MESSAGE and the broker's log says so: nothing wrong is served, nothing skipped;
- whatever a reader saw is still the same;
- the next record gets an offset that nobody was told before.

One kill in ``make test``, 29 kills (203 images) in ``make test-all``.
"""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from datacore._generated.errors import ErrorCode
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from datacore.client.connection import Connection
from datacore.testing.broker import Broker
from datacore.testing.broker_process import BrokerProcess
from tests.crash.load import (
    PARTITIONS,
    PRODUCERS,
    TOPIC,
    History,
    Place,
    Producer,
    create_topic,
    fetch,
    read_along,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED: Final = 20261125
KILLS: Final = 29
ACKNOWLEDGED_BEFORE_KILL: Final = (50, 900)
SEGMENT_BYTES: Final = 1 << 14
LATEST: Final = -1


@dataclass(frozen=True)
class Image:
    """A copy of a killed broker's data, to be damaged."""

    data_dir: Path
    chance: random.Random

    def logs(self) -> list[Path]:
        """The folders of the topic's logs."""
        return sorted((self.data_dir / "logs").glob(f"{TOPIC}-*"))

    def segment(self) -> Path:
        """One of the topic's segments that hold something."""
        segments = [path for log in self.logs() for path in log.glob("*.log")]
        return self.chance.choice(sorted(path for path in segments if path.stat().st_size))

    def last_segments(self) -> list[Path]:
        """Those that were being written."""
        return [max(log.glob("*.log")) for log in self.logs()]


def leave_as_it_is(_: Image) -> None:
    """What kill -9 left."""


def tear_the_tail(image: Image) -> None:
    """A write that the crash has interrupted: of a batch, or what a file system makes of it."""
    for path in image.last_segments():
        content = path.read_bytes()
        torn = image.chance.choice([content[:40], bytes(3000), image.chance.randbytes(500)])
        path.write_bytes(content + torn)


def cut_the_tail(image: Image) -> None:
    for path in image.last_segments():
        content = path.read_bytes()
        path.write_bytes(content[: image.chance.randint(0, len(content))])


def flip_bits(image: Image) -> None:
    for _ in range(image.chance.randint(1, 5)):
        path = image.segment()
        content = bytearray(path.read_bytes())
        content[image.chance.randrange(len(content))] ^= 1 << image.chance.randrange(8)
        path.write_bytes(content)


def zero_a_page(image: Image) -> None:
    path = image.segment()
    content = bytearray(path.read_bytes())
    start = image.chance.randrange(0, len(content), 4096)
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)


def lose_the_indexes(image: Image) -> None:
    for path in sorted((image.data_dir / "logs").glob("*/*index")):
        if image.chance.random() < 0.5:
            path.unlink()
        else:
            path.write_bytes(image.chance.randbytes(image.chance.randrange(100)))


def lose_the_checkpoints(image: Image) -> None:
    (image.data_dir / "ends").unlink()
    for name in ("state", "snapshot"):
        for path in (image.data_dir / "logs").glob(f"*/{name}"):
            path.unlink()


HARMLESS: Final = {leave_as_it_is, tear_the_tail, lose_the_indexes, lose_the_checkpoints}
"""They take nothing that was acknowledged."""

DAMAGES: Final[tuple[Callable[[Image], None], ...]] = (
    leave_as_it_is,
    tear_the_tail,
    cut_the_tail,
    flip_bits,
    zero_a_page,
    lose_the_indexes,
    lose_the_checkpoints,
)


def killed_under_load(data_dir: Path, chance: random.Random) -> History:
    """What clients knew when the broker was killed that wrote to ``data_dir``."""
    history = History(kill_at=chance.randint(*ACKNOWLEDGED_BEFORE_KILL))
    producers = [Producer(n, history, idempotent=n % 2 == 0) for n in range(PRODUCERS)]
    with BrokerProcess(
        data_dir=data_dir, num_partitions=PARTITIONS, disk_segment_bytes=SEGMENT_BYTES
    ) as broker:
        address = (broker.host, broker.port)
        create_topic(address)
        clients = [threading.Thread(target=each.run, args=(address,)) for each in producers]
        clients += [
            threading.Thread(target=read_along, args=(address, partition, history))
            for partition in range(PARTITIONS)
        ]
        for client in clients:
            client.start()
        assert history.enough.wait(60), "the producers got too few acknowledgements"
        broker.kill()
        for client in clients:
            client.join()
    assert history.contradictions == []
    return history


@dataclass(frozen=True)
class Found:
    """What a reader finds in a damaged image."""

    contents: dict[Place, bytes]
    lost: set[Place]
    end_offsets: list[int]


def read_all(connection: Connection) -> Found:
    """Reads the topic offset by offset, over what the broker refuses to serve."""
    contents: dict[Place, bytes] = {}
    lost: set[Place] = set()
    end_offsets = [end_offset(connection, partition) for partition in range(PARTITIONS)]
    for partition, end in enumerate(end_offsets):
        offset = 0
        while offset < end:
            answer = fetch(connection, partition, offset)
            if answer.error_code == ErrorCode.CORRUPT_MESSAGE:
                assert not answer.records
                lost.add((partition, offset))
                offset += 1
                continue
            records = records_of(answer, offset)
            assert records, f"nothing at {offset} of {partition}, and no error"
            for record in records:
                assert record.offset == offset, f"{offset} of {partition} was left out in silence"
                contents[partition, offset] = record.value or b""
                offset += 1
    return Found(contents, lost, end_offsets)


def end_offset(connection: Connection, partition: int) -> int:
    asked = ListOffsetsPartition(partition_index=partition, timestamp=LATEST)
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=TOPIC, partitions=[asked])])
    answer = connection.send(request, ListOffsetsResponse, 5)
    return answer.topics[0].partitions[0].offset


def check(
    image: Image,
    damage: Callable[[Image], None],
    history: History,
    caplog: pytest.LogCaptureFixture,
) -> Found:
    """Damages an image, and asserts what this file's first lines say of it."""
    damage(image)
    caplog.clear()
    afterwards = History(acknowledged=dict(history.acknowledged))
    with (
        Broker(storage_engine="disk", data_dir=image.data_dir, num_partitions=PARTITIONS) as broker,
        Connection(broker.host, broker.port) as connection,
    ):
        found = read_all(connection)
        producer = Producer(PRODUCERS, afterwards, idempotent=False)
        for partition in range(PARTITIONS):
            producer.send_one(connection, partition, -1, -1, [0] * PARTITIONS)
    told = {**history.seen, **history.acknowledged}
    wrong = {p for p, value in told.items() if found.contents.get(p, value) != value}
    assert wrong == set(), "something else is served than was acknowledged or seen"
    assert told.keys() <= found.contents.keys() | found.lost, "something is gone in silence"
    assert afterwards.contradictions == []
    fresh = afterwards.acknowledged.keys() - history.acknowledged.keys()
    assert min(offset - found.end_offsets[partition] for partition, offset in fresh) == 0
    assert fresh.isdisjoint(told)
    if damage in HARMLESS:
        assert found.lost == set()
    reports = [line for line in caplog.messages if "is damaged" in line]
    assert bool(reports) == bool(found.lost)
    return found


def check_kills(
    kills: range, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> dict[str, list[int]]:
    """Images, records that were acknowledged and such of them as were lost, by kind of damage."""
    totals: dict[str, list[int]] = {damage.__name__: [0, 0, 0] for damage in DAMAGES}
    for kill in kills:
        chance = random.Random(SEED + kill)
        data_dir = tmp_path / f"killed-{kill}"
        history = killed_under_load(data_dir, chance)
        for damage in DAMAGES:
            image = Image(tmp_path / damage.__name__, chance)
            shutil.copytree(data_dir, image.data_dir, ignore=shutil.ignore_patterns("lock"))
            found = check(image, damage, history, caplog)
            shutil.rmtree(image.data_dir)
            total = totals[damage.__name__]
            total[0] += 1
            total[1] += len(history.acknowledged)
            total[2] += len(found.lost & history.acknowledged.keys())
        shutil.rmtree(data_dir)
    return totals


def test_damaged_images_of_one_kill_are_served_as_far_as_they_are_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_kills(range(1), tmp_path, caplog)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_crash_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    totals = check_kills(range(1, KILLS + 1), tmp_path, caplog)
    for name, (images, acknowledged, lost) in totals.items():
        print(f"{name}: {images} images, {acknowledged} acknowledged, {lost} lost and told")
    assert sum(images for images, _, _ in totals.values()) >= 200
