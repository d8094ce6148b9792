"""The book: what the running line notes about itself, for `status()`. Any thread writes, any thread reads.

Notes are made per transaction and per batch, never per row.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from cdc import __version__
from cdc.config import MEMORY, Config
from cdc.events import DELETE, INSERT, TRUNCATE, UPDATE, Commit
from cdc.interfaces import Batch, Checkpoint
from cdc.lag import Proof, is_fresh
from cdc.lsn import Lsn, Position, format_lsn
from cdc.merge import Merge
from cdc.notes import Notes
from cdc.pen import Pen, Received
from cdc.source.copy_observer import CopyObserver
from cdc.status import SourceStatus, Status, TableStatus
from cdc.tables import TableEvent, advance

log = structlog.get_logger()


class Book(CopyObserver, Notes):
    """Collects facts about one daemon over all its attempts."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        Notes.__init__(self, clock)
        self._tables: dict[str, TableStatus] = {}
        self.ahead: dict[str, Lsn] = {}
        """Tables whose copies show more than the stream has given, and up to where."""
        self._dead_letters: Counter[tuple[str, str]] = Counter()  # per warehouse and table
        self._warehouses = {name: Pen(name, settings) for name, settings in config.warehouses.items()}
        self.received = Received(in_order=config.transport.kind == MEMORY)
        """How far the reader has come."""
        self._proof = Proof()
        self.moved: dict[str, float] = {}
        """When each loop last went round, by name."""
        self.queues: dict[str, Callable[[], tuple[int, int]]] = {}
        """Per warehouse: bytes on their way to it, and their limit."""
        self.source = SourceStatus(
            slot=config.source.slot, publication=config.source.publication, plugin=config.source.plugin
        )
        self.state, self.error = "starting", ""
        self.started: float | None = None

    # what happens

    def failed(self, error: BaseException | str) -> None:
        self.state = "failed"
        self._erred(error)

    def retrying(self, error: BaseException | str) -> None:
        self.state = "retrying"
        self.meters.retries.inc()
        self._erred(error)

    def paused(self) -> None:
        self.state, self.error = "paused", ""
        self._break_off()

    def _erred(self, error: BaseException | str) -> None:
        self.error = str(error)
        self.meters.errors.labels(type(error).__name__).inc()
        self.note("error", self.error)
        self._break_off()

    def _break_off(self) -> None:
        with self._lock:
            self._proof.forget()
            self.received.proved_at = None

    def dead_lettered(self, warehouse: str, table: str, reason: str, rows: int = 1) -> None:
        """Rows or records were set aside instead of being applied."""
        self._dead_letters[warehouse, table] += rows
        self.meters.dead_letters.labels(warehouse, table).inc(rows)
        self._warehouses[warehouse].status.dead_letters += rows
        self.note("dead_letter", reason, table=table, warehouse=warehouse)

    def dead_letters_answered(self, warehouse: str, table: str, rows: int) -> None:
        """A copy of the table begins, so rows that were left out come again."""
        self._dead_letters[warehouse, table] -= (gone := min(rows, self._dead_letters[warehouse, table]))
        self._warehouses[warehouse].status.dead_letters -= gone

    def dead_letters_are(self, warehouse: str, left_out: Mapping[str, int]) -> None:
        """What the target remembers, at the start of an attempt; what is more was taken back with the last one."""
        for table in {*left_out, *(each for of, each in [*self._dead_letters] if of == warehouse)}:
            unknown = left_out.get(table, 0) - self._dead_letters[warehouse, table]
            self.dead_letters_answered(warehouse, table, -min(unknown, 0))
            if unknown > 0:
                self.dead_lettered(warehouse, table, "left out by earlier runs", unknown)

    def streaming(self, server: str, timeline: int | None = None) -> None:
        self.state, self.error = "streaming", ""
        self.source.server, self.source.timeline = server, timeline
        self.received.drained = False

    # the source

    def asked(self, at: float, lsn: Lsn) -> None:
        """The source was at `lsn` when it was asked, at `at` (see `cdc.lag.Proof`)."""
        with self._lock:
            self._proof.asked(at, lsn)

    def published(self, commit: Commit) -> None:
        """The reader has given a transaction to the transport."""
        begin, received = commit.begin, self.received
        received.commit_us, received.lsn, received.drained = begin.commit_us, begin.commit_lsn, False
        self.moved["reader"] = self._clock()
        if self.ahead:
            self._caught_up(commit.position)

    def _caught_up(self, position: Position) -> None:
        with self._lock:
            for name in [name for name, until in self.ahead.items() if position.commit_lsn >= until]:
                del self.ahead[name]
                self._tables[name].state = advance(self._tables[name].state, "caught_up")

    @property
    def drained_now(self) -> bool:
        """Is there nothing more that the stream could give, as far as is proved?"""
        return self.received.drained and is_fresh(self._clock(), self.received.proved_at)

    def drained(self, received: Lsn) -> None:
        """Everything up to `received` has been given by the stream, and nothing is waiting."""
        self.moved["reader"] = self._clock()
        with self._lock:
            self._proof.reached(received)
            self.received.proved_at, self.received.drained = self._proof.at, True
            for pen in self._warehouses.values():
                pen.drained(self.received)
        if self.ahead:
            self._caught_up(Position(received, 0))

    # tables

    def captured(self, name: str, *, copied: bool, rows: int) -> None:
        """A table of the publication, at the start of an attempt."""
        with self._lock:
            table = self._tables.setdefault(name, TableStatus(name=name, state="new", rows_copied=rows))
            if copied and table.state in ("new", "copying"):
                table.state = "live"

    def copy_started(self, table: str, estimate: int | None) -> None:
        with self._lock:
            self._turned(table, "copy_started").rows_estimated = estimate

    def copy_moved(self, table: str, rows: int) -> None:
        self._tables[table].rows_copied = rows

    def copy_finished(self, table: str, until: Lsn) -> None:
        with self._lock:
            self._tables[table].state = advance(self._tables[table].state, "copy_finished")
            self.ahead[table] = until

    def copied_again(self, table: str) -> None:
        """A table is to be copied anew."""
        with self._lock:
            self._turned(table, "resync")

    def _turned(self, table: str, event: TableEvent, reason: str = "", mend: str = "") -> TableStatus:
        """Something else begins with a table: what it was to catch up with is no matter now."""
        status = self._tables.setdefault(table, TableStatus(name=table, state="new"))
        status.state = advance(status.state, event)
        status.reason, status.mend = reason, mend
        self.ahead.pop(table, None)
        return status

    def table_refused(self, table: str, reason: str, mend: str) -> None:
        with self._lock:
            self._turned(table, "refused", reason, mend)
        self.note("parked", reason, table=table)

    # warehouses

    def target(self, name: str, description: str, state: Checkpoint) -> None:
        """What an applier starts from."""
        pen = self._warehouses[name]
        pen.status.target = description
        if state.marks:
            pen.starts_from(max(mark.position.commit_lsn for mark in state.marks.values()))

    def applied(self, name: str) -> Callable[[Batch, Sequence[Merge]], None]:
        """The applier's note for the warehouse `name`, to be called after each batch."""
        pen = self._warehouses[name]
        first = name == next(iter(self._warehouses))
        batch_rows, batch_bytes = self.meters.batch_rows.labels(name), self.meters.batch_bytes.labels(name)
        end_to_end = self.meters.end_to_end.labels(name)

        def note(batch: Batch, merges: Sequence[Merge]) -> None:
            now = self._clock()
            batch_rows.observe(batch.rows)
            batch_bytes.observe(batch.size)
            if batch.checkpoint is not None and batch.commit_us:
                end_to_end.observe(max(now - batch.commit_us / 1e6, 0.0))
            log.debug("batch", warehouse=name, rows=batch.rows, bytes=batch.size, tables=len(merges))
            with self._lock:
                pen.applied(batch, merges, now)
                for merge in merges if first else ():
                    if merge.counts:  # it is not of dead letters
                        self._count(merge)

        return note

    def _count(self, merge: Merge) -> None:
        name, state = merge.source.full_name, "new" if self.source.server else "live"  # till a reader tells
        table = self._tables.setdefault(name, TableStatus(name=name, state=state))
        table.inserts += merge.counts.get(INSERT, 0)
        table.updates += merge.counts.get(UPDATE, 0)
        table.deletes += merge.counts.get(DELETE, 0)
        table.truncates += merge.counts.get(TRUNCATE, 0)

    # the whole

    def status(self, state: str | None = None) -> Status:
        """A copy of everything, as of now."""
        now = self._clock()
        with self._lock:
            tables = [msgspec.structs.replace(self._tables[name]) for name in sorted(self._tables)]
            states = {table.name: table.state for table in tables}
            found = Status(
                version=__version__,
                state=state or self.state,
                started=self.started,
                source=msgspec.structs.replace(
                    self.source,
                    received_lsn=format_lsn(self.received.lsn) if self.received.lsn else None,
                    proved_at=self.received.proved_at,
                ),
                tables=tables,
                warehouses=[pen.as_of(now, self.received, states) for pen in self._warehouses.values()],
                notes=self.last_notes(),
                error=self.error,
                pid=os.getpid(),
            )
        for each in found.warehouses:
            if fill := self.queues.get(each.name):
                each.queue_bytes, each.queue_limit_bytes = fill()
        return found
