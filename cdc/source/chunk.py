"""One chunk: read by a worker's thread in a transaction of its own, taken piece by piece by the reader's.

The transaction takes the lock that every SELECT takes, first: from then on the table keeps the shape that the catalog shows.
Then its snapshot is looked at: unless it shows every transaction that the stream has given, nothing is read and the chunk is to
be tried again. Both threads meet at one condition; a worker stands still while enough pieces wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import NamedTuple

from psycopg import sql

from cdc.errors import CdcError, SourceError, Stopped
from cdc.lsn import Lsn, format_lsn
from cdc.progress import Progress
from cdc.schema import Table
from cdc.source.capture import Capture
from cdc.source.chunks import NEXT_LEAF, Part, statement_source
from cdc.source.connect import Connection
from cdc.source.copy_out import Piece, copy_out
from cdc.source.failures import explained
from cdc.source.lanes import Lanes
from cdc.source.lookup import from_clause
from cdc.source.publication import TableName
from cdc.source.slot import read_position
from cdc.source.visibility import Snapshot

PIECE_BYTES = 8 << 20  # a chunk is published in pieces of this size, so wide rows do not fill memory
WAITING = 1  # pieces that may wait for the reader's thread
PARTITIONED = "p"
STATISTICS = """
    select c.relkind, c.reltuples::bigint,
        (c.relpages + coalesce(t.relpages, 0))::bigint * current_setting('block_size')::bigint
    from pg_class c left join pg_class t on t.oid = c.reltoastrelid where c.oid = %s
"""
BEGIN = sql.SQL(
    "set transaction isolation level repeatable read, read only; set local lock_timeout = '1s';"
    " lock table {} in access share mode"
)


class Place(NamedTuple):
    """Where a chunk begins: behind the key `after`, of columns `key`, of a partition (0: the table is none, or nothing was
    read yet)."""

    leaf: int = 0
    after: list[str] | None = None
    key: Sequence[str] = ()

    def is_of(self, key: Sequence[str]) -> bool:
        """Can a table with this key be read from here?"""
        return self.after is None or (len(self.after) == len(key) and list(self.key or key) == list(key))


class Wanted(NamedTuple):
    """What a chunk is to read, of which no worker changes anything. `statement` stands in for the table.

    `untried`: it is not known yet how long rows take, so as many are read as have about so many bytes by the table's statistics,
    but no more than `most`; `rows`, if there are none.
    """

    name: TableName
    progress: Progress
    rows: int
    statement: str = ""
    where: str = ""
    untried: int = 0
    most: int = 0


class Standing(NamedTuple):
    """Where the stream stands still: which transactions a chunk must show, and how far a standby must have replayed.

    At `changed` the threads meet.
    """

    xids: Collection[int]
    replayed: Lsn
    changed: threading.Condition


class Chunk:
    """`read` is called by a worker, everything else by the reader's thread.

    What is found out is set once: `table`, `estimate`, `shown`, `until` before `known`, `next` with it. `next` is where the
    following chunk begins, None after the last one. `anew`: the table was made anew under its name, and read from its start.
    """

    def __init__(self, wanted: Wanted, place: Place, standing: Standing) -> None:
        self.wanted = wanted
        self.known = self.ended = self.unseen = self.anew = False
        self.next: Place | None = None
        self.table: Table | None = None
        self.estimate: int | None = None
        self.rows = wanted.rows
        self.shown: Snapshot | None = None
        self.until: Lsn = 0
        self.seconds = self._waited = 0.0  # of reading, and of waiting for who takes the pieces
        self.error: CdcError | None = None
        self.pieces: deque[Piece] = deque()
        self._place = place
        self._standing = standing
        self._changed = standing.changed
        self._given_up = False

    def give_up(self) -> None:
        """Nobody takes the pieces any more."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def read(self, capture: Capture, lanes: Lanes) -> None:
        """In a worker's thread. What fails is kept for the reader's."""
        try:
            with (
                explained(f"cannot copy table {self.wanted.name}", where=capture.where),
                lanes.lend() as (connection, plain),
            ):
                self._read(capture, connection, plain=plain)
        except CdcError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  a bug of ours, told in the reader's thread
            self.error = SourceError(f"cannot copy table {self.wanted.name}", why=repr(error))
            self.error.__cause__ = error
        finally:
            with self._changed:
                self.known = self.ended = True
                self._changed.notify_all()

    def _read(self, capture: Capture, connection: Connection, *, plain: bool) -> None:
        name, progress = self.wanted.name, self.wanted.progress
        begun = time.monotonic()
        if not self._has_replayed(connection):  # before the snapshot is taken
            self.unseen = True
            return
        with connection.transaction():
            connection.execute(BEGIN.format(sql.Identifier(*name)))
            shown = Snapshot.parse(_one(connection, "select pg_current_snapshot()::text"))
            if not shown.shows_all(self._standing.xids):
                self.unseen = True
                return
            self.shown = shown
            table = capture.catalog(connection).table(*name)
            key = [table.column_names[index] for index in table.key]
            self.anew = not (progress.is_of(table.oid) and self._place.is_of(key))
            place = Place() if self.anew else self._place
            part, leaf = self._part(connection, table, place)
            after = place.after
            if leaf != place.leaf:
                after = None  # the partition is gone that it was in
            bound = part.last_key(connection, after, self.rows) if table.key else None
            self.until = read_position(connection)
            following = None
            if bound is not None:
                following = Place(leaf, bound, key)
            elif leaf and (later := _leaf(connection, table, leaf + 1)):
                following = Place(later[0])
            with self._changed:
                self.table, self.next, self.known = table, following, True
                self._changed.notify_all()
            statement = sql.SQL("copy ({}) to stdout (format csv)").format(part.select(after, bound))
            stopping = self._is_given_up
            with closing(
                copy_out(connection, statement, PIECE_BYTES, plain=plain, stopping=stopping)
            ) as pieces:
                for piece in pieces:
                    self._hand_over(piece)
        self.seconds = time.monotonic() - begun - self._waited

    def _has_replayed(self, connection: Connection) -> bool:
        if not self._standing.replayed:
            return True
        query = "select not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= %s::pg_lsn"
        row = connection.execute(query, [format_lsn(self._standing.replayed)]).fetchone()
        return bool(row and row[0])

    def _part(self, connection: Connection, table: Table, place: Place) -> tuple[Part, int]:
        """What to read from, and the partition's oid if it is one."""
        wanted = self.wanted
        if wanted.statement:
            return Part(table, statement_source(wanted.statement), wanted.where), 0
        relkind, tuples, size = connection.execute(STATISTICS, [table.oid]).fetchone() or ("r", -1, 0)
        self.estimate = tuples if tuples >= 0 else None
        if wanted.untried and tuples > 0 and size > 0:
            self.rows = max(min(wanted.untried * tuples // size, wanted.most), 1)
        if relkind == PARTITIONED and table.key and (leaf := _leaf(connection, table, place.leaf)):
            oid, *name = leaf
            return Part(table, sql.SQL("only {}").format(sql.Identifier(*name)), wanted.where), oid
        return Part(table, from_clause(table, relkind), wanted.where), 0

    def _is_given_up(self) -> bool:
        return self._given_up

    def _hand_over(self, piece: Piece) -> None:
        with self._changed:
            since = time.monotonic()
            while len(self.pieces) >= WAITING and not self._given_up:
                self._changed.wait()
            self._waited += time.monotonic() - since
            if self._given_up:
                raise Stopped("the copy was interrupted")
            self.pieces.append(piece)
            self._changed.notify_all()


def _leaf(connection: Connection, table: Table, at_least: int) -> tuple[int, str, str] | None:
    row = connection.execute(NEXT_LEAF, [table.oid, at_least]).fetchone()
    return (row[0], row[1], row[2]) if row else None


def _one(connection: Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else ""
