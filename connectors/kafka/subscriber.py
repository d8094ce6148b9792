"""Kafka's subscriber: one member of a warehouse's consumer group, which shares out the partitions of all tables.

Where to go on in a partition is what the warehouse says, since it keeps offset and position with the rows. What the group has
committed is for operators to look at, and for nothing else but to know that records which are gone had been applied.

    assigned    each partition is read from the warehouse's mark on; without one, from its beginning
    receive     records become events, in one buffer per partition; what a mark covers is left out: a reader that started
                again publishes it again. A buffer is a batch once it has enough rows or bytes, or nothing more comes
    revoked     its buffer is dropped: whoever has the partition now reads it again from the mark

At a fence (`fences.py`) a partition stops until the others have come to it, too (`gate.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from cdc.config import WarehouseSettings
from cdc.errors import TransportUnavailable
from cdc.events import Event
from cdc.interfaces import Batch, Checkpoint, Mark
from connectors.kafka.buffers import Buffer
from connectors.kafka.consuming import Consumer, Partition, Received, open_consumer
from connectors.kafka.fences import fence_of
from connectors.kafka.gate import LOOK, Gate
from connectors.kafka.goals import Goals
from connectors.kafka.holding import Holding, partition_of
from connectors.kafka.places import Places
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Decode = Callable[[Received], Iterable[Event]]
FETCH = 5_000  # records at most
IMPATIENT = 0.2  # seconds between looks while there is no topic yet
PATIENT = 75  # looks until it is told that there is none


class KafkaSubscriber:
    """Implements `cdc.interfaces.Subscriber`.

    `decode` makes events of a record; `wanted` says which topics have any. `state` asks the warehouse anew, at each assignment
    and while a partition waits at a fence: another applier may have moved its marks.
    """

    def __init__(
        self,
        settings: Settings,
        decode: Decode,
        *,
        warehouse: str,
        limits: WarehouseSettings,
        wanted: Callable[[str], bool],
        state: Callable[[], Checkpoint],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._limits = limits
        self._wanted = wanted
        self._state = state
        self._clock = clock
        self._consumer: Consumer = open_consumer(settings, settings.group_of(warehouse))
        self._places = Places(self._consumer, accept_missing=settings.missing_history == "accept")
        self._holding = Holding()
        self._gate = Gate(self._holding, self._consumer, decode, state, clock)
        self._buffers: dict[Partition, Buffer] = {}
        self._committed: dict[Partition, int] = {}
        self._topics: frozenset[str] = frozenset()
        self._looked = float("-inf")
        self._failure: BaseException | None = None
        self._goals = Goals()
        self._looks_in_vain = 0
        self.closed = False

    def seek(self, marks: Mapping[str, Mark]) -> None:
        self._holding.learn(Checkpoint(marks))

    def receive(self, timeout: float) -> Batch | None:
        until = self._clock() + timeout
        while not self.closed:
            self._discover()
            if self._goals.waiting:
                self._check_goals()
            held = self._gate.open(self._buffers.values(), self._take)
            if batch := self._ready():
                return batch
            wait = max(0.0, until - self._clock())
            if held:
                wait = min(wait, LOOK)
            opened = [buffer.opened for buffer in self._buffers.values() if buffer.moved]
            if opened:
                wait = min(wait, max(0.0, min(opened) + self._patience - self._clock()))
            elif not self._topics:
                time.sleep(min(wait, IMPATIENT))
            records = self._consumer.fetch(min(FETCH, self._limits.batch_rows), wait)
            if self._failure is not None:
                raise self._failure
            if records:
                self._take(records)
            elif not self._patience and (batch := self._fullest()):
                return batch  # an idle stream hands over at once
            else:
                self._drained()
                if self._clock() >= until:
                    return None
        return None

    def fill(self) -> tuple[int, int]:
        waiting = sum(buffer.size for buffer in tuple(self._buffers.values()))
        return waiting, self._settings.max_bytes

    def reach(self, ends: Mapping[str, int]) -> threading.Event:
        """An event that is set once all below these offsets is in the warehouse. May be called by any thread."""
        return self._goals.add(ends)

    @property
    def _patience(self) -> float:
        """Seconds that records wait for company though nothing more comes; none while somebody waits for them."""
        return 0.0 if self._goals.waiting else self._limits.patience

    def _drained(self) -> None:
        """What was given is applied. Behind it there may be marks of Kafka's own, of which nothing was given."""
        passed = {each: self._passed(each) for each in self._buffers}
        beyond = {each: at for each, at in passed.items() if at > max(self._committed.get(each, 0), 0)}
        if beyond:
            self._committed.update(beyond)
            self._consumer.commit(beyond)

    def _check_goals(self) -> None:
        passed = {each: self._passed(each) for each in self._buffers}
        if self._goals.check(passed, self._consumer.committed):
            self._looked = float("-inf")  # a topic may be new

    def _passed(self, partition: Partition) -> int:
        """The offset below which all is in the warehouse."""
        buffer = self._buffers[partition]
        if buffer.moved:
            return self._holding.mark(partition).offset
        return buffer.next if buffer.fence else max(buffer.next, self._consumer.position(partition))

    def _discover(self) -> None:
        """Look for topics of new tables from time to time."""
        interval = self._settings.discover_interval if self._topics else IMPATIENT
        if self._clock() - self._looked < interval:
            return
        try:
            topics = frozenset(filter(self._wanted, self._consumer.topics()))
        except TransportUnavailable:
            if not self._topics:
                raise
            topics = self._topics  # the brokers are away for now: what is known stays
        self._looked = self._clock()
        self._looks_in_vain += not topics
        if self._looks_in_vain == PATIENT:
            log.warning(
                "there is no topic to read yet",
                prefix=self._settings.topic_prefix,
                hint="the reader makes them; if they are there, this user lacks Describe on them",
            )
        if topics != self._topics:
            log.info("topics found", topics=sorted(topics - self._topics), gone=sorted(self._topics - topics))
            self._topics = topics
            self._consumer.subscribe(topics, self._assigned, self._revoked)

    def _assigned(self, partitions: list[Partition]) -> Mapping[Partition, int]:
        """Where to start. Called inside of the client, which may swallow what is raised: `receive` raises it."""
        try:
            self._holding.learn(self._state())
            starts = self._places.starts(partitions, self._holding.marks)
        except Exception as error:  # noqa: BLE001  raised by `receive`
            self._failure = error
            return {}
        for partition, offset in starts.items():
            self._buffers[partition] = Buffer(
                partition, self._holding.mark(partition), offset, self._holding.beside
            )
            self._committed.pop(partition, None)
        return starts

    def _revoked(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._buffers.pop(partition, None)

    def _take(self, records: list[Received]) -> None:
        now, decode = self._clock(), self._decode
        for record in records:
            topic, partition, offset, _, _, headers = record
            buffer = self._buffers.get((topic, partition))
            if buffer is None or offset < buffer.next:
                continue
            if buffer.fence is not None:
                buffer.waiting.append(record)
            elif headers and (fence := fence_of(headers)):
                self._gate.arrive(buffer, fence, record)
            else:
                buffer.add(record, decode(record), now)

    def _ready(self) -> Batch | None:
        """The batch of a partition that has enough, or has waited long enough, or of the fullest if all together are too much."""
        limits, total, oldest = self._limits, 0, self._clock() - self._limits.max_delay
        for buffer in self._buffers.values():
            if buffer.urgent or buffer.rows >= limits.batch_rows or buffer.size >= limits.batch_bytes:
                return buffer.hand_over(self._clock())
            if buffer.moved and buffer.opened <= oldest:
                return buffer.hand_over(self._clock())
            total += buffer.size
        return self._fullest() if total * 4 >= self._settings.max_bytes else None

    def _fullest(self) -> Batch | None:
        moved = [buffer for buffer in self._buffers.values() if buffer.moved]
        return max(moved, key=lambda buffer: buffer.rows).hand_over(self._clock()) if moved else None

    def commit(self, batch: Batch) -> None:
        if batch.checkpoint is None:
            raise ValueError("every batch of Kafka's has a checkpoint")
        self._holding.learn(batch.checkpoint)
        offsets: dict[Partition, int] = {}
        for name, mark in batch.checkpoint.marks.items():
            partition = partition_of(name)
            if partition in self._buffers:
                self._buffers[partition].begun = mark
            if partition in self._buffers and mark.offset > self._committed.get(partition, -1):
                offsets[partition] = self._committed[partition] = mark.offset
        if offsets:
            self._consumer.commit(offsets)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._buffers.clear()
            self._consumer.close()
