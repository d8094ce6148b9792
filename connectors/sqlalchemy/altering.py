"""Alterations of a table as DDL. SQLite takes no default from a column: a new one takes the values and the place of the old."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy import Table as SQLTable

from cdc.interfaces import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Table
from connectors.sql.altering import still_to_do
from connectors.sqlalchemy.family import Family
from connectors.sqlalchemy.types import Stored

ASIDE = "_cdc_kept_"


class Known(NamedTuple):
    """A column of the target as it is; `default` is its text in DDL."""

    kept: Stored
    nullable: bool
    default: str | None


def statements(
    connection: Connection,
    family: Family,
    target: SQLTable,
    present: Mapping[str, Known],
    table: Table,
    alterations: Sequence[Alteration],
) -> Iterator[str]:
    """Those that are still to be run, in order."""
    preparer = connection.dialect.identifier_preparer
    place, quote = preparer.format_table(target), preparer.quote
    defaults = [name for name, each in present.items() if each.default is not None]
    before: dict[str, str] = {}  # names now, of columns that are renamed first
    for each in still_to_do(table, present, alterations, family.fold, defaults):
        if isinstance(each, DropTable):
            yield f"DROP TABLE {place}"
        elif isinstance(each, RenameColumn):
            yield f"ALTER TABLE {place} RENAME COLUMN {quote(each.name)} TO {quote(each.to)}"
            before[each.to] = before.pop(each.name, each.name)
        elif not isinstance(each, DropDefault):
            yield f"ALTER TABLE {place} DROP COLUMN {quote(each.name)}"
        elif family.is_sqlite:
            yield from _replaced(connection, target, place, each.name, before.get(each.name, each.name))
        else:
            # MySQL would refuse rows that leave out a column without any default.
            how = "SET DEFAULT NULL" if family.is_mysql else "DROP DEFAULT"
            yield f"ALTER TABLE {place} ALTER COLUMN {quote(each.name)} {how}"


def _replaced(connection: Connection, target: SQLTable, place: str, name: str, now: str) -> Iterator[str]:
    """A column of SQLite by one without default. Indexes of the table's would hold on to the old one: they are made anew."""
    quote = connection.dialect.identifier_preparer.quote
    query = text("SELECT type FROM pragma_table_info(:t) WHERE name = :c")
    [(kind,)] = connection.execute(query, {"t": target.name, "c": now})
    query = text(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :t AND sql IS NOT NULL"
    )
    indexes = connection.execute(query, {"t": target.name}).fetchall()
    old, new = quote(name), quote(ASIDE + name)
    yield from (f"DROP INDEX {quote(index)}" for index, _ in indexes)
    yield f"ALTER TABLE {place} ADD COLUMN {new} {kind}"
    yield f"UPDATE {place} SET {new} = {old}"
    yield f"ALTER TABLE {place} DROP COLUMN {old}"
    yield f"ALTER TABLE {place} RENAME COLUMN {new} TO {old}"
    yield from (sql for _, sql in indexes)
