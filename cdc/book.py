"""The book: what the running line notes about itself, for `status()`. Any thread writes, any thread reads.

Notes are made per transaction and per batch, never per row.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from cdc import __version__
from cdc.config import Config
from cdc.events import DELETE, INSERT, TRUNCATE, UPDATE, Commit
from cdc.fold import Merge
from cdc.interfaces import Batch, Checkpoint
from cdc.lag import LagWindow, behind_seconds
from cdc.lsn import Lsn, Position, format_lsn
from cdc.source.snapshot import CopyObserver
from cdc.status import SourceStatus, Status, TableStatus, WarehouseStatus
from cdc.tables import advance


class Book(CopyObserver):
    """Collects facts about one daemon over all its attempts."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._tables: dict[str, TableStatus] = {}
        self._until: dict[str, Lsn] = {}
        self._warehouses = {name: _Pen(name, settings.kind) for name, settings in config.warehouses.items()}
        self._published_us = 0
        self.published_lsn: Lsn = 0
        self._drained = False
        self.source = SourceStatus(
            slot=config.source.slot, publication=config.source.publication, plugin=config.source.plugin
        )
        self.state = "starting"
        self.error = ""
        self.started: float | None = None

    def failed(self, error: str) -> None:
        self.state, self.error = "failed", error

    def retrying(self, error: str) -> None:
        self.state, self.error = "retrying", error

    def streaming(self, server: str) -> None:
        self.state, self.error = "streaming", ""
        self._drained = False
        self.source.server = server

    # the source

    def published(self, commit: Commit) -> None:
        """The reader has given a transaction to the transport."""
        self._drained = False
        self._published_us = commit.begin.commit_us
        self.published_lsn = commit.begin.commit_lsn
        if self._until:
            self._caught_up(commit.position)

    def _caught_up(self, position: Position) -> None:
        with self._lock:
            for name in [name for name, until in self._until.items() if position.commit_lsn >= until]:
                del self._until[name]
                self._tables[name].state = advance(self._tables[name].state, "caught_up")

    @property
    def drained_now(self) -> bool:
        """Is there nothing more that the stream could give?"""
        return self._drained

    def drained(self, received: Lsn) -> None:
        """Everything up to `received` has been given by the stream, and nothing is waiting."""
        self._drained = True
        if self._until:
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
            status = self._tables.setdefault(table, TableStatus(name=table, state="new"))
            status.state = advance(status.state, "copy_started")
            status.rows_estimated = estimate

    def copy_moved(self, table: str, rows: int) -> None:
        self._tables[table].rows_copied = rows

    def copy_finished(self, table: str, until: Lsn) -> None:
        with self._lock:
            self._tables[table].state = advance(self._tables[table].state, "copy_finished")
            self._until[table] = until

    def table_refused(self, table: str, reason: str, mend: str) -> None:
        with self._lock:
            status = self._tables[table]
            status.state = advance(status.state, "refused")
            status.reason = reason
            status.mend = mend

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

        def note(batch: Batch, merges: Sequence[Merge]) -> None:
            now = self._clock()
            with self._lock:
                pen.applied(batch, merges, now)
                if first:
                    for merge in merges:
                        self._count(merge)

        return note

    def _count(self, merge: Merge) -> None:
        table = self._tables.setdefault(
            merge.source.full_name, TableStatus(name=merge.source.full_name, state="live")
        )
        table.inserts += merge.counts.get(INSERT, 0)
        table.updates += merge.counts.get(UPDATE, 0)
        table.deletes += merge.counts.get(DELETE, 0)
        table.truncates += merge.counts.get(TRUNCATE, 0)

    # the whole

    def status(self, state: str | None = None) -> Status:
        """A copy of everything, as of now."""
        now = self._clock()
        with self._lock:
            return Status(
                version=__version__,
                state=state or self.state,
                started=self.started,
                source=msgspec.structs.replace(
                    self.source, received_lsn=format_lsn(self.published_lsn) if self.published_lsn else None
                ),
                tables=[msgspec.structs.replace(self._tables[name]) for name in sorted(self._tables)],
                warehouses=[
                    pen.as_of(now, self._published_us, self.published_lsn, drained=self._drained)
                    for pen in self._warehouses.values()
                ],
                error=self.error,
                pid=os.getpid(),
            )


class _Pen:
    """Notes about one warehouse."""

    def __init__(self, name: str, kind: str) -> None:
        self.status = WarehouseStatus(name=name, kind=kind)
        self._window = LagWindow()
        self._applied_us = 0
        self._applied_lsn: Lsn = 0

    def starts_from(self, lsn: Lsn) -> None:
        self._applied_lsn = max(self._applied_lsn, lsn)
        self.status.applied_lsn = format_lsn(self._applied_lsn)

    def applied(self, batch: Batch, merges: Sequence[Merge], now: float) -> None:
        status = self.status
        rows = sum(sum(merge.counts.values()) for merge in merges)
        status.rows_applied += rows
        if batch.checkpoint is None:
            return
        (mark,) = batch.checkpoint.marks.values()
        self._applied_lsn = max(
            self._applied_lsn, mark.position.commit_lsn
        )  # a copy may come before any commit
        status.applied_lsn = format_lsn(self._applied_lsn)
        lag = 0.0
        if batch.commit_us:
            self._applied_us = batch.commit_us
            status.applied_commit_time = batch.commit_us / 1e6
            lag = now - batch.commit_us / 1e6
        self._window.add(now, lag, rows if batch.commit_us else 0)

    def as_of(self, now: float, published_us: int, published_lsn: Lsn, *, drained: bool) -> WarehouseStatus:
        window = self._window
        drained = drained and self._applied_lsn >= published_lsn
        return msgspec.structs.replace(
            self.status,
            behind_seconds=behind_seconds(now, published_us, self._applied_us, drained=drained),
            rows_per_second=round(window.rows_per_second(now), 1),
            lag_p50=window.percentile(now, 0.50),
            lag_p95=window.percentile(now, 0.95),
            lag_p99=window.percentile(now, 0.99),
        )
