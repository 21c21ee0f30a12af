"""Loads of many: partitions of a fetch session, topics of a request, connections, members."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.load import PAGE_CACHE, Load
from benchmarks.raw_client import (
    FETCH_VERSION,
    RawConnection,
    Repeating,
    batch_of,
    body_of,
    check_produced,
    converse,
    frame_of,
    produce_frame,
)
from benchmarks.raw_loads import VALUE_BYTES
from datacore._generated.api_versions import ApiVersionsRequest
from datacore._generated.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from datacore.client.cluster import Cluster
from datacore.client.errors import check
from datacore.client.offsets import LATEST, find_offsets
from datacore.client.subscription import TopicPartition
from datacore.record.batch import end_offset_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.load import Measured, Stage

HEARTBEAT_VERSION = 1
_PARTITION_BYTES = 1 << 20


class SessionReader:
    """Writes one record to the next partition, then fetches it in a session of all of them."""

    def __init__(self, topic: str, frames: Sequence[bytes], ends: Mapping[int, int]) -> None:
        self._topic = topic
        self._frames = frames
        self._at = 0
        self._session_id = 0
        self._session_epoch = 0
        self._is_fetch = True
        self._moved = dict(ends)
        """Offsets of the partitions that the next fetch names."""
        self.records_seen = 0

    def next_frame(self) -> bytes:
        if self._is_fetch:
            return self._fetch_frame()
        frame = self._frames[self._at]
        self._at = (self._at + 1) % len(self._frames)
        return frame

    def _fetch_frame(self) -> bytes:
        asked = [
            FetchPartition(
                partition=partition, fetch_offset=offset, partition_max_bytes=_PARTITION_BYTES
            )
            for partition, offset in self._moved.items()
        ]
        request = FetchRequest(
            max_wait_ms=0 if self._session_epoch == 0 else 500,
            min_bytes=1,
            max_bytes=50 << 20,
            session_id=self._session_id,
            session_epoch=self._session_epoch,
            topics=[FetchTopic(topic=self._topic, partitions=asked)] if asked else [],
        )
        return frame_of(request, FETCH_VERSION)

    def answered(self, frame: memoryview) -> None:
        if self._is_fetch:
            response = body_of(frame, FetchResponse, FETCH_VERSION)
            if response.error_code:
                raise RuntimeError(f"cannot fetch: {ErrorCode(response.error_code).name}")
            self._session_id = response.session_id
            self._session_epoch += 1
            self._moved = {
                each.partition_index: end_offset_of(each.records)
                for topic in response.responses
                for each in topic.partitions
                if each.records
            }
            self.records_seen += len(self._moved)
        self._is_fetch = not self._is_fetch


def session_load(name: str, *, partitions: int, rounds: int) -> Load:
    """A record to one partition and its fetch, in a session of many: counted in such pairs."""

    def run(stage: Stage) -> Measured:
        def begin() -> tuple[SessionReader, RawConnection]:
            count = stage.smaller(partitions)
            topic = stage.lasting_topic(count)
            batch = batch_of(bytes(VALUE_BYTES))
            frames = [produce_frame({(topic, at): batch}) for at in range(count)]
            check_produced(stage.side.address, frames)
            reader = SessionReader(topic, frames, _ends(stage, topic, count))
            connection = RawConnection(stage.side.address, reader)
            stage.keep_open(connection)
            connection.ask()
            return reader, connection

        reader, connection = stage.once("session", begin)
        pairs = max(rounds // stage.divisor, 1)
        reader.records_seen = 0

        def act() -> list[float]:
            return [connection.ask() + connection.ask() for _ in range(pairs)]

        measured = stage.measure(pairs, act)
        if reader.records_seen != pairs:
            raise RuntimeError(f"{reader.records_seen} records came of {pairs}")
        return measured

    return Load(name, "req", run, PAGE_CACHE)


def _ends(stage: Stage, topic: str, partitions: int) -> dict[int, int]:
    wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
    with Cluster(stage.side.bootstrap) as cluster:
        found = find_offsets(cluster, wanted, LATEST)
    return {where.partition: each.offset for where, each in found.items()}


def topics_load(name: str, *, topics: int, requests: int) -> Load:
    """Requests with a small batch for each of some topics, one in flight."""

    def run(stage: Stage) -> Measured:
        count = stage.smaller(topics)
        names = stage.once("topics", lambda: [stage.new_topic(1) for _ in range(count)])
        batch = batch_of(bytes(VALUE_BYTES))
        frame = produce_frame({(each, 0): batch for each in names})
        check_produced(stage.side.address, [frame])
        total = max(requests // stage.divisor, 10)

        def act() -> list[float]:
            return converse(stage.side.address, [Repeating([frame])], requests=total).latencies_ms

        return stage.measure(total, act)

    return Load(name, "req", run, PAGE_CACHE)


def open_idle_connections(stage: Stage, count: int) -> None:
    """Connections that have asked for ApiVersions, and then say nothing more."""
    frame = frame_of(ApiVersionsRequest(), 0)
    for _ in range(count):
        connection = RawConnection(stage.side.address, Repeating([frame]))
        stage.keep_open(connection)
        connection.ask()


def beside_idle_load(name: str, *, idle: int, requests: int) -> Load:
    """Small requests of 16 connections while many others are open."""

    def run(stage: Stage) -> Measured:
        stage.once("idle", lambda: open_idle_connections(stage, idle // stage.divisor))
        topic = stage.lasting_topic(1)
        frame = produce_frame({(topic, 0): batch_of(bytes(VALUE_BYTES))})
        check_produced(stage.side.address, [frame])
        total = max(requests // stage.divisor, 16)

        def act() -> list[float]:
            talks = [Repeating([frame]) for _ in range(16)]
            return converse(stage.side.address, talks, requests=total).latencies_ms

        return stage.measure(total, act)

    return Load(name, "req", run, PAGE_CACHE)


def heartbeats_load(name: str, *, members: int, requests: int) -> Load:
    """Heartbeats of a settled group of the consumer protocol, over 16 connections."""

    def run(stage: Stage) -> Measured:
        count = max(members // stage.divisor, 16)
        frames = stage.once("members", lambda: _settled_members(stage, count))
        total = max(requests // stage.divisor, 16)

        def act() -> list[float]:
            talks = [Repeating(frames[at::16]) for at in range(16)]
            return converse(stage.side.address, talks, requests=total).latencies_ms

        return stage.measure(total, act)

    return Load(name, "req", run, PAGE_CACHE)


def _settled_members(stage: Stage, count: int) -> list[bytes]:
    """Joins so many members, and returns the heartbeat that each sends from then on."""
    topic, group = stage.new_topic(1), f"group-{uuid.uuid4()}"
    epochs = {str(uuid.uuid4()): 0 for _ in range(count)}
    with Cluster(stage.side.bootstrap) as cluster:

        def beat(member_id: str) -> int:
            request = ConsumerGroupHeartbeatRequest(
                group_id=group, member_id=member_id, member_epoch=epochs[member_id]
            )
            if not epochs[member_id]:
                request.rebalance_timeout_ms = 300_000
                request.subscribed_topic_names = [topic]
                request.topic_partitions = []
            # Asked for each time: an attempt that has failed closes connections.
            answer = cluster.group_coordinator(group).send(
                request, ConsumerGroupHeartbeatResponse, version=HEARTBEAT_VERSION
            )
            check(answer.error_code, answer.error_message)
            return answer.member_epoch

        before: dict[str, int] = {}
        while before != epochs:
            before = dict(epochs)
            for member_id in before:
                epochs[member_id] = cluster.retrying(partial(beat, member_id))
    return [
        frame_of(
            ConsumerGroupHeartbeatRequest(group_id=group, member_id=member_id, member_epoch=epoch),
            HEARTBEAT_VERSION,
        )
        for member_id, epoch in epochs.items()
    ]
