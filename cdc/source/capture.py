"""The source's side of a line: which tables, through which publication and slot, and what is opened for it.

One side connection serves the catalog and small questions, in the reader's thread; whoever works in another thread gets one
of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import msgspec

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError, SourceUnavailable
from cdc.events import Row
from cdc.fold import Key
from cdc.interfaces import Lookup
from cdc.lsn import Lsn
from cdc.origin import Origin, Whereabouts
from cdc.reshape import Made
from cdc.schema import Table
from cdc.source import connect
from cdc.source.catalog import PARTITIONED, Catalog, is_captured
from cdc.source.connect import Connection, Side
from cdc.source.lookup import select_rows
from cdc.source.messages import RelationMessage, TypeMessage
from cdc.source.plugins import plugin
from cdc.source.publication import TableName
from cdc.source.shape_watch import read_made
from cdc.source.slot import SlotInfo, drop_slot, ensure_publication, ensure_slot, read_identity, read_position
from cdc.source.stream import Stream
from cdc.source.timeline import read_whereabouts
from cdc.source.visibility import Snapshot
from cdc.source.writers import Writers
from cdc.tables import TableFacts

SNAPSHOT = "select pg_current_snapshot()::text"
SEEN_WITHIN = 10.0  # seconds to wait for a commit that other sessions do not see yet
RETRY_SECONDS = 0.01


class Capture:
    """What one line captures. `ensure` comes first; then `tables` and `origin` are known."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._side = Side(settings)
        self.where = connect.where(settings)
        self.tables: list[TableName] = []
        self.oids: dict[TableName, int] = {}
        self.unseen: set[int] = set()
        """Transactions that the stream has given and other sessions may not see yet; the reader's."""
        self.origin = Origin(0, "", settings.slot)
        self.here = Whereabouts(0, 0)
        self.described: Callable[[Table], Table] = lambda table: table
        """Is told of each shape in the stream."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._side.close()

    def ensure(self) -> SlotInfo:
        """Have publication and slot. The slot is made last: what is committed from then on is streamed."""
        return self._side.run("cannot prepare the source", self._ensure)

    def _ensure(self, connection: Connection) -> SlotInfo:
        settings = self._settings
        candidates = self.catalog(connection).candidates(settings)
        self.oids = {each.table: each.oid for each in candidates if not each.reason_not}
        self.tables = list(self.oids)
        if not self.tables:
            raise ConfigError(
                "there is no table to capture",
                where=self.where,
                why=f"none is named by [source] tables = {settings.tables}",
                hint="`cdc check` lists what is there",
            )
        if settings.plugin == "pgoutput":
            ensure_publication(connection, settings, self.tables)
        else:
            self._refuse_unstreamed(connection)
        slot = ensure_slot(connection, settings)
        identity = read_identity(connection, settings.slot)
        self.here = read_whereabouts(settings)
        self.origin = Origin(identity.system_identifier, identity.database, settings.slot, self.here.timeline)
        return slot

    def renew(self) -> SlotInfo:
        """Drop a slot that is of no use any more, and have another."""
        self._side.run(
            "cannot drop the slot",
            lambda connection: drop_slot(connection, self._settings, publication=False),
        )
        return msgspec.structs.replace(self.ensure(), created=True)

    def discover(self) -> list[TableName]:
        """Tables that the settings name and that were not there before, or were made anew; forgets those that are gone."""
        found = self._side.run(
            "cannot look for tables", lambda connection: self.catalog(connection).candidates(self._settings)
        )
        now = {each.table: each.oid for each in found if not each.reason_not}
        for gone in [table for table in self.oids if table not in now]:
            del self.oids[gone]
        return [table for table, oid in now.items() if self.oids.get(table) != oid]

    def include(self, table: TableName) -> None:
        """Have the changes of a table streamed, which is to be copied from then on. Raises SourceError."""
        self._side.run(f"cannot capture table {table}", lambda connection: self._include(connection, table))

    def _include(self, connection: Connection, table: TableName) -> None:
        if self._settings.plugin != "pgoutput":
            why = "wal2json is told at the start which tables to stream"
            raise SourceError(f"table {table} is new", why=why, hint="restart cdc")
        ensure_publication(connection, self._settings, [table], wait=False)
        row = connection.execute("select to_regclass(%s)::oid::bigint", [table.quoted]).fetchone()
        if row and row[0] is not None:
            self.oids[table] = row[0]

    def _refuse_unstreamed(self, connection: Connection) -> None:
        """wal2json leaves out what it cannot tell, with a line in the server's log: that would be lost in silence."""
        for table in self.tables:
            facts = self.catalog(connection).facts(table)
            if facts is not None and facts.relkind == PARTITIONED:
                why, mend = "wal2json streams partitions, not their root", 'set [source] plugin = "pgoutput"'
            elif facts is not None and not facts.identity:
                why = "wal2json leaves out its updates and deletes, as it has neither a primary key nor a replica identity"
                mend = f"alter table {table.quoted} replica identity full"
            else:
                continue
            hint = f"{mend}, or add {str(table)!r} to [source] exclude_tables"
            raise ConfigError(f"table {table} cannot be captured", why=why, hint=hint, where=self.where)

    def catalog(self, connection: Connection) -> Catalog:
        publication = self._settings.publication if self._settings.plugin == "pgoutput" else ""
        return Catalog(connection, exclude_columns=self._settings.exclude_columns, publication=publication)

    def connect(self, dsn: str = "") -> Connection:
        """A connection for somebody else, who closes it; `dsn` leads to a standby."""
        settings = msgspec.structs.replace(self._settings, dsn=dsn) if dsn else self._settings
        return connect.connect(settings)

    def writers(self) -> Writers:
        """To be asked by the reader's thread."""
        return Writers(self._side)

    def stream(self) -> Stream:
        """Stream from the slot, from where it is confirmed to."""
        feed, options = plugin(self._settings, self._side, self._describe, self.tables)
        return Stream(self._settings, feed, options)

    def _describe(self, relation: RelationMessage, types: Mapping[int, TypeMessage]) -> Table | None:
        """The assembler's question, once per Relation message."""
        if not is_captured(self._settings, relation.schema, relation.name):
            return None
        what = f"cannot describe table {relation.schema}.{relation.name}"
        return self._side.run(what, lambda connection: self._described(connection, relation, types, what))

    def _described(
        self, connection: Connection, relation: RelationMessage, types: Mapping[int, TypeMessage], what: str
    ) -> Table:
        """The catalog may be ahead of the stream, but where it lacks what a relation has, it may be behind: then wait."""
        catalog = self.catalog(connection)
        deadline = time.monotonic() + SEEN_WITHIN
        while not bears_out(catalog.facts(relation.oid), relation) and not self._sees(
            connection, self.unseen
        ):
            self._wait(deadline, what, "the transaction that altered the table")
        return self.described(catalog.describe(relation, types))

    def made(self) -> Mapping[TableName, Made]:
        """How the captured tables are made now."""
        return self._side.run(
            "cannot look at the tables", lambda connection: read_made(connection, self.oids)
        )

    @contextmanager
    def lookup(self) -> Iterator[Lookup]:
        """Selects rows for one applier, on a connection of its own."""
        side = Side(self._settings)

        def select(table: Table, keys: Sequence[Key], xids: Collection[int]) -> Iterable[Row]:
            what = f"cannot look up rows of {table.full_name}"
            return side.run(what, lambda connection: self._select(connection, table, keys, xids))

        try:
            yield select
        finally:
            side.close()

    def _select(
        self, connection: Connection, table: Table, keys: Sequence[Key], xids: Collection[int]
    ) -> list[Row]:
        deadline = time.monotonic() + SEEN_WITHIN
        while True:
            with connection.transaction():
                connection.execute("set transaction isolation level repeatable read, read only")
                if self._sees(connection, xids):
                    return list(select_rows(connection, table, keys))
            self._wait(
                deadline, f"cannot look up rows of {table.full_name}", "the transaction that changed them"
            )

    def _sees(self, connection: Connection, xids: Collection[int]) -> bool:
        return Snapshot.parse(_one(connection, SNAPSHOT)).shows_all(xids)

    def _wait(self, deadline: float, what: str, who: str) -> None:
        """Before looking again for a commit that the stream has given and this session does not see."""
        if time.monotonic() > deadline:
            why = f"{who} is not visible to other sessions yet"
            hint = "it waits for a synchronous standby: see synchronous_standby_names and pg_stat_replication"
            raise SourceUnavailable(what, why=why, hint=hint, where=self.where)
        time.sleep(RETRY_SECONDS)

    def current_lsn(self) -> Lsn:
        """What other sessions see by now commits below; the stream will reach it."""
        return self._side.run("cannot ask for the WAL's end", read_position)

    def forget_visible(self, xids: set[int]) -> None:
        """Drop the transactions that every snapshot from now on shows."""
        shown = self._side.run("cannot ask for a snapshot", lambda connection: _one(connection, SNAPSHOT))
        Snapshot.parse(shown).forget_shown(xids)


def bears_out(facts: TableFacts | None, relation: RelationMessage) -> bool:
    """Has the catalog all that the stream says of a relation?"""
    if facts is None or facts.replica_identity != relation.replica_identity:
        return False
    known = {(column.name, column.type_oid, column.typmod) for column in facts.columns}
    return known >= {(column.name, column.type_oid, column.typmod) for column in relation.columns}


def _one(connection: Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else ""
