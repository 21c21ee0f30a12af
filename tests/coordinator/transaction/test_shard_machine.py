"""Random lives of transactions: producers old and new, zombies, lost answers, crashes, time.

Beside the shard stands what it is for: partitions, which take batches and markers as a
``PartitionLog`` does, and let a batch in as the Produce handler does: after a batch of the same
transaction, or when the coordinator says so. What holds, whatever happens:

- A transaction is all or nothing: all its batches, in all partitions, end alike; and as its
  producer was told, where it was told.
- Every batch meets a marker in the end, and every request an answer.
- A replayed shard is the live one.
"""

import time
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from datacore._generated.errors import ErrorCode
from datacore.coordinator.transaction.metadata import TopicPartition, TransactionState
from datacore.coordinator.transaction.state import Timer, TimerKind, WriteMarkers
from datacore.protocol.names import TopicName
from tests.coordinator import lives
from tests.coordinator.transaction.driver import Driver, add_answer, end_answer, init_answer

PARTITIONS = [TopicPartition(TopicName("t"), index) for index in range(3)]
IDS = ["x", "x", "y"]
"""By producer: the first two take the id from each other."""
TIMEOUT_MS = 30_000
NOBODY = (-1, -1)


@dataclass(frozen=True)
class Transaction:
    """Which transaction a batch is of, as its producer sees it."""

    producer: int
    number: int


@dataclass
class Batch:
    """A batch in a partition, and how it ended."""

    transaction: Transaction
    is_committed: bool | None = None


@dataclass
class Partition:
    """What a log knows of producers."""

    batches: list[Batch] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=dict)
    open: dict[int, list[Batch]] = field(default_factory=dict)

    def has_open(self, producer: tuple[int, int]) -> bool:
        return producer[0] in self.open and self.epochs[producer[0]] == producer[1]

    def append(self, producer: tuple[int, int], transaction: Transaction) -> bool:
        producer_id, epoch = producer
        if self.epochs.get(producer_id, -1) > epoch:
            return False
        self.epochs[producer_id] = epoch
        batch = Batch(transaction)
        self.batches.append(batch)
        self.open.setdefault(producer_id, []).append(batch)
        return True

    def append_marker(self, owed: WriteMarkers) -> None:
        assert self.epochs.get(owed.producer_id, -1) <= owed.producer_epoch
        self.epochs[owed.producer_id] = owed.producer_epoch
        for batch in self.open.pop(owed.producer_id, []):
            batch.is_committed = owed.is_commit


@dataclass
class Producer:
    """What a producer knows of itself."""

    index: int
    is_new: bool
    """Whether it speaks transactions v2."""
    identity: tuple[int, int] = NOBODY
    number: int = 0
    is_open: bool = False
    added: set[TopicPartition] = field(default_factory=set)
    ending: bool | None = None
    """What it has asked for, and not heard the answer."""
    request: int = 0
    """Its last one: to what it does not wait for any more it does not listen."""

    @property
    def transactional_id(self) -> str:
        return IDS[self.index]

    @property
    def transaction(self) -> Transaction:
        return Transaction(self.index, self.number)

    def begin_next(self) -> None:
        self.number += 1
        self.is_open, self.ending = False, None
        self.added.clear()


STEPS = 70_000
"""By a seed, in each run of the tests; with the other two machines, more than 100,000."""


class TransactionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(holds=True)
        self.producers: list[Producer] = []
        self.partitions = {each: Partition() for each in PARTITIONS}
        self.written: list[tuple[WriteMarkers, set[TopicPartition]]] = []
        self.told: dict[Transaction, bool] = {}
        self.acknowledged: dict[Transaction, int] = {}
        self.asked: set[int] = set()

    @lives.initialize(
        versions=lives.lists(lives.booleans(), min_size=3, max_size=3), is_prompt=lives.booleans()
    )
    def begin(self, versions: list[bool], is_prompt: bool) -> None:  # noqa: FBT001  # drawn
        # Where nothing waits, more happens in a life.
        self.driver.holds = not is_prompt
        self.producers = [Producer(index, is_new) for index, is_new in enumerate(versions)]

    # What producers do.

    @lives.rule(index=lives.integers(0, 2), names_itself=lives.booleans())
    def init(self, index: int, names_itself: bool) -> None:  # noqa: FBT001  # a drawn value
        producer = self.producers[index]
        own = producer.identity if names_itself else NOBODY

        def answered(answer: tuple[ErrorCode, tuple[int, int]]) -> None:
            error_code, identity = answer
            if error_code is ErrorCode.NONE:
                producer.identity = identity
                producer.begin_next()

        number = self._next_request(producer)
        self.asked.add(
            self.driver.ask_init(
                producer.transactional_id,
                producer=own,
                timeout_ms=TIMEOUT_MS,
                then=lambda response: self._listen(
                    producer, number, lambda: answered(init_answer(response))
                ),
            )
        )

    @lives.rule(index=lives.integers(0, 2), at=lives.sampled_from(PARTITIONS))
    def write(self, index: int, at: TopicPartition) -> None:
        producer = self.producers[index]
        if producer.identity == NOBODY or producer.ending is not None:
            return
        producer.is_open = True
        transaction, identity = producer.transaction, producer.identity
        if producer.is_new or at in producer.added:
            self._produce(transaction, identity, at, adds=producer.is_new)
            return

        def answered(error_codes: set[ErrorCode]) -> None:
            if error_codes == {ErrorCode.NONE}:
                producer.added.add(at)
                self._produce(transaction, identity, at, adds=False)

        number = self._next_request(producer)
        self.asked.add(
            self.driver.ask_add(
                identity,
                at,
                transactional_id=producer.transactional_id,
                then=lambda response: self._listen(
                    producer, number, lambda: answered(add_answer(response))
                ),
            )
        )

    @lives.rule(
        index=lives.integers(0, 2), at=lives.sampled_from(PARTITIONS), back=lives.integers(1, 3)
    )
    def write_late(self, index: int, at: TopicPartition, back: int) -> None:
        """A batch of an earlier transaction arrives only now, which v2 alone can tell."""
        producer = self.producers[index]
        identity = (producer.identity[0], producer.identity[1] - back)
        # Where that transaction has not met its marker, the batch is part of it, and no harm.
        is_over = not self.partitions[at].has_open(identity)
        if producer.is_new and identity[1] >= 0 and is_over:
            self._produce(Transaction(producer.index, -back), identity, at, adds=True)

    @lives.rule(index=lives.integers(0, 2), committed=lives.booleans())
    def end(self, index: int, committed: bool) -> None:  # noqa: FBT001  # a drawn value
        producer = self.producers[index]
        if not producer.is_open:
            return
        # Asked again, it asks for the same: a producer may not change its mind.
        producer.ending = committed = committed if producer.ending is None else producer.ending
        transaction = producer.transaction

        def answered(answer: tuple[ErrorCode, tuple[int, int]]) -> None:
            error_code, identity = answer
            if error_code is ErrorCode.NONE:
                self.told[transaction] = committed
                producer.begin_next()
                if producer.is_new:
                    producer.identity = identity

        number = self._next_request(producer)
        self.asked.add(
            self.driver.ask_end(
                producer.identity,
                committed=committed,
                transactional_id=producer.transactional_id,
                version=5 if producer.is_new else 4,
                then=lambda response: self._listen(
                    producer, number, lambda: answered(end_answer(response))
                ),
            )
        )

    @staticmethod
    def _next_request(producer: Producer) -> int:
        producer.request += 1
        return producer.request

    @staticmethod
    def _listen(producer: Producer, number: int, then: object) -> None:
        if producer.request == number:
            assert callable(then)
            then()

    def _produce(
        self,
        transaction: Transaction,
        identity: tuple[int, int],
        at: TopicPartition,
        *,
        adds: bool,
    ) -> None:
        """As the Produce handler does it."""
        partition = self.partitions[at]

        def append() -> None:
            if partition.append(identity, transaction):
                self.acknowledged[transaction] = self.acknowledged.get(transaction, 0) + 1

        if partition.has_open(identity):
            append()
            return
        self.asked.add(
            self.driver.ask_add(
                identity,
                at,
                transactional_id=IDS[transaction.producer],
                version=5,
                verify_only=not adds,
                then=lambda response: (
                    append() if add_answer(response) == {ErrorCode.NONE} else None
                ),
            )
        )

    # What else happens.

    @lives.rule()
    def flush(self) -> None:
        self.driver.flush()
        self._take_owed()

    @lives.rule(which=lives.integers(0, 5), at=lives.integers(0, 2))
    def write_marker(self, which: int, at: int) -> None:
        """One marker of one transaction, in whatever order."""
        if self.written:
            self._write_marker(which, at)

    def _write_marker(self, which: int, at: int) -> None:
        owed, left = self.written[which % len(self.written)]
        if left:
            partition = sorted(left)[at % len(left)]
            self.partitions[partition].append_marker(owed)
            left.discard(partition)
        if not left:
            self.written.remove((owed, left))
            self.driver.owed.append(owed)
            self.driver.markers_written(owed)
            self._take_owed()

    def _take_owed(self) -> None:
        self.written += [(owed, set(owed.partitions)) for owed in self.driver.owed]
        self.driver.owed.clear()
        while self.written and not self.driver.holds:
            self._write_marker(0, 0)

    @lives.rule(ms=lives.sampled_from([1_000, 6_000, TIMEOUT_MS]))
    def advance(self, ms: int) -> None:
        self.driver.advance(ms)
        self._take_owed()

    @lives.rule(is_orderly=lives.booleans())
    def restart(self, is_orderly: bool) -> None:  # noqa: FBT001  # a drawn value
        """Partitions keep what they have; of the shard, what is not durable is lost."""
        self.written.clear()
        if is_orderly:
            self.driver.restart()
        else:
            self.driver.crash()
        self.asked &= self.driver.answers.keys()
        self._take_owed()

    # What holds.

    @lives.invariant()
    def nobody_waits_for_markers_where_they_are_written_at_once(self) -> None:
        if not self.driver.holds:
            self._take_owed()

    @lives.invariant()
    def replay_is_the_live_state(self) -> None:
        assert self.driver.replayed().state.transactions == self.driver.shard.state.transactions

    @lives.invariant()
    def what_is_open_has_its_time_and_what_waits_is_prepared(self) -> None:
        state = self.driver.shard.state
        for transactional_id, metadata in state.transactions.items():
            timer = Timer(TimerKind.TRANSACTION, transactional_id)
            assert (timer in state.timers) is (metadata.state is TransactionState.ONGOING)
        for transactional_id in state.parked_ends:
            assert state.transactions[transactional_id].state.is_prepared

    @lives.invariant()
    def what_ended_ended_alike(self) -> None:
        outcomes: dict[Transaction, set[bool]] = {}
        for partition in self.partitions.values():
            for batch in partition.batches:
                assert batch.transaction.number >= 0, "a late batch is of no transaction"
                if batch.is_committed is not None:
                    outcomes.setdefault(batch.transaction, set()).add(batch.is_committed)
        for transaction, ended in outcomes.items():
            assert len(ended) == 1, f"{transaction} is torn"
            if transaction in self.told:
                assert ended == {self.told[transaction]}

    def teardown(self) -> None:
        """In the end all time is over, and everything is decided."""
        for _ in range(4):
            self.flush()
            while self.written:
                self.write_marker(0, 0)
                self.flush()
            self.advance(TIMEOUT_MS * 2)
        self.what_ended_ended_alike()
        assert self.asked <= self.driver.answers.keys(), "every request is answered"
        for partition in self.partitions.values():
            assert not partition.open, "every batch has met a marker"
        for transaction, is_committed in self.told.items():
            batches = [
                batch
                for partition in self.partitions.values()
                for batch in partition.batches
                if batch.transaction == transaction
            ]
            assert len(batches) == self.acknowledged.get(transaction, 0)
            assert {batch.is_committed for batch in batches} <= {is_committed}
        states = self.driver.shard.state.transactions.values()
        assert all(metadata.state.is_settled for metadata in states)


def test_random_lives_of_transactions() -> None:
    """The same lives every time, so that no change fails for a bug that it did not cause."""
    run_state_machine_as_test(
        TransactionMachine,
        settings=settings(
            max_examples=80, stateful_step_count=60, deadline=None, derandomize=True, database=None
        ),
    )


@pytest.mark.timeout(600)
def test_lives_of_transactions_by_a_seed() -> None:
    """Many more than Hypothesis can afford, and the same every time."""
    lives.live(TransactionMachine, steps=STEPS, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_million_steps_of_transactions_by_a_seed() -> None:
    """Other lives every time; the seed of one that fails is in the failure."""
    lives.live(TransactionMachine, steps=1_000_000, seed=time.time_ns())


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_random_lives_of_transactions() -> None:
    """Other lives every time; one that fails here is shrunk and becomes a test with a name."""
    run_state_machine_as_test(
        TransactionMachine,
        settings=settings(max_examples=1_500, stateful_step_count=100, deadline=None),
    )
