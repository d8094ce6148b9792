"""The embedded transport: reader and appliers in one process, no broker; the replication slot is the durable log.

The publisher collects events into batches and hands each to every subscriber. A batch ends at a commit, when it has enough rows
(`cdc.batching`), bytes or age; only a transaction about twice as large is cut, and its pieces carry no checkpoint. Age counts
only while a subscriber has nothing else to do: whoever is behind is given more at a time, not more often. `flush` returns when
every subscriber has committed. A subscriber that fell behind stops the publisher, so memory stays bounded by `max_bytes` each.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from cdc.batching import enough, is_covered, is_thin
from cdc.config import TransportSettings, WarehouseSettings
from cdc.errors import Stopped
from cdc.events import Begin, Change, Chunk, Commit, Control, Event, Truncate
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import START
from cdc.schema import Table

SMALL_COPIES, COPIES = 1 << 20, 32 << 20  # bytes of small chunks that share a batch, and of a large one
SHARE_OF_COPIES = 4  # that part of the bytes may be rows of a snapshot, behind which changes wait
ROW_OVERHEAD = 500  # bytes of Python objects around a row's own bytes: measured on a row of six columns


class MemoryPublisher:
    """The reader's end. `subscriber()` makes an end for one applier, to be called before the first event."""

    def __init__(
        self,
        partition: str,
        transport: TransportSettings,
        warehouses: Sequence[WarehouseSettings],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partition = partition  # there is one, with all tables
        self._max_bytes = transport.max_bytes
        self._batch_rows = min(settings.batch_rows for settings in warehouses)
        self._batch_bytes = min(settings.batch_bytes for settings in warehouses)
        # with patience the reader flushes at that age, which is one commit less
        self._max_delay = min(math.inf if each.patience else each.max_delay for each in warehouses)
        self._clock = clock
        self._changed = threading.Condition()
        self._subscribers: list[MemorySubscriber] = []
        self._failure: BaseException | None = None
        self._closed = False
        self._handed = 0
        self._position = START
        self._start_batch()

    def subscriber(self) -> MemorySubscriber:
        subscriber = MemorySubscriber(self._partition, self._changed, self.fail, self._max_bytes)
        self._subscribers.append(subscriber)
        return subscriber

    def _start_batch(self) -> None:
        self._events: list[Event] = []
        self._tables: set[Table] = set()
        self._controls: dict[str, bytes] = {}
        self._rows = self._size = self._commit_us = 0
        self._opened = 0.0
        self._copies = False

    def publish(self, event: Event) -> None:
        if isinstance(event, Change):
            self._events.append(event)
            self._tables.add(event.table)
            self._rows += 1
            self._size += event.size
            is_large = self._rows >= 2 * self._batch_rows and self._rows >= self._batch_rows + self._enough()
            if is_large or self._size >= 2 * self._batch_bytes:
                self._hand_over(complete=False)
        elif isinstance(event, Commit):
            self._events.append(event)
            self._committed(event)
        elif isinstance(event, Begin):
            if self._copies:
                self._hand_over(complete=True)
            if not self._events:
                self._opened = self._clock()
            self._events.append(event)
        elif isinstance(event, Chunk):
            self._publish_chunk(event)
        elif isinstance(event, Control):
            self._controls[event.key] = event.value
        elif isinstance(event, Truncate):
            self._events.append(event)

    def _committed(self, commit: Commit) -> None:
        self._position = commit.position
        self._commit_us = commit.begin.commit_us
        if self._rows >= self._enough() or self._size >= self._batch_bytes or self._is_late():
            self._hand_over(complete=True)

    def _enough(self) -> int:
        return enough(self._batch_rows, len(self._tables))

    def _is_late(self) -> bool:
        if self._clock() - self._opened < self._max_delay:
            return False
        thin = is_thin(self._rows, len(self._tables))
        return not all(each.weight if thin else each.waiting for each in self._subscribers)

    def _publish_chunk(self, chunk: Chunk) -> None:
        """A chunk is a batch, if it is not too large: applied in bulk, not folded with changes. Small ones share one."""
        size = len(chunk.csv)
        together = self._copies and self._size + size <= self._max_bytes // 2
        if (self._events or self._controls) and not together:
            self._hand_over(complete=True)
        self._copies = True
        self._events.append(chunk)
        self._controls[chunk.control.key] = chunk.control.value
        self._rows += chunk.rows
        self._size += size
        if not chunk.part and (not chunk.more or self._size > SMALL_COPIES):
            self._hand_over(complete=True)

    def _hand_over(self, *, complete: bool) -> None:
        """Give the batch so far to every subscriber, waiting for room."""
        checkpoint = None
        if complete:
            checkpoint = Checkpoint({self._partition: Mark(self._position)}, self._controls)
        batch = Batch(self._events, checkpoint, self._rows, self._size, self._commit_us)
        controls = self._controls
        self._start_batch()
        if not complete:
            self._controls = controls
        copied = bool(batch.events) and isinstance(batch.events[0], Chunk)
        weight = batch.size + (0 if copied else batch.rows * ROW_OVERHEAD)
        limit = self._max_bytes // (SHARE_OF_COPIES if copied else 1)
        with self._changed:
            self._handed += 1
            while any(each.weight and each.weight + weight > limit for each in self._subscribers):
                self._check()
                self._changed.wait()
            for subscriber in self._subscribers:
                subscriber.waiting.append((self._handed, weight, batch))
                subscriber.weight += weight
            self._check()
            self._changed.notify_all()

    def flush(self) -> None:
        if self._events or self._controls:
            self._hand_over(complete=True)
        with self._changed:
            while any(subscriber.committed < self._handed for subscriber in self._subscribers):
                self._check()
                self._changed.wait()
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise Stopped("the transport was closed")

    def progress(self) -> Mapping[str, bytes]:
        """What all warehouses agree on: a table that one of them lacks is not yet copied."""
        known = [subscriber.controls for subscriber in self._subscribers]
        first, rest = (known[0], known[1:]) if known else ({}, [])
        return {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}

    def fail(self, error: BaseException) -> None:
        """An applier ended with this error: the reader meets it at its next call."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            for subscriber in self._subscribers:
                subscriber.closed = True
            self._changed.notify_all()


class MemorySubscriber:
    """An applier's end. Its fields are guarded by the publisher's condition."""

    def __init__(
        self,
        partition: str,
        changed: threading.Condition,
        fail: Callable[[BaseException], None],
        max_bytes: int = 0,
    ) -> None:
        self._partition = partition
        self._max_bytes = max_bytes
        self._changed = changed
        self.fail = fail
        self.waiting: deque[tuple[int, int, Batch]] = deque()
        self.weight = 0
        self.committed = 0
        self.closed = False
        self.controls: dict[str, bytes] = {}
        self._number = self._weight = 0  # of the batch received last
        self._applied = START

    def fill(self) -> tuple[int, int]:
        """Bytes that wait for the applier or are being applied, and how many may."""
        return self.weight, self._max_bytes

    def seek(self, marks: Mapping[str, Mark]) -> None:
        self._applied = marks.get(self._partition, Mark()).position

    def restore(self, controls: Mapping[str, bytes]) -> None:
        """The warehouse's control records of earlier runs, which the publisher's `progress` gives back."""
        self.controls = dict(controls)

    def receive(self, timeout: float) -> Batch | None:
        with self._changed:
            # whoever asks for the next batch is done with the last one, even if its transaction is still open
            self.weight -= self._weight
            self._weight = 0
            self._changed.notify_all()
            if not self.waiting and not self.closed:
                self._changed.wait(timeout)
            if not self.waiting or self.closed:
                return None
            self._number, self._weight, batch = self.waiting.popleft()
        return self._fresh(batch)

    def _fresh(self, batch: Batch) -> Batch:
        """The batch without what the warehouse has already."""
        if not batch.events or not is_covered(batch.events[0], self._applied):
            return batch
        events = [event for event in batch.events if not is_covered(event, self._applied)]
        rows = sum(isinstance(event, Change) for event in events)
        checkpoint = batch.checkpoint
        if checkpoint is not None and checkpoint.marks[self._partition].position < self._applied:
            checkpoint = Checkpoint({self._partition: Mark(self._applied)}, checkpoint.controls)
        return Batch(events, checkpoint, rows, batch.size, batch.commit_us)

    def commit(self, batch: Batch) -> None:
        if batch.checkpoint is None:
            raise ValueError("a batch that ends inside a transaction cannot be committed")
        with self._changed:
            self.committed = self._number
            self.controls.update(batch.checkpoint.controls)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()
