"""The database as of one moment, for `cdc verify`: rows are streamed, and hashed here (see `connectors.sql.hashing`)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, select

from cdc.digest import Forms
from cdc.schema import Table
from connectors.sql import hashing
from connectors.sqlalchemy.catalog import Catalog
from connectors.sqlalchemy.opening import explained
from connectors.sqlalchemy.sql import Plan
from connectors.sqlalchemy.types import ColumnType

FETCHED = 1_000  # rows at a time
WHAT = "the target cannot be read"


class SQLView(hashing.HashedView):
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
        return None if plan is None else hashing.forms(table, _kept(plan))

    def texts(self, table: Table) -> Generator[hashing.Texts]:
        plan = self._plan(table)
        assert plan is not None, "asked for a table without forms"
        told = hashing.teller(table, _kept(plan))
        wanted: list[Any] = [plan.target.c[name] for name in plan.table.column_names]
        query = select(*wanted or [sqlalchemy.literal(1)]).select_from(plan.target)
        if table.live:
            query = query.where(plan.target.c[table.live].is_(None))
        with explained(WHAT, self._where):
            streamed = self._connection.execution_options(stream_results=True, max_row_buffer=FETCHED)
            with closing(streamed.execute(query)) as result:
                for row in result:
                    yield told(row)

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


def _kept(plan: Plan) -> dict[str, ColumnType]:
    return dict(zip(plan.table.column_names, plan.columns, strict=True))
