"""What every client must be able to do: scenarios for the drivers of clients/CONTRACT.md."""

import random
from collections import defaultdict
from dataclasses import replace

import pytest

from tests.compat.clients.contract import Record
from tests.compat.driver import Driver, Member, Seen, eventually
from tests.compat.matrix import EACH_CLIENT, Client, Feature
from tests.compat.raw_requests import create_topic, stored_codecs
from tests.compat.scenarios import message, now_ms, share, values

pytestmark = [
    pytest.mark.compat,
    # The first test of a client builds its environment; what clients do is bounded by DEADLINE_S.
    pytest.mark.timeout(900),
    EACH_CLIENT,
]

_LARGE_BYTES = 900_000


@pytest.mark.scenario("codecs")
def test_every_codec_is_stored_as_such_and_read_back(
    client: Client, driver: Driver, bootstrap: str, topic: str
) -> None:
    create_topic(bootstrap, topic, partitions=len(client.codecs))
    sent = [
        message(f"{codec} {number} ".encode() * 20, partition=partition, codec=codec)
        for partition, codec in enumerate(client.codecs)
        for number in range(40)
    ]

    acked = driver.produce(topic, sent)
    seen = driver.consume(topic, partitions=len(client.codecs), count=len(sent))

    assert acked == [(record.partition, n % 40) for n, record in enumerate(sent)]
    for partition, codec in enumerate(client.codecs):
        assert set(stored_codecs(bootstrap, topic, partition)) == {codec}
        expected = [record.value for record in sent if record.partition == partition]
        assert values(seen)[partition] == expected, codec
    assert _offsets_count_up(seen)


@pytest.mark.scenario("values")
def test_keys_headers_nulls_and_timestamps_come_back_as_they_went_in(
    client: Client, driver: Driver, bootstrap: str, topic: str
) -> None:
    create_topic(bootstrap, topic, partitions=1)
    every_byte = bytes(range(256))
    sent = [
        message(b"plain"),
        message(b"with a key", key=b"key"),
        message(None, key=b"deleted"),
        message(b"", key=b"empty value"),
        message(b"empty key", key=b""),
        message(every_byte, key=every_byte),
        message("żółć 鍵 🗝".encode(), key="ключ".encode()),
        message(b"headers", headers=[("a", b"1"), ("b", b"2"), ("a", b"3"), ("żółć", b"4")]),
        message(b"empty header", headers=[("empty", b""), ("null", None)]),
        message(b"raw header", headers=[("raw", every_byte)]),
        message(b"long ago", timestamp_ms=1_600_000_000_123),
        message(b"longer ago", timestamp_ms=1_234_567_890_001),
    ]
    sent = [_as_known(record, client.features) for record in sent]

    before_ms = now_ms()
    driver.produce(topic, sent)
    after_ms = now_ms()
    seen = driver.consume(topic, partitions=1, count=len(sent))

    assert [_content(record, client.features) for record in seen] == [
        _content(record, client.features) for record in sent
    ]
    assert _offsets_count_up(seen)
    for back, record in zip(seen, sent, strict=True):
        if record.timestamp_ms is None:
            assert before_ms <= back.timestamp_ms <= after_ms
        else:
            assert back.timestamp_ms == record.timestamp_ms


@pytest.mark.scenario("large")
@pytest.mark.usefixtures("client")
def test_large_messages_come_back_whole_and_in_order(
    driver: Driver, bootstrap: str, topic: str
) -> None:
    create_topic(bootstrap, topic, partitions=1)
    noise = random.Random(900)
    sent = [message(noise.randbytes(size)) for size in (10, _LARGE_BYTES, _LARGE_BYTES, 10)]
    # Noise stays large in any codec.
    sent.append(message(noise.randbytes(_LARGE_BYTES), codec="gzip"))

    driver.produce(topic, sent)
    seen = driver.consume(topic, partitions=1, count=len(sent))

    assert [record.value for record in seen] == [record.value for record in sent]
    assert _offsets_count_up(seen)


@pytest.mark.scenario("group of two")
def test_two_members_share_the_partitions_and_the_last_one_gets_them_all(
    client: Client, driver: Driver, bootstrap: str, topic: str, group: str
) -> None:
    client.must_know(Feature.GROUPS)
    partitions = set(range(4))
    create_topic(bootstrap, topic, partitions=len(partitions))
    per_partition = 5

    def produce_a_round(number: int) -> None:
        driver.produce(
            topic,
            [
                message(f"round {number}".encode(), partition=partition)
                for partition in partitions
                for _ in range(per_partition)
            ],
        )

    def of_rounds(count: int) -> list[tuple[int, int]]:
        return [(p, offset) for p in partitions for offset in range(count * per_partition)]

    produce_a_round(0)
    with driver.join(topic, group) as first:
        eventually(lambda: first.partitions == partitions, "the first owns all", [first])
        eventually(lambda: first.offsets() == of_rounds(1), "the first reads all", [first])
        _commit(client, first, dict.fromkeys(partitions, per_partition))

        with driver.join(topic, group) as second:
            both = [first, second]
            eventually(lambda: share(first, second, partitions), "both own some", both)
            produce_a_round(1)
            eventually(
                lambda: sorted(first.offsets() + second.offsets()) == of_rounds(2),
                "together they read the second round, nothing twice",
                both,
            )
            for member in both:
                assert member.partitions is not None
                _commit(client, member, dict.fromkeys(member.partitions, 2 * per_partition))
            second.leave()

        eventually(lambda: first.partitions == partitions, "the first owns all again", [first])
        produce_a_round(2)
        eventually(
            lambda: sorted(first.offsets() + second.offsets()) == of_rounds(3),
            "the first reads the third round, nothing twice",
            [first],
        )
        first.leave()


@pytest.mark.scenario("commit and resume")
def test_a_new_consumer_continues_exactly_after_the_committed_offset(
    client: Client, driver: Driver, bootstrap: str, topic: str, group: str
) -> None:
    client.must_know(Feature.GROUPS)
    create_topic(bootstrap, topic, partitions=2)
    sent = [message(b"first", partition=partition) for partition in range(2) for _ in range(20)]
    driver.produce(topic, sent)
    everything = [(partition, offset) for partition in range(2) for offset in range(20)]

    with driver.join(topic, group) as reader:
        eventually(lambda: reader.offsets() == everything, "it reads all", [reader])
        if Feature.CHOSEN_COMMIT in client.features:
            committed = {0: 7, 1: 13}
            reader.commit(committed)
        else:
            committed = {0: 20, 1: 20}
        reader.leave()
    driver.produce(topic, [message(b"second", partition=partition) for partition in range(2)])
    with driver.join(topic, group) as reader:
        rest = [(p, offset) for p in committed for offset in range(committed[p], 21)]
        eventually(lambda: len(reader.records) >= len(rest), "it reads the rest", [reader])
        _commit(client, reader, {0: 21, 1: 21})
        reader.leave()
    assert reader.offsets() == rest
    driver.produce(topic, [message(b"third", partition=partition) for partition in range(2)])
    with driver.join(topic, group) as reader:
        eventually(lambda: len(reader.records) >= 2, "it reads the last two", [reader])
        reader.leave()
    assert [(r.partition, r.offset, r.value) for r in sorted(reader.records, key=_place)] == [
        (0, 21, b"third"),
        (1, 21, b"third"),
    ]


@pytest.mark.scenario("transactions")
def test_a_topic_is_copied_exactly_once_and_what_was_aborted_is_not_read(
    client: Client, driver: Driver, bootstrap: str, topic: str, group: str
) -> None:
    client.must_know(Feature.TRANSACTIONS)
    to = f"{topic}-copy"
    for name in (topic, to):
        create_topic(bootstrap, name, partitions=2)
    sent = [
        message(f"{number}".encode(), key=b"key", partition=number % 2) for number in range(200)
    ]
    driver.produce(topic, sent)

    driver.copy(topic, to, group, count=len(sent))

    more = [message(b"more", key=b"key", partition=1)]
    driver.produce(topic, more)
    driver.copy(topic, to, group, count=len(more))

    copied = values(driver.consume(to, partitions=2, count=len(sent) + len(more)))
    assert copied == {
        partition: [record.value for record in (*sent, *more) if record.partition == partition]
        for partition in range(2)
    }


def _as_known(record: Record, features: frozenset[Feature]) -> Record:
    """The record without what the client has no words for."""
    headers = record.headers if Feature.HEADERS in features else []
    if Feature.RAW_HEADERS not in features:
        headers = [(name, content) for name, content in headers if content != bytes(range(256))]
    if Feature.NULL_HEADERS not in features:
        headers = [(name, content) for name, content in headers if content is not None]
    if Feature.REPEATED_HEADERS not in features:
        headers = list(dict(reversed(headers)).items())[::-1]
    any_time = {Feature.TIMESTAMPS, Feature.DISTANT_TIMESTAMPS} <= features
    timestamp_ms = record.timestamp_ms if any_time else None
    return replace(record, headers=headers, timestamp_ms=timestamp_ms)


def _content(record: Record | Seen, features: frozenset[Feature]) -> tuple[object, ...]:
    """Key, value and headers, in which empty is as good as null if the client cannot tell."""
    key, value, headers = record.key, record.value, record.headers
    if Feature.NULLS not in features:
        key, value = key or b"", value or b""
        headers = [(name, content or b"") for name, content in headers]
    if Feature.HEADER_ORDER not in features:
        headers = sorted(headers, key=lambda header: header[0])
    return key, value, headers


def _commit(client: Client, member: Member, offsets: dict[int, int]) -> None:
    """Commit, unless the client chooses by itself what and when."""
    if Feature.CHOSEN_COMMIT in client.features:
        member.commit(offsets)


def _offsets_count_up(seen: list[Seen]) -> bool:
    """Whether each partition's offsets are 0, 1, 2, ... in the order in which they were seen."""
    next_offsets: dict[int, int] = defaultdict(int)
    for record in seen:
        if record.offset != next_offsets[record.partition]:
            return False
        next_offsets[record.partition] += 1
    return True


def _place(record: Seen) -> tuple[int, int]:
    return record.partition, record.offset
