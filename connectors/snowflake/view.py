"""Snowflake as of one statement, for `cdc verify`: rows are streamed, and hashed here (see `connectors.sql.hashing`)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace

from cdc.digest import TEXT, Forms
from cdc.errors import Incomparable
from cdc.interfaces import Digest, Hashed
from cdc.schema import Table
from connectors.snowflake.catalog import Catalog
from connectors.snowflake.session import Session
from connectors.snowflake.settings import Settings
from connectors.snowflake.sql import Plan
from connectors.snowflake.types import VARIANT
from connectors.sql import comma, hashing, quote

FETCHED = 10_000  # rows at a time
WHAT = "the target cannot be read"


class SnowflakeView:
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
        kept = dict(zip(plan.table.column_names, plan.columns, strict=True))
        variants = [name for name, each in kept.items() if each.form == VARIANT]
        if variants:
            raise Incomparable(
                f"column {variants[0]} is VARIANT, which keeps documents in its own way",
                where=table.full_name,
            )
        return tuple(kept[c.name].form if c.name in kept else TEXT for c in table.columns)

    def digests(self, table: Table) -> Mapping[int, Digest]:
        with closing(self.texts(table)) as rows:
            return hashing.digests(table, rows)

    def hashes(self, table: Table, buckets: Collection[int], below: str) -> Generator[Hashed]:
        with closing(self.texts(table)) as rows:
            yield from hashing.hashes(table, rows, buckets, below)

    def query(self, plan: Plan, live: str) -> str:
        """All rows of the columns that the target has."""
        columns = zip(plan.columns, plan.names, strict=True)
        names = comma(kept.read.replace("{x}", name) for kept, name in columns) or "1"
        where = f" WHERE {quote(live)} IS NULL" if live else ""
        return f"SELECT {names} FROM {plan.target}{self._at}{where}"

    def texts(self, table: Table) -> Generator[list[bytes | None]]:
        """Every live row: the texts of these columns, each in its form."""
        plan = self._plan(table)
        assert plan is not None, "asked for a table without forms"
        places = {name: place for place, name in enumerate(plan.table.column_names)}
        told = [
            (plan.columns[places[c.name]], places[c.name], None)
            if c.name in places
            else (None, -1, c.missing)
            for c in table.columns
        ]
        session = self._session
        with (
            session.explained(WHAT, self._where),
            closing(session.run(self.query(plan, table.live))) as cursor,
        ):
            while rows := cursor.fetchmany(FETCHED):
                for row in rows:
                    values = tuple(row)
                    yield [
                        missing
                        if kept is None
                        else None
                        if values[place] is None
                        else kept.text(values[place]).encode()
                        for kept, place, missing in told
                    ]

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
