"""Kafka's subscriber: one member of a warehouse's consumer group, which shares out the partitions of all tables.

Where to go on in a partition is what the warehouse says, since it keeps offset and position with the rows. What the group has
committed is for operators to look at, and for nothing else but to know that records which are gone had been applied.

    assigned    each partition is read from the warehouse's mark on; without one, from its beginning
    receive     records become events, in one buffer per partition; what a mark covers is left out: a reader that started
                again publishes it again. A buffer is a batch once it has enough rows or bytes, or nothing more comes
    revoked     its buffer is dropped: whoever has the partition now reads it again from the mark
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from cdc.config import WarehouseSettings
from cdc.errors import TransportUnavailable
from cdc.events import READ, Change, Event, Message, Truncate
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import Position
from connectors.kafka.consuming import Consumer, Partition, Received, open_consumer
from connectors.kafka.places import Places
from connectors.kafka.settings import Settings

log = structlog.get_logger()

Decode = Callable[[Received], Iterable[Event]]
FETCH = 5_000  # records at most
IMPATIENT = 1.0  # seconds between looks while there is no topic yet


class Buffer:
    """What has come of one partition and was not handed over: `next` is the offset behind it, `position` the highest so far."""

    def __init__(self, mark: Mark, offset: int) -> None:
        self.position: Position = mark.position
        self.next = offset
        self.clear(0.0)

    def clear(self, now: float) -> None:
        self.events: list[Event] = []
        self.rows = self.size = self.commit_us = 0
        self.moved = False
        self.opened = now

    def take(self, events: Iterable[Event]) -> None:
        """Add what is not known yet. A snapshot's rows are never old: a copy that begins again is applied again."""
        for event in events:
            if not isinstance(event, Change | Truncate | Message) or event.begin is None:
                continue
            position = Position(event.begin.commit_lsn, event.ordinal)
            if position > self.position:
                self.position = position
            elif not (isinstance(event, Change) and event.op == READ):
                continue
            self.events.append(event)
            self.rows += 1
            self.commit_us = event.begin.commit_us


class KafkaSubscriber:
    """Implements `cdc.interfaces.Subscriber`.

    `decode` makes events of a record; `wanted` says which topics have any. `marks` asks the warehouse anew at each assignment,
    because another applier may have moved them; without it, those given to `seek` are taken to be the last word.
    """

    def __init__(
        self,
        settings: Settings,
        decode: Decode,
        *,
        warehouse: str,
        limits: WarehouseSettings,
        wanted: Callable[[str], bool],
        marks: Callable[[], Mapping[str, Mark]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._limits = limits
        self._wanted = wanted
        self._ask = marks
        self._clock = clock
        self._consumer: Consumer = open_consumer(settings, settings.group_of(warehouse))
        self._places = Places(self._consumer, accept_missing=settings.missing_history == "accept")
        self._marks: dict[str, Mark] = {}
        self._buffers: dict[Partition, Buffer] = {}
        self._committed: dict[Partition, int] = {}
        self._topics: frozenset[str] = frozenset()
        self._looked = float("-inf")
        self._failure: BaseException | None = None
        self.closed = False

    def seek(self, marks: Mapping[str, Mark]) -> None:
        self._marks = dict(marks)

    def receive(self, timeout: float) -> Batch | None:
        until = self._clock() + timeout
        while not self.closed:
            self._discover()
            if batch := self._ready():
                return batch
            wait = max(0.0, until - self._clock())
            if any(buffer.moved for buffer in self._buffers.values()):
                wait = 0.0  # an idle stream hands over at once
            elif not self._topics:
                time.sleep(min(wait, IMPATIENT))
            records = self._consumer.fetch(min(FETCH, self._limits.batch_rows), wait)
            if self._failure is not None:
                raise self._failure
            if records:
                self._take(records)
            elif batch := self._fullest():
                return batch
            elif self._clock() >= until:
                return None
        return None

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
        if topics != self._topics:
            log.info("topics found", topics=sorted(topics - self._topics), gone=sorted(self._topics - topics))
            self._topics = topics
            self._consumer.subscribe(topics, self._assigned, self._revoked)

    def _assigned(self, partitions: list[Partition]) -> Mapping[Partition, int]:
        """Where to start. Called inside of the client, which may swallow what is raised: `receive` raises it."""
        try:
            if self._ask is not None:
                self._marks.update(self._ask())
            starts = self._places.starts(partitions, self._marks)
        except Exception as error:  # noqa: BLE001  raised by `receive`
            self._failure = error
            return {}
        for partition, offset in starts.items():
            self._buffers[partition] = Buffer(self._marks.get(mark_name(partition), Mark()), offset)
            self._committed.pop(partition, None)
        return starts

    def _revoked(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._buffers.pop(partition, None)

    def _take(self, records: list[Received]) -> None:
        now, decode = self._clock(), self._decode
        for record in records:
            buffer = self._buffers.get((record.topic, record.partition))
            if buffer is None or record.offset < buffer.next:
                continue
            if not buffer.moved:
                buffer.moved, buffer.opened = True, now
            buffer.next = record.offset + 1
            buffer.size += len(record.value or b"")
            buffer.take(decode(record))

    def _ready(self) -> Batch | None:
        """The batch of a partition that has enough, or has waited long enough, or of the fullest if all together are too much."""
        limits, total, oldest = self._limits, 0, self._clock() - self._limits.max_delay
        for partition, buffer in self._buffers.items():
            if buffer.rows >= limits.batch_rows or buffer.size >= limits.batch_bytes:
                return self._hand_over(partition)
            if buffer.moved and buffer.opened <= oldest:
                return self._hand_over(partition)
            total += buffer.size
        return self._fullest() if total * 4 >= self._settings.max_bytes else None

    def _fullest(self) -> Batch | None:
        moved = [each for each, buffer in self._buffers.items() if buffer.moved]
        return self._hand_over(max(moved, key=lambda each: self._buffers[each].rows)) if moved else None

    def _hand_over(self, partition: Partition) -> Batch:
        buffer = self._buffers[partition]
        checkpoint = Checkpoint({mark_name(partition): Mark(buffer.position, buffer.next)})
        batch = Batch(buffer.events, checkpoint, buffer.rows, buffer.size, buffer.commit_us)
        buffer.clear(self._clock())
        return batch

    def commit(self, batch: Batch) -> None:
        if batch.checkpoint is None:
            raise ValueError("every batch of Kafka's has a checkpoint")
        offsets: dict[Partition, int] = {}
        for name, mark in batch.checkpoint.marks.items():
            partition = partition_of(name)
            self._marks[name] = mark
            if partition in self._buffers and mark.offset > self._committed.get(partition, -1):
                offsets[partition] = self._committed[partition] = mark.offset
        if offsets:
            self._consumer.commit(offsets)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._buffers.clear()
            self._consumer.close()


def mark_name(partition: Partition) -> str:
    """('shop.public.orders', 3) → 'shop.public.orders/3'; a topic's name has no slash."""
    return f"{partition[0]}/{partition[1]}"


def partition_of(name: str) -> Partition:
    """The inverse."""
    topic, _, number = name.rpartition("/")
    return topic, int(number)
