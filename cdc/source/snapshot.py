"""Snapshot: copy tables in chunks, in line with the stream, without locks, signals or watermarks.

Chunks are read by workers on side connections while the stream stands still at commit C, and published there. A chunk's SELECT
sees all up to C and perhaps a little more. For a table with a key that more is streamed again later and changes nothing. A
table without a key is read in one transaction, and the streamed transactions that its snapshot has already shown are skipped.

A chunk counts only if its snapshot shows every transaction the stream has given (see `visibility.py`); else it is begun again. A
table that cannot be copied is set aside, and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping

import structlog

from cdc.config import SnapshotSettings
from cdc.errors import CdcError
from cdc.events import Change, Truncate
from cdc.lsn import Lsn, Position
from cdc.progress import Progress
from cdc.reader import Reader
from cdc.source.capture import Capture
from cdc.source.chunk import Chunk
from cdc.source.copy_failures import AGAIN, judge
from cdc.source.copy_observer import CopyObserver
from cdc.source.copying import Copying
from cdc.source.flight import Flight
from cdc.source.pace import Pace
from cdc.source.publication import TableName
from cdc.source.shown import ShownAlready
from cdc.source.visibility import UNSEEN, UNSEEN_STANDBY

log = structlog.get_logger()

RETRY_SECONDS = 0.01  # between two looks for a commit that other sessions do not see yet
PATIENCE = 10.0  # seconds of looking after which a person is told


class SnapshotJob:
    """Copies tables, several chunks at each step (a `cdc.reader.Job`, which stays: a table can be added at any time).

    Changes of tables that it has not begun are left out (it is a `cdc.reader.Skip`, too): their copies will show them.

    `known` is the progress of those that are not to be copied now; of those `left_out`, changes are left out as well.

    Each goes on behind the last chunk of its durable progress. Nothing is copied before the stream has passed `not_before`,
    which is where the warehouses are: what they have applied already they do not apply again, so it must not be taken back
    by an older picture. And none of which nothing is known before `new_after`: the name may have been another's, of which rows
    are still to come, and behind its first chunk nothing would tell them apart.
    """

    def __init__(
        self,
        capture: Capture,
        tables: Mapping[TableName, Progress],
        *,
        settings: SnapshotSettings,
        observer: CopyObserver,
        known: Mapping[TableName, Progress] = {},
        left_out: Collection[TableName] = (),
        not_before: Lsn = 0,
        new_after: Lsn = 0,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._settings = settings
        self._observer = observer
        self._not_before = not_before
        self._clock = clock
        self._pace = Pace(settings, clock)
        self._flight = Flight(capture, settings, stopping, clock)
        self._unseen_since: float | None = None
        self._halted = self._waits = False
        self._todo: dict[TableName, Copying] = {}
        self._unbegun = {str(name) for name in left_out}
        self._known = dict(known)
        self._writers = capture.writers()
        for name, progress in tables.items():
            self.add(name, progress, 0 if progress.oid else new_after)

    def add(self, name: TableName, progress: Progress, after: Lsn = 0) -> None:
        """Copy a table, too, from where its progress says, once the stream has passed `after`. In the reader's thread."""
        self._known[name] = progress
        self._todo[name] = Copying(name, progress, self._settings, max(after, self._not_before))
        if not progress.begun:
            self._writers.add(name)
            if not progress.shadow:
                self._unbegun.add(str(name))

    def progress(self, name: TableName) -> Progress:
        """How far the copy of a table is, as far as this job knows of it."""
        copying = self._todo.get(name)
        return copying.progress if copying else self._known.get(name, Progress())

    def is_at(self, name: TableName) -> bool:
        """Is it being copied, or about to be?"""
        return name in self._todo

    @property
    def concerned(self) -> bool:
        return bool(self._unbegun or self._todo)

    def covers(self, event: Change | Truncate) -> bool:
        name = event.table.full_name
        if name in self._unbegun:
            return True
        if (copying := self._todo.get(TableName(event.table.schema, event.table.name))) is not None:
            copying.fresh = False
        return False

    def over(self, position: Position) -> bool:  # noqa: ARG002
        return False

    @property
    def complete(self) -> bool:
        return not self._todo

    def due(self, reader: Reader) -> bool:
        if not any(copying.may_begin(reader.received) for copying in self._todo.values()):
            return False
        return self._pace.is_due(idle=reader.idle)

    def step(self, reader: Reader) -> bool:
        self._pace.begin()
        try:
            for copying, chunk in self._round(reader):
                self._pace.rows += self._publish(reader, copying, chunk)
        finally:
            self._flight.abandon()
        self._pace.end()
        if not self._todo:
            self._flight.rest()
        reader.copied(now=self._waits)  # for another that did not come
        self._waits = False
        return False

    def close(self) -> None:
        """Let go of the workers and their connections."""
        self._flight.close()

    def _round(self, reader: Reader) -> Iterator[tuple[Copying, Chunk]]:
        """Chunks in the order in which they were begun, until the pause is as long as it may be."""
        flight, pace = self._flight, self._pace
        self._halted = False
        begun = 0
        while True:
            while flight.has_room and not self._halted and (not begun or pace.goes_on(len(flight))):
                copying = self._next(reader.received)
                if copying is None:
                    break
                flight.begin(reader, copying)
                begun += 1
            first = flight.first()
            if first is None:
                time.sleep(0 if begun else RETRY_SECONDS)  # for writers, or for who alters a table
                return
            if flight.wait(first[1], pace.started):
                yield first
                flight.landed()

    def _next(self, received: Lsn) -> Copying | None:
        """The first table of which a chunk can be begun."""
        for copying in self._todo.values():
            if copying.can_begin and copying.may_begin(received) and self._writers.are_over(copying.name):
                return copying
        return None

    def _publish(self, reader: Reader, copying: Copying, chunk: Chunk) -> int:
        """Publish a chunk as it is read; returns how many rows that were."""
        name, before = str(copying.name), copying.progress.rows
        try:
            if chunk.table is not None:
                self._tell_start(copying, chunk)
                final, more = len(self._todo) == 1, self._flight.has_more
                pieces = self._flight.pieces(chunk)
                for event in copying.events(chunk, pieces, reader.position, final=final, more=more):
                    self._unbegun.discard(name)
                    reader.publisher.publish(event)
                    self._observer.copy_moved(name, copying.progress.rows)
                    self._waits = event.more or event.part
            elif chunk.error is not None:
                raise chunk.error
        except CdcError as error:
            if error is not chunk.error:
                raise
            copying.progress.rows = before
            self._failed(copying, chunk, error)
            return 0
        if chunk.unseen:
            self._begin_again(copying, chunk)
            self._wait_to_see(name)
            return 0
        self._unseen_since = None
        if chunk.shown is not None and not self._settings.dsn:
            chunk.shown.forget_shown(reader.xids)
        rows = copying.progress.rows - before
        copying.learn(chunk, rows)
        if copying.progress.done:
            self._finish(reader, copying)
        elif chunk.anew:
            self._begin_again(copying, chunk)
        return rows

    def _finish(self, reader: Reader, copying: Copying) -> None:
        name, progress = str(copying.name), copying.progress
        del self._todo[copying.name]
        self._known[copying.name] = progress
        if progress.shown:
            reader.skips.append(ShownAlready(name, progress))
        self._observer.copy_finished(name, progress.until)

    def _failed(self, copying: Copying, chunk: Chunk, error: CdcError) -> None:
        """Try again later, set the table aside, or raise what concerns all of them."""
        self._begin_again(copying, chunk)
        copying.fresh = False  # of the rows that it gave some may have been published
        verdict = judge(error, copying.name, chosen=bool(chunk.wanted.where or chunk.wanted.statement))
        if verdict is None:
            raise error
        if verdict is AGAIN:
            self._todo[copying.name] = self._todo.pop(copying.name)  # behind the others
            return
        del self._todo[copying.name]
        self._known[copying.name] = copying.progress
        log.error("copy_failed", table=str(copying.name), why=verdict.reason, mend=verdict.mend)
        self._observer.table_refused(str(copying.name), verdict.reason, verdict.mend)

    def _begin_again(self, copying: Copying, chunk: Chunk) -> None:
        self._halted = True
        self._flight.begin_again(copying, chunk)

    def _wait_to_see(self, table: str) -> None:
        """The stream has given a commit that other sessions do not see yet: begin again in a moment."""
        now = self._clock()
        if self._unseen_since is None:
            self._unseen_since = now
        elif now - self._unseen_since > PATIENCE:
            self._unseen_since = now
            log.warning("copy_waits", table=table, why=UNSEEN_STANDBY if self._settings.dsn else UNSEEN)
        time.sleep(RETRY_SECONDS)

    def _tell_start(self, copying: Copying, chunk: Chunk) -> None:
        if not copying.told:
            copying.told = True
            self._observer.copy_started(str(copying.name), chunk.estimate)
            self._observer.copy_moved(str(copying.name), copying.progress.rows)
