"""Snapshot: copy tables in chunks, in line with the stream, without locks, signals or watermarks.

A chunk is read on a side connection while the stream stands still at commit C, and published there. Its SELECT sees all up to
C and perhaps a little more. For a table with a key that more is streamed again later and changes nothing. A table without a
key is read in one transaction, and the streamed transactions that its snapshot has already shown are skipped for it.

A chunk counts only if its snapshot shows every transaction the stream has given (see `visibility.py`); else it is begun again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import structlog
from psycopg import sql

from cdc.errors import SourceError, Stopped
from cdc.events import Change, Truncate
from cdc.lsn import Lsn, Position
from cdc.progress import Progress
from cdc.reader import Reader
from cdc.schema import Table
from cdc.source.capture import Capture
from cdc.source.connect import Connection
from cdc.source.failures import explained
from cdc.source.publication import TableName
from cdc.source.table_copy import TableCopy
from cdc.source.visibility import Snapshot

log = structlog.get_logger()

RETRY_SECONDS = 0.01  # between two looks for a commit that other sessions do not see yet
PATIENCE = 10.0  # seconds of looking after which a person is told


class CopyObserver:
    """Is told how a copy goes; override what matters."""

    def copy_started(self, table: str, estimate: int | None) -> None: ...
    def copy_moved(self, table: str, rows: int) -> None: ...
    def copy_finished(self, table: str, until: Lsn) -> None: ...
    def table_gone(self, table: str, reason: str) -> None: ...


class ShownAlready:
    """Skips the changes of a table without key that its copy has seen (a `cdc.reader.Skip`)."""

    def __init__(self, table: str, progress: Progress) -> None:
        self._table = table
        self._shown = Snapshot.parse(progress.shown)
        self._until = progress.until

    def covers(self, event: Change | Truncate) -> bool:
        return (
            event.table.full_name == self._table
            and event.begin.commit_lsn < self._until
            and self._shown.shows(event.begin.xid)
        )

    def over(self, position: Position) -> bool:
        return position.commit_lsn >= self._until


class SnapshotJob:
    """Copies the given tables one after the other, a chunk at each step (a `cdc.reader.Job`).

    Changes of tables that it has not begun are left out (it is a `cdc.reader.Skip`, too): their copies will show them.

    Each goes on behind the last chunk of its durable progress. Nothing is copied before the stream has passed `not_before`,
    which is where the warehouses are: what they have applied already they do not apply again, so it must not be taken back
    by an older picture.
    """

    def __init__(
        self,
        capture: Capture,
        tables: Mapping[TableName, Progress],
        *,
        chunk_rows: int,
        observer: CopyObserver,
        not_before: Lsn = 0,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._not_before = not_before
        self._stopping = stopping
        self._connection: Connection | None = None
        self._chunk_rows = chunk_rows
        self._observer = observer
        self._clock = clock
        self._rest_until = 0.0
        self._unseen_since: float | None = None
        self._begun = ""
        self._progress = dict(tables)
        self._todo = list(tables)
        self._unbegun = {str(name) for name, progress in tables.items() if progress.after is None}

    def covers(self, event: Change | Truncate) -> bool:
        return event.table.full_name in self._unbegun

    def over(self, position: Position) -> bool:  # noqa: ARG002
        return not self._unbegun

    @property
    def complete(self) -> bool:
        return not self._todo

    def due(self, reader: Reader) -> bool:
        """Between two chunks a busy stream has as long as the last one took, so that lag stays bounded."""
        if self._todo and self._not_before and reader.received <= self._not_before:
            return False
        return reader.idle or self._clock() >= self._rest_until

    def step(self, reader: Reader) -> bool:
        started = self._clock()
        if self._todo and self._copy(reader, self._todo[0]):
            self._todo.pop(0)
        if not self._todo:
            self.close()
        self._rest_until = 2 * self._clock() - started
        return not self._todo

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _copy(self, reader: Reader, name: TableName) -> bool:
        """Copy a chunk; True when the table is complete (or gone)."""
        full_name = str(name)
        progress = self._progress[name]
        connection = self._connection = self._connection or self._capture.connect()
        try:
            with (
                explained(f"cannot copy table {full_name}", where=self._capture.where),
                connection.transaction(),
            ):
                connection.execute("set transaction isolation level repeatable read, read only")
                # the lock every SELECT takes, taken first: after it, the table keeps the shape that the catalog shows
                lock = sql.SQL("lock table {} in access share mode").format(sql.Identifier(*name))
                connection.execute(lock)
                shown = Snapshot.parse(_one(connection, "select pg_current_snapshot()::text"))
                if not shown.shows_all(reader.xids):
                    self._wait_to_see(full_name)
                    return False
                self._unseen_since = None
                shown.forget_shown(reader.xids)
                table = self._capture.catalog(connection).table(*name)
                if not progress.is_of(table.oid):
                    progress = self._progress[name] = Progress()  # it was made anew under its name
                progress.oid = table.oid
                self._begin(connection, table, progress)
                where = (connection, reader.publisher, reader.position)
                copy = TableCopy(*where, table, progress, self._told, final=len(self._todo) == 1)
                if table.key:
                    copy.chunk(self._chunk_rows)
                else:
                    copy.whole(shown)
                    reader.skips.append(ShownAlready(full_name, progress))
                self._unbegun.discard(full_name)
        except SourceError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return False  # somebody alters the table: look again after some streaming
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
                self._observer.table_gone(full_name, "the table was dropped while it was copied")
                return True
            raise
        if progress.done:
            self._observer.copy_finished(full_name, progress.until)
        return progress.done

    def _told(self, table: Table, rows: int) -> None:
        """A piece is about to be published."""
        if self._stopping():
            raise Stopped(f"the copy of {table.full_name} was interrupted")
        self._observer.copy_moved(table.full_name, rows)

    def _wait_to_see(self, table: str) -> None:
        """The stream has given a commit that other sessions do not see yet: begin again in a moment."""
        now = self._clock()
        if self._unseen_since is None:
            self._unseen_since = now
        elif now - self._unseen_since > PATIENCE:
            self._unseen_since = now
            log.warning(
                "copy_waits",
                table=table,
                why="a committed transaction is not visible to other sessions yet: it waits for a synchronous standby",
            )
        time.sleep(RETRY_SECONDS)

    def _begin(self, connection: Connection, table: Table, progress: Progress) -> None:
        if self._begun != table.full_name:
            self._begun = table.full_name
            rows = _one(connection, "select reltuples::bigint from pg_class where oid = %s", table.oid)
            self._observer.copy_started(table.full_name, rows if rows >= 0 else None)
            self._observer.copy_moved(table.full_name, progress.rows)


def _one(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None
