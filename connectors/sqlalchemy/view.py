"""The database as of one moment, for `cdc verify`: rows are streamed, and hashed here (see `connectors.sql.hashing`)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, select

from cdc.digest import TEXT, Forms
from cdc.interfaces import Digest, Hashed
from cdc.schema import Table
from connectors.sql import hashing
from connectors.sqlalchemy.catalog import Catalog
from connectors.sqlalchemy.opening import explained
from connectors.sqlalchemy.sql import Plan
from connectors.sqlalchemy.types import ColumnType

FETCHED = 1_000  # rows at a time
WHAT = "the target cannot be read"
Texts = list[bytes | None]


class SQLView:
    """Implements `cdc.interfaces.View` over a connection of its own, which it closes."""

    def __init__(self, engine: sqlalchemy.Engine, catalog: Catalog, where: str) -> None:
        self._engine = engine
        self._catalog = catalog
        self._where = where
        self._known: dict[Table, Plan | None] = {}
        self._closed = False
        with explained(WHAT, self._where):
            self._connection: Connection = engine.connect()
            self._connection.begin()
            if catalog.family.is_mysql:
                self._connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            elif catalog.family.is_sqlite:  # the picture is taken by the first look at it
                self._connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").fetchall()

    def forms(self, table: Table) -> Forms | None:
        plan = self._plan(table)
        if plan is None:
            return None
        kept = dict(zip(plan.table.column_names, plan.columns, strict=True))
        return tuple(kept[c.name].form if c.name in kept else TEXT for c in table.columns)

    def digests(self, table: Table) -> Mapping[int, Digest]:
        with closing(self.texts(table)) as rows:
            return hashing.digests(table, rows)

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        with closing(self.texts(table)) as rows:
            yield from hashing.hashes(table, rows, buckets, below)

    def texts(self, table: Table) -> Generator[Texts]:
        """Every live row: the texts of these columns, each in its form."""
        plan = self._plan(table)
        assert plan is not None, "asked for a table without forms"
        told = _told(table, plan)
        wanted: list[Any] = [plan.target.c[name] for name in plan.table.column_names]
        query = select(*wanted or [sqlalchemy.literal(1)]).select_from(plan.target)
        if table.live:
            query = query.where(plan.target.c[table.live].is_(None))
        with explained(WHAT, self._where):
            streamed = self._connection.execution_options(stream_results=True, max_row_buffer=FETCHED)
            with closing(streamed.execute(query)) as result:
                for row in result:
                    yield [
                        missing
                        if kept is None
                        else None
                        if row[place] is None
                        else kept.text(row[place]).encode()
                        for kept, place, missing in told
                    ]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connection.close()
            self._engine.dispose()

    def _plan(self, table: Table) -> Plan | None:
        """For those of its columns that the target has; None: there is no such table."""
        if table not in self._known:
            with explained(WHAT, self._where):
                present = self._catalog.present(self._connection, table)
                columns = tuple(column for column in table.columns if column.name in present)
                names = {*present, ""}
                live = table.live if table.live in names else ""
                known = replace(table, columns=columns, primary_key=(), identity=(), live=live)
                self._known[table] = self._catalog.plan(self._connection, known) if present else None
        return self._known[table]


def _told(table: Table, plan: Plan) -> list[tuple[ColumnType | None, int, bytes | None]]:
    """Per column: how it is kept and its place in the row; or what it shows where the target does not have it yet."""
    places = {name: place for place, name in enumerate(plan.table.column_names)}
    return [
        (plan.columns[places[c.name]], places[c.name], None) if c.name in places else (None, -1, c.missing)
        for c in table.columns
    ]
