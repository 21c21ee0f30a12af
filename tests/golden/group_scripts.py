"""Scripts of groups' requests, and what Apache Kafka answers, as committed data.

    python -m tests.golden.group_scripts    # asks Apache Kafka again (needs java and Maven)

The scripts are those that ``tests/coordinator``'s ``test_beside_kafka.py`` puts to Apache Kafka
itself; recorded, they are compared where there is no Java. A script of versions that 4.1.1 has no
more is put to 3.9.1. A line is one life of a group: `{"life", "topic_ids", "answers"}`, with
members' ids as placeholders.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tests.coordinator.group import lives as classic
from tests.coordinator.group.consumer import test_beside_kafka as consumer
from tests.coordinator.group.script import Script
from tests.coordinator.group.twin import RecordedTwin, Twin, prepare_kafka
from tests.oracle.apache_kafka import ApacheKafka

MEMBERS_MAX: Final = 3
_STORED: Final = Path(__file__).with_name("group_scripts.jsonl")


class Life(NamedTuple):
    """A script in a version."""

    play: Callable[[Any, int], None]
    version: int
    is_consumer: bool
    release: str = "4.1.1"

    @property
    def name(self) -> str:
        """Also of its group."""
        kind = "consumer" if self.is_consumer else "classic"
        return f"{kind}-{self.play.__name__}-{self.version}"

    def run(self, twin: Twin) -> None:
        """Plays it."""
        script = consumer.Script if self.is_consumer else Script
        self.play(script(twin, self.name), self.version)


def _lives(versions: range | tuple[int, ...], *plays: Callable[..., None]) -> list[Life]:
    return [
        Life(play, version, is_consumer=play.__module__ == consumer.__name__)
        for play in plays
        for version in versions
    ]


LIVES: Final = (
    *_lives(range(6), classic.a_group_is_listed),
    Life(classic.commits_by_an_old_version, 1, is_consumer=False, release="3.9.1"),
    *_lives(
        range(10),
        classic.every_api_in_a_version,
        classic.life_of_a_dynamic_group,
        classic.refusals,
        classic.nobody_is_there,
        classic.a_client_without_a_group,
        classic.a_full_group,
    ),
    *_lives(
        range(5, 10),
        classic.static_members_come_back,
        classic.a_static_member_comes_back_in_a_sync_phase,
    ),
    *_lives(range(5), classic.a_static_member_joins_by_a_version_without_instances),
    *_lives(
        (9,),
        classic.a_vote,
        classic.sessions_end,
        classic.a_rebalance_ends_without_who_does_not_join,
        classic.an_absent_static_leader_is_followed_by_another,
        classic.who_does_not_sync_is_out,
    ),
    *_lives((0, 1), consumer.life_of_a_group, consumer.static_members, consumer.refusals),
    *_lives((2, 5, 8), consumer.commits),
    *_lives(
        (1, 3, 5, 9),
        consumer.classic_clients_in_a_consumer_group,
        consumer.a_classic_group_is_upgraded_and_downgraded,
        consumer.a_topic_is_deleted_while_the_group_is_classic,
        consumer.a_topic_of_nobody_else_is_deleted_while_the_group_is_classic,
        consumer.a_topic_is_deleted_and_who_upgrades_subscribes_to_nothing,
        consumer.empty_groups_change_their_type,
        consumer.another_kind_of_group_is_not_upgraded,
    ),
)


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Apache Kafka said in one life.

    Attributes:
        life: Its name.
        topic_ids: Of Kafka's topics, in hex: those of all lives, then those that were made in it.
        answers: In the order in which they came.
    """

    life: str
    topic_ids: dict[str, str]
    answers: list[Any]


def recordings() -> dict[str, Recording]:
    """All of them by the life's name."""
    lines = _STORED.read_bytes().splitlines()
    read = [msgspec.json.decode(line, type=Recording) for line in lines]
    return {each.life: each for each in read}


def replayed(recording: Recording) -> Twin:
    """A shard beside what was recorded."""
    ids = {name: bytes.fromhex(topic_id) for name, topic_id in recording.topic_ids.items()}
    made = (topic_id for name, topic_id in ids.items() if name not in consumer.TOPICS)
    twin = RecordedTwin(
        recording.answers, made, group_max_size=MEMBERS_MAX, consumer_max_size=MEMBERS_MAX
    )
    for name, partitions in consumer.TOPICS.items() if ids else ():
        twin.driver.cluster.set_topic(name, partitions, ids[name])
    return twin


def _recorded(life: Life, port: int) -> Recording:
    twin = Twin(port, group_max_size=MEMBERS_MAX, consumer_max_size=MEMBERS_MAX)
    if life.is_consumer:
        consumer.learn_topics(twin)
    life.run(twin)
    twin.close()
    topic_ids = {name: topic_id.hex() for topic_id, name in twin.driver.cluster.names.items()}
    answers = msgspec.to_builtins(twin.expected)
    return Recording(life.name, topic_ids, answers)


def main() -> None:
    """Asks Apache Kafka and stores its answers."""
    properties = classic.PROPERTIES | consumer.PROPERTIES
    found = []
    for release in ("4.1.1", "3.9.1"):
        with ApacheKafka(release, properties=properties, start_timeout_s=300.0) as kafka:
            if release == "4.1.1":
                consumer.prepare(kafka.port)
            else:
                prepare_kafka(kafka.port, "t")
            found += [_recorded(life, kafka.port) for life in LIVES if life.release == release]
    _STORED.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in found))
    print(f"{len(found)} lives, {sum(len(each.answers) for each in found)} answers")


if __name__ == "__main__":
    main()
