"""The reader: every event of the stream is published, and the slot is confirmed up to what is durable downstream.

Between two transactions it does jobs *in line*: a job (a chunk of a snapshot, the meeting of a verification) sees the stream
stand still at a commit, and may publish at that point of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from cdc.events import Begin, Change, Commit, Control, Event, Heartbeat, Idle, Truncate
from cdc.interfaces import Publisher
from cdc.lsn import START, Lsn, Position
from cdc.origin import Origin

IDLE_FLUSH = 10.0  # seconds between confirmations of WAL that holds nothing of ours
COSTLY_FLUSH = 900.0  # the same where each costs money
MUCH_WAL = 256 << 20
MANY_XIDS = 50_000


class Source(Protocol):
    """What the reader needs of `cdc.source.stream.Stream`."""

    def __iter__(self) -> Iterator[Event | Idle]: ...
    def confirm(self, lsn: Lsn) -> None: ...
    def wake(self) -> None: ...


class Job(Protocol):
    """Work to be done in line. `due` is asked between two transactions, `step` does a bounded piece of it."""

    def due(self, reader: Reader) -> bool:
        """Is there something to do at this point of the stream?"""

    def step(self, reader: Reader) -> bool:
        """Do a piece; True when the job is done."""


class Skip(Protocol):
    """Changes that a snapshot has already shown, for a table that cannot take them twice."""

    @property
    def concerned(self) -> bool:
        """May it cover any of the transaction that begins now?"""

    def covers(self, event: Change | Truncate) -> bool: ...
    def over(self, position: Position) -> bool: ...


class Reader:
    """One run of the stream, which begins at `start`. `position` is that of the last commit given to the publisher. With
    `patience`, changes wait for company for so many seconds before a flush, unless WAL of `much_wal` bytes is kept for them."""

    def __init__(
        self,
        stream: Source,
        publisher: Publisher,
        *,
        origin: Origin,
        start: Lsn,
        flush_interval: float,
        patience: float = 0.0,
        much_wal: Lsn = MUCH_WAL,
        unseen: set[int] | None = None,
        published: Callable[[Commit], None] = lambda _: None,
        drained: Callable[[Lsn], None] = lambda _: None,
        forget: Callable[[set[int]], None] = lambda _: None,
        flush_copies: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.publisher = publisher
        self.position: Position = START
        self.received: Lsn = start
        """Every transaction whose commit is below has been published, by this run or an earlier one."""
        self.confirmed: Lsn = start
        self.idle = False
        self.seen: Lsn = 0
        """Where the last transaction commits that this run or an earlier one has published."""
        self.xids: set[int] = set() if unseen is None else unseen
        """Transactions published that other sessions may not see yet; `forget` drops those that they do."""
        self.skips: list[Skip] = []
        self._concerned: list[Skip] = []
        self._origin = origin
        self._flush_interval = flush_interval
        self._patience, self._much_wal = patience, much_wal
        self._published = published
        self._drained = drained
        self._forget = forget
        self._flush_copies = flush_copies
        self._clock = clock
        self._jobs: deque[Job] = deque()
        self._inside = self._dirty = False
        self._flushed_at = self._dirty_since = clock()

    def submit(self, job: Job) -> None:
        """Have a job done in line, after those submitted before. May be called by any thread."""
        self._jobs.append(job)
        self.stream.wake()

    def run(self) -> None:
        """Read until the stream ends. Raises what stream, publisher and jobs raise."""
        publish = self.publisher.publish
        for event in self.stream:
            if isinstance(event, Change):
                if not self._concerned or not self._skipped(event):
                    publish(event)
            elif isinstance(event, Idle):
                self._idle(event)
            elif isinstance(event, Commit):
                publish(event)
                self._committed(event)
            elif isinstance(event, Begin):
                self._begin(event)
            elif not (isinstance(event, Truncate) and self._skipped(event)):
                publish(event)

    def finish(self) -> None:
        """The stream has ended: make durable what it gave whole. An open transaction will be streamed again."""
        if not self._inside:
            self.flush()

    def flush(self) -> None:
        """Wait until all that was published is durable, and let the source forget it."""
        if self.xids:
            self._forget(self.xids)
        self.seen = max(self.seen, self.position.commit_lsn)
        self.publisher.publish(self._origin.confirming(self.received, self.xids, self.seen))
        self.publisher.flush()
        self.confirmed = self.received
        self.stream.confirm(self.received)
        self._dirty = False
        self._flushed_at = self._clock()

    def copied(self, *, now: bool = False) -> None:
        """A job has published rows of a copy. Where only a flush makes durable how far it is, there is one now and then."""
        if now or (self._flush_copies and self._clock() - self._flushed_at >= self._flush_interval):
            self.flush()

    def _skipped(self, event: Change | Truncate) -> bool:
        return any(skip.covers(event) for skip in self._concerned)

    def _begin(self, begin: Begin) -> None:
        self.received = max(self.received, begin.commit_lsn)  # commits come in order: all below have been
        if self._jobs:
            self._work()
        self._concerned = [skip for skip in self.skips if skip.concerned]
        self._inside = True
        self.xids.add(begin.xid)
        self.publisher.publish(begin)

    def _committed(self, commit: Commit) -> None:
        self._inside = False
        if not self._dirty and commit.events:
            self._dirty, self._dirty_since = True, self._clock()
        self.position, self.received = commit.position, commit.end_lsn
        if self.skips:
            self.skips = [skip for skip in self.skips if not skip.over(commit.position)]
        self._published(commit)
        if self._dirty and self._is_due(self._flush_interval):
            self.flush()
        elif len(self.xids) > MANY_XIDS:
            self._forget(self.xids)

    def _idle(self, idle: Idle) -> None:
        if self._inside:
            return
        self.received = max(self.received, idle.wal_end)
        if self._is_due(0.0) if self._dirty else self.received > self.confirmed and self._is_due(IDLE_FLUSH):
            self.flush()
        self._drained(self.received)
        self.idle = True
        if self._jobs and self._work():
            self.stream.wake()  # do not wait for the server before the next piece
        self.idle = False

    def _is_due(self, interval: float) -> bool:
        """Has it been so long since the last flush? With patience, what was published waits for company before one."""
        now = self._clock()
        if self._patience and self.received - self.confirmed < self._much_wal:
            if self._dirty:
                return now - self._dirty_since >= self._patience
            interval = max(self._patience, COSTLY_FLUSH)
        return now - self._flushed_at >= interval

    def _work(self) -> bool:
        """Do a piece of each job that is due: a meeting must not miss its place because a copy was first."""
        worked = False
        for job in tuple(self._jobs):
            if job.due(self):
                worked = True
                if job.step(self):
                    self._jobs.remove(job)
        return worked


class Pulse:
    """A job that has a heartbeat published every so many seconds."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._next = 0.0

    def due(self, reader: Reader) -> bool:  # noqa: ARG002
        return self._clock() >= self._next

    def step(self, reader: Reader) -> bool:
        reader.publisher.publish(Heartbeat())
        self._next = self._clock() + self._interval
        return False


class Telling:
    """A job that has appliers elsewhere told when the stream was last known to have given everything (`proved_at`)."""

    def __init__(self, proved_at: Callable[[], float | None], tell: Callable[[float], Control]) -> None:
        self._proved_at = proved_at
        self._tell = tell
        self._told = 0.0

    def due(self, reader: Reader) -> bool:  # noqa: ARG002
        return (self._proved_at() or 0.0) > self._told

    def step(self, reader: Reader) -> bool:
        self._told = self._proved_at() or 0.0
        reader.publisher.publish(self._tell(self._told))
        reader.flush()
        return False


class Finish:
    """A job that ends the stream once `complete()` is true and an LSN is reached."""

    def __init__(self, complete: Callable[[], bool], lsn: Lsn, end: Callable[[], None]) -> None:
        self._complete = complete
        self._lsn = lsn
        self._end = end

    def due(self, reader: Reader) -> bool:
        return self._complete() and reader.received >= self._lsn

    def step(self, reader: Reader) -> bool:
        reader.flush()
        self._end()
        return True
