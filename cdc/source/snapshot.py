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

import msgspec
import psycopg
from psycopg import sql

from cdc.errors import SourceError
from cdc.events import Change, Chunk, Control, Truncate
from cdc.lsn import Lsn, Position, parse_lsn
from cdc.reader import Reader
from cdc.schema import Table
from cdc.source.capture import Capture
from cdc.source.chunks import last_key, select_range
from cdc.source.connect import Connection
from cdc.source.failures import explained
from cdc.source.lookup import from_clause
from cdc.source.visibility import Snapshot

PIECE_BYTES = 8 << 20  # a chunk is published in pieces of this size, so wide rows do not fill memory
CONTROL_PREFIX = "snapshot:"


class Progress(msgspec.Struct, kw_only=True):
    """How far one table's copy is: durable as a control record named `snapshot:<schema>.<table>`.

    `after`: text of the last key copied. For a table without key, `shown` and `until` say which streamed transactions its
    copy already holds: those that the snapshot `shown` shows, up to commit LSN `until`.
    """

    done: bool = False
    after: list[str] | None = None
    rows: int = 0
    shown: str = ""
    until: Lsn = 0


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

    `progress` holds the durable control records of earlier runs: tables
    that are done are left alone, one that was begun goes on behind its last chunk.
    """

    def __init__(
        self,
        capture: Capture,
        tables: list[tuple[str, str]],
        progress: Mapping[str, bytes],
        *,
        chunk_rows: int,
        observer: CopyObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capture = capture
        self._connection: Connection | None = None
        self._chunk_rows = chunk_rows
        self._observer = observer
        self._clock = clock
        self._rest_until = 0.0
        self._begun = ""
        self._todo: list[tuple[str, str]] = []
        self._progress: dict[str, Progress] = {}
        for schema, name in tables:
            known = decode_progress(progress, f"{schema}.{name}")
            if not known.done:
                self._todo.append((schema, name))
                self._progress[f"{schema}.{name}"] = known

    @property
    def complete(self) -> bool:
        return not self._todo

    def due(self, reader: Reader) -> bool:
        """Between two chunks a busy stream has as long as the last one took, so that lag stays bounded."""
        return reader.idle or self._clock() >= self._rest_until

    def step(self, reader: Reader) -> bool:
        started = self._clock()
        if self._todo and self._copy(reader, *self._todo[0]):
            self._todo.pop(0)
        if not self._todo:
            self.close()
        self._rest_until = 2 * self._clock() - started
        return not self._todo

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _copy(self, reader: Reader, schema: str, name: str) -> bool:
        """Copy a chunk; True when the table is complete (or gone)."""
        full_name = f"{schema}.{name}"
        progress = self._progress[full_name]
        connection = self._connection = self._connection or self._capture.connect()
        try:
            with (
                explained(f"cannot copy table {full_name}", where=self._capture.where),
                connection.transaction(),
            ):
                connection.execute("set transaction isolation level repeatable read, read only")
                # the lock every SELECT takes, taken first: after it, the table keeps the shape that the catalog shows
                lock = sql.SQL("lock table {} in access share mode").format(sql.Identifier(schema, name))
                connection.execute(lock)
                shown = Snapshot.parse(_one(connection, "select pg_current_snapshot()::text"))
                if not shown.shows_all(reader.xids):
                    time.sleep(0.01)  # a commit that other sessions do not see yet: begin again
                    return False
                shown.forget_old(reader.xids)
                table = self._capture.catalog(connection).table(schema, name)
                self._begin(connection, table, progress)
                if table.key:
                    self._copy_chunk(connection, reader, table, progress)
                else:
                    self._copy_whole(connection, reader, table, progress, shown)
        except SourceError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return False  # somebody alters the table: look again after some streaming
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                self._observer.table_gone(full_name, "the table was dropped while it was copied")
                return True
            raise
        if progress.done:
            self._observer.copy_finished(full_name, progress.until)
        return progress.done

    def _begin(self, connection: Connection, table: Table, progress: Progress) -> None:
        if self._begun != table.full_name:
            self._begun = table.full_name
            rows = _one(connection, "select reltuples::bigint from pg_class where oid = %s", table.oid)
            self._observer.copy_started(table.full_name, rows if rows >= 0 else None)
            self._observer.copy_moved(table.full_name, progress.rows)

    def _copy_chunk(self, connection: Connection, reader: Reader, table: Table, progress: Progress) -> None:
        """The next `chunk_rows` rows in key order. Its pieces may be applied again: they are upserts.

        The first of all empties the target: it may hold rows of an earlier life that the source no longer has.
        """
        first = progress.after is None
        source = _from(connection, table)
        bound = last_key(connection, table, source, progress.after, self._chunk_rows)
        query = select_range(table, source, progress.after, bound)
        ended = Progress(done=bound is None, after=bound, until=_wal_lsn(connection) if bound is None else 0)
        self._publish(connection, reader, table, query, progress, ended, first=first)

    def _copy_whole(
        self,
        connection: Connection,
        reader: Reader,
        table: Table,
        progress: Progress,
        shown: Snapshot,
    ) -> None:
        """All rows at once, replacing what an interrupted copy left: without a key nothing can be upserted."""
        progress.rows = 0
        query = select_range(table, _from(connection, table), None, None)
        ended = Progress(done=True, shown=str(shown), until=_wal_lsn(connection))
        self._publish(connection, reader, table, query, progress, ended, first=True)
        reader.skips.append(ShownAlready(table.full_name, progress))

    def _publish(
        self,
        connection: Connection,
        reader: Reader,
        table: Table,
        query: sql.Composable,
        progress: Progress,
        ended: Progress,
        *,
        first: bool,
    ) -> None:
        """Publish the rows of the query piece by piece. Only the last piece moves the durable progress."""
        unmoved = _control(table, progress)

        def publish(parts: list[bytes], *, last: bool) -> None:
            nonlocal first
            progress.rows += len(parts)
            control = unmoved
            if last:
                progress.done, progress.after = ended.done, ended.after
                progress.shown, progress.until = ended.shown, ended.until
                control = _control(table, progress)
            reader.publisher.publish(
                Chunk(
                    table, b"".join(parts), len(parts), reader.position, control,
                    first=first, last=last and ended.done,
                )
            )  # fmt: skip
            first = False
            self._observer.copy_moved(table.full_name, progress.rows)

        parts: list[bytes] = []
        size = 0
        statement = sql.SQL("copy ({}) to stdout (format csv)").format(query)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for data in copy:  # PostgreSQL sends a message for each row
                parts.append(bytes(data))
                size += len(data)
                if size >= PIECE_BYTES:
                    publish(parts, last=False)
                    parts, size = [], 0
        publish(parts, last=True)


def decode_progress(controls: Mapping[str, bytes], table: str) -> Progress:
    """The progress of a table among the control records; a fresh one if there is none."""
    value = controls.get(CONTROL_PREFIX + table)
    return msgspec.json.decode(value, type=Progress) if value else Progress()


def _control(table: Table, progress: Progress) -> Control:
    return Control(CONTROL_PREFIX + table.full_name, msgspec.json.encode(progress))


def _one(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None


def _from(connection: Connection, table: Table) -> sql.Composable:
    return from_clause(table, _one(connection, "select relkind from pg_class where oid = %s", table.oid))


def _wal_lsn(connection: Connection) -> Lsn:
    """Every transaction that a snapshot taken before shows has its commit below this LSN."""
    return parse_lsn(_one(connection, "select pg_current_wal_insert_lsn()::text"))
