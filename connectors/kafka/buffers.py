"""What has come of one partition and was not handed over yet. No Kafka in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from cdc.events import INSERT, READ, Change, Event, Gathering, Message, Truncate
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import Lsn, Position
from cdc.marks import check_overtaken
from connectors.kafka.consuming import Partition, Received
from connectors.kafka.fences import BEGIN, COPY, LEAVE, MOVED, TAKE, Fence
from connectors.kafka.holding import mark_name, reached

PLACED = (Change, Truncate, Message)
GATHERING: Mapping[str, Literal["begin", "take", "leave"]] = {BEGIN: "begin", TAKE: "take", LEAVE: "leave"}


class Buffer:
    """`next` is the offset behind what it has, `position` the highest so far.

    At a fence it stops: `fence` is what it waits at, and `waiting` has that record and what came behind it.
    """

    def __init__(
        self, partition: Partition, mark: Mark, offset: int, known: Mapping[str, bytes] = {}
    ) -> None:
        self.partition = partition
        self._known = known
        self.begun = mark
        """What the warehouse has of it."""
        self.position: tuple[Lsn, int] = mark.position
        """As `place` has it."""
        self.next = offset
        self.fence: Fence | None = None
        self.waiting: list[Received] = []
        self.waits_since = 0.0
        self.ends: Mapping[int, int] | None = None
        """Of partition 0 at a fence: where the others ended then."""
        self.clear(0.0)

    def clear(self, now: float) -> None:
        self.events: list[Event] = []
        self.controls: dict[str, bytes] = {}
        self.rows = self.size = self.commit_us = 0
        self.moved = False
        self.opened = now

    @property
    def urgent(self) -> bool:
        """Do other partitions wait for what it has, or is the table about to be copied or emptied?"""
        return bool(self.controls) or (self.moved and self.fence is not None)

    def add(self, record: Received, events: Iterable[Event], now: float) -> None:
        """A record, and the events that it means."""
        if not self.moved:
            self.moved, self.opened = True, now
        self.next = record.offset + 1
        self.size += len(record.value or b"")
        for event in events:
            if not isinstance(event, PLACED) or event.begin is None:
                continue
            at = place(event)
            if at > self.position:
                self.position = at
            elif not (isinstance(event, Change) and _comes_again(event, same=at == self.position)):
                continue
            self.events.append(event)
            self.rows += 1
            self.commit_us = event.begin.commit_us

    def stop(self, fence: Fence, record: Received, *, known: bool, now: float) -> None:
        """Wait at a fence. Unless that is `known`, others must be told that all before it is applied."""
        self.fence, self.waiting, self.waits_since, self.ends = fence, [record], now, None
        self.next = record.offset
        if self.partition[1] and not known:
            self.controls.update([reached(self.partition, fence)])

    def go_on(self) -> list[Received]:
        """What has waited."""
        self.fence, records = None, self.waiting
        self.waiting = []
        return records

    def cross(self, fence: Fence, record: Received, events: Iterable[Event], now: float) -> None:
        """A fence is behind it. In partition 0 that is when what the fence says is done: `events` are of the marker there."""
        if fence.kind in (COPY, BEGIN, MOVED):
            self.position = fence.position  # which may be lower: another server's, after `cdc drop`
        emptied: list[Event] = []
        for event in events if self.partition[1] == 0 else ():
            if not isinstance(event, Truncate | Change) or fence.kind not in (COPY, *GATHERING):
                emptied.append(event)
                continue
            step = GATHERING.get(fence.kind, "leave")
            self.events.append(Gathering(event.table, step, fence.position))
            self.moved = True
            if fence.kind == COPY:
                self.events.append(Truncate(event.table, event.begin, event.ordinal, event.lsn))
                self.rows += 1
                self.commit_us = event.begin.commit_us
                if isinstance(event, Change):
                    emptied.append(event)
        self.add(record, emptied, now)
        if self.partition[1] == 0 and fence.partitions > 1:
            self.controls.update([reached(self.partition, fence)])

    def check(self, marks: Mapping[str, Mark]) -> None:
        """Raise Overtaken if another applier has gone on with this partition. The warehouse, which was just asked for its marks,
        cannot tell any more that what was taken here is from before."""
        name = mark_name(self.partition)
        check_overtaken({name: marks.get(name, self.begun)}, {name: self.begun}, where="Kafka")

    def hand_over(self, now: float) -> Batch:
        """A batch of it, which leaves it empty."""
        marks = {mark_name(self.partition): Mark(Position(*self.position), self.next)}
        checkpoint = Checkpoint(marks, self.controls)
        batch = Batch(self.events, checkpoint, self.rows, self.size, self.commit_us, self._known)
        self.clear(now)
        return batch


def _comes_again(event: Change, *, same: bool) -> bool:
    """Rows that are no duplicates though their position is not new.

    A snapshot's rows are never old: a copy that begins again is applied again. Of Debezium's, rows of one WAL record have the
    `same` position.
    """
    return event.op == READ or (same and event.counted_by_lsn)


def place(event: Change | Truncate | Message) -> tuple[Lsn, int]:
    """Orders the events of one partition. A change of key is two of them, a delete and an insert with the same ordinal."""
    commit_lsn = event.begin.commit_lsn if event.begin else 0
    if isinstance(event, Change):
        op = event.op
        return commit_lsn, event.ordinal if op == READ else 2 * event.ordinal + (op == INSERT)
    return commit_lsn, 2 * event.ordinal
