"""One table's part of a snapshot: its rows as CSV, published piece by piece at the point of the stream where it stands.

All of it happens in one read-only transaction of a side connection, which the snapshot has opened and checked.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from cdc.events import Chunk
from cdc.interfaces import Publisher
from cdc.lsn import Position
from cdc.progress import Progress, encode_progress
from cdc.schema import Table
from cdc.source.chunks import last_key, select_range
from cdc.source.connect import Connection
from cdc.source.lookup import from_clause
from cdc.source.slot import read_position
from cdc.source.visibility import Snapshot

PIECE_BYTES = 8 << 20  # a chunk is published in pieces of this size, so wide rows do not fill memory


class TableCopy:
    """Publishes rows of `table` and moves its `progress`. `told` hears of each piece, with the rows copied so far.

    `final`: with this table the whole snapshot ends.
    """

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        position: Position,
        table: Table,
        progress: Progress,
        told: Callable[[Table, int], None],
        *,
        final: bool = False,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._position = position
        self._table = table
        self._progress = progress
        self._told = told
        self._final = final
        row = connection.execute("select relkind from pg_class where oid = %s", [table.oid]).fetchone()
        self._source = from_clause(table, row[0] if row else "r")

    def chunk(self, rows: int) -> None:
        """The next `rows` rows in key order. Its pieces may be applied again: they are upserts.

        The first of all empties the target: it may hold rows of an earlier life that the source no longer has.
        """
        after = self._progress.after
        bound = last_key(self._connection, self._table, self._source, after, rows)
        query = select_range(self._table, self._source, after, bound)
        self._progress.until = read_position(self._connection)
        self._publish(query, Progress(done=bound is None, after=bound), first=after is None)

    def whole(self, shown: Snapshot) -> None:
        """All rows at once, replacing what an interrupted copy left: without a key nothing can be upserted."""
        self._progress.rows = 0
        self._progress.until = read_position(self._connection)
        query = select_range(self._table, self._source, None, None)
        self._publish(query, Progress(done=True, shown=str(shown)), first=True)

    def _publish(self, query: sql.Composable, ended: Progress, *, first: bool) -> None:
        """Publish the rows of the query. Only the last piece moves the durable progress, to `ended`."""
        table, progress = self._table, self._progress
        unmoved = encode_progress(table.full_name, progress)

        def publish(parts: list[bytes], *, last: bool) -> None:
            nonlocal first
            progress.rows += len(parts)
            self._told(table, progress.rows)
            control = unmoved
            if last:
                progress.done, progress.after, progress.shown = ended.done, ended.after, ended.shown
                control = encode_progress(table.full_name, progress)
            self._publisher.publish(
                Chunk(
                    table, b"".join(parts), len(parts), self._position, control,
                    first=first, last=last and ended.done, final=self._final and last and ended.done,
                )
            )  # fmt: skip
            first = False

        parts: list[bytes] = []
        size = 0
        statement = sql.SQL("copy ({}) to stdout (format csv)").format(query)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for data in copy:  # PostgreSQL sends a message for each row
                parts.append(bytes(data))
                size += len(data)
                if size >= PIECE_BYTES:
                    publish(parts, last=False)
                    parts, size = [], 0
        publish(parts, last=True)
