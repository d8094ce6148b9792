"""Snowflake as of one statement, for `cdc verify`: rows are streamed, and hashed here (see `connectors.sql.hashing`)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

from cdc.digest import Forms
from cdc.errors import Incomparable
from cdc.schema import Table
from connectors.snowflake.catalog import Catalog
from connectors.snowflake.session import Session
from connectors.snowflake.settings import Settings
from connectors.snowflake.sql import Plan
from connectors.snowflake.types import VARIANT, ColumnType
from connectors.sql import comma, hashing, quote

FETCHED = 10_000  # rows at a time
WHAT = "the target cannot be read"


class SnowflakeView(hashing.HashedView):
    """Implements `cdc.interfaces.View` over a session of its own, which it closes."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._catalog = Catalog(session, settings)
        self._where = f"{settings.account}/{settings.database}"
        self._known: dict[Table, Plan | None] = {}
        with session.explained(WHAT, self._where):
            if settings.time_travel:
                moment = session.run("SELECT 1").sfqid
                self._at = f" AT (STATEMENT => '{moment}')"
            else:
                session.begin()
                self._at = ""

    def forms(self, table: Table) -> Forms | None:
        plan = self._plan(table)
        if plan is None:
            return None
        kept = _kept(plan)
        variants = [name for name, each in kept.items() if each.form == VARIANT]
        if variants:
            raise Incomparable(
                f"column {variants[0]} is VARIANT, which keeps documents in its own way",
                where=table.full_name,
            )
        return hashing.forms(table, kept)

    def query(self, plan: Plan, live: str) -> str:
        """All rows of the columns that the target has."""
        columns = zip(plan.columns, plan.names, strict=True)
        names = comma(kept.read.replace("{x}", name) for kept, name in columns) or "1"
        where = f" WHERE {quote(live)} IS NULL" if live else ""
        return f"SELECT {names} FROM {plan.target}{self._at}{where}"

    def texts(self, table: Table) -> Generator[hashing.Texts]:
        plan = self._plan(table)
        assert plan is not None, "asked for a table without forms"
        told = hashing.teller(table, _kept(plan))
        session = self._session
        with (
            session.explained(WHAT, self._where),
            closing(session.run(self.query(plan, table.live))) as cursor,
        ):
            while rows := cursor.fetchmany(FETCHED):
                for row in rows:
                    yield told(tuple(row))

    def close(self) -> None:
        self._session.rollback()
        self._session.close()

    def _plan(self, table: Table) -> Plan | None:
        """For those of its columns that the target has; None: there is no such table."""
        if table not in self._known:
            with self._session.explained(WHAT, self._where):
                present = self._catalog.present(table)
                columns = tuple(column for column in table.columns if column.name in present)
                known = replace(table, columns=columns, primary_key=(), identity=())
                self._known[table] = self._catalog.plan(known) if present else None
        return self._known[table]


def _kept(plan: Plan) -> dict[str, ColumnType]:
    return dict(zip(plan.table.column_names, plan.columns, strict=True))
