"""What the target's table has to become for rows of a shape, as DDL; and how its columns are then loaded.

Nothing here runs DDL: the warehouse does, when nothing is open (see `warehouse.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from snowflake.connector.constants import FIELD_ID_TO_NAME

from cdc.errors import TargetError
from cdc.interfaces import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, Table
from connectors.snowflake.altering import LONGEST_NAME, aside, put_back, without_default
from connectors.snowflake.session import Session
from connectors.snowflake.settings import Settings
from connectors.snowflake.sql import Plan, constant, literal
from connectors.snowflake.types import INTEGERS, TEXTUAL, VARIANT, ColumnType, column_type, number
from connectors.sql import check_same_name, check_table, comma, qualified, quote
from connectors.sql.altering import another_type, still_to_do
from connectors.sql.values import Unkeepable

NAMED = {
    "REAL": "FLOAT",
    "TIME": "TIME(6)",
    "TIMESTAMP_NTZ": "TIMESTAMP_NTZ(6)",
    "TIMESTAMP_TZ": "TIMESTAMP_TZ(6)",
}


class Present(NamedTuple):
    sql: str
    nullable: bool


class Catalog:
    """One database, asked in a session."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings

    def present(self, table: Table) -> dict[str, Present]:
        """The target's columns by name; empty: there is no such table."""
        found = self._session.describe(f"SELECT * FROM {qualified(table.schema, table.name)} LIMIT 0")
        return {each.name: Present(_named(each), each.is_nullable is not False) for each in found or ()}

    def plan(self, table: Table) -> Plan | None:
        """How the target keeps rows of this shape; None if it has no such table or lacks a column."""
        present = self.present(table)
        if not present.keys() >= set(table.column_names):
            return None
        columns = []
        for column in table.columns:
            wanted = column_type(table, column, self._settings)
            kept = _way(column, wanted, present[column.name].sql)
            if kept is None:
                raise another_type(table, column, present[column.name].sql, wanted.sql)
            columns.append(kept)
        extras = tuple((name, each.sql) for name, each in present.items() if name not in table.column_names)
        return Plan(table, self._settings.metadata_schema, tuple(columns), extras)

    def evolve(self, table: Table) -> list[str]:
        """The statements that are still to be run before rows of this shape fit, in order; each may be repeated."""
        check_table(table, str)
        check_names(table, self._settings.metadata_schema)
        present = self.present(table)
        return list(self._changes(table, present) if present else self._create(table))

    def _create(self, table: Table) -> Iterator[str]:
        columns = []
        original = self.present(table.original) if table.stands_for else {}
        for index, column in enumerate(table.columns):
            kept = column_type(table, column, self._settings)
            if column.name in original:  # whose rows this table will have
                kept = _way(column, kept, original[column.name].sql) or kept
            not_null = " NOT NULL" if index in table.key else ""
            columns.append(f"{quote(column.name)} {kept.sql}{self._default(column, kept)}{not_null}")
        if table.key:  # not enforced, but planners and people read it
            columns.append(f"PRIMARY KEY ({comma(quote(table.columns[i].name) for i in table.key)})")
        yield from self.schema(table.schema)
        yield f"CREATE TABLE IF NOT EXISTS {qualified(table.schema, table.name)} ({comma(columns)})"

    def schema(self, name: str) -> list[str]:
        """To make a schema that is not there; if it is, the right to make one is not needed."""
        return [] if self._session.has_schema(name) else [f"CREATE SCHEMA IF NOT EXISTS {quote(name)}"]

    def _changes(self, table: Table, present: Mapping[str, Present]) -> Iterator[str]:
        target = qualified(table.schema, table.name)
        for index, column in enumerate(table.columns):
            wanted = column_type(table, column, self._settings)
            known = present.get(column.name)
            if known is None:
                yield from self._add(target, column, wanted)
                continue
            if _way(column, wanted, known.sql) is None:
                if not _may_grow(known.sql, wanted.sql):
                    raise another_type(table, column, known.sql, wanted.sql)
                yield f"ALTER TABLE {target} ALTER COLUMN {quote(column.name)} SET DATA TYPE {wanted.sql}"
            if not known.nullable and index not in table.key:
                yield f"ALTER TABLE {target} ALTER COLUMN {quote(column.name)} DROP NOT NULL"

    def _add(self, target: str, column: Column, kept: ColumnType) -> Iterator[str]:
        add, name = f"ALTER TABLE {target} ADD COLUMN IF NOT EXISTS", quote(column.name)
        value = self._value_before(column, kept)
        if value is None or kept.form != VARIANT:
            yield f"{add} {name} {kept.sql}{self._default(column, kept)}"
            return
        # VARIANT takes no default. Under its name the column is there only when its rows are filled.
        new = quote(f"_cdc_new_{column.name}"[:LONGEST_NAME])
        yield f"{add} {new} {kept.sql}"
        yield f"UPDATE {target} SET {new} = {kept.load_of(literal(value))}"
        yield f"ALTER TABLE {target} RENAME COLUMN {new} TO {name}"

    def _default(self, column: Column, kept: ColumnType) -> str:
        """Rows that are there, and those of an older shape still to come, get the value that PostgreSQL shows for them. ADD
        COLUMN takes constants only, so it is written as one."""
        value = self._value_before(column, kept)
        return "" if value is None or kept.form == VARIANT else f" DEFAULT {constant(kept, value)}"

    def _value_before(self, column: Column, kept: ColumnType) -> str | None:
        if column.missing is None:
            return None
        try:
            return kept.stage(column.missing)
        except Unkeepable:
            if self._settings.unrepresentable == "null":
                return None
            raise

    def alter(self, table: Table, alterations: Sequence[Alteration]) -> list[str]:
        """Alter columns that are there, or drop the table."""
        target = qualified(table.schema, table.name)
        present, statements = self.present(table), []
        defaults = self._defaults(table) if any(isinstance(each, DropDefault) for each in alterations) else ()
        for each in alterations:
            if isinstance(each, DropDefault) and each.name not in present and aside(each.name) in present:
                statements.append(put_back(target, each.name))  # a crash came between
        for each in still_to_do(table, present, alterations, defaults=defaults):
            if isinstance(each, DropTable):
                statements.append(f"DROP TABLE IF EXISTS {target}")
            elif isinstance(each, DropDefault):
                statements += without_default(target, each.name, present[each.name].sql)
            elif isinstance(each, RenameColumn):
                statements.append(
                    f"ALTER TABLE {target} RENAME COLUMN {quote(each.name)} TO {quote(each.to)}"
                )
                present[each.to] = present.pop(each.name)
            else:
                statements.append(f"ALTER TABLE {target} DROP COLUMN {quote(each.name)}")
        return statements

    def _defaults(self, table: Table) -> list[str]:
        """The columns that have a default, or whose namesakes have one in a schema of other letters: too many do no harm."""
        query = (
            "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE COLUMN_DEFAULT IS NOT NULL"
            f" AND UPPER(TABLE_SCHEMA) = UPPER({literal(table.schema)}) AND TABLE_NAME = {literal(table.name)}"
        )
        return [name for (name,) in self._session.run(query).fetchall()]


def check_names(table: Table, metadata_schema: str) -> None:
    """Raise TargetError for names that Snowflake does not take."""
    check_same_name("schema", table.schema, table.schema, table)
    names = [
        ("schema", table.schema),
        ("table", table.name),
        *(("column", name) for name in table.column_names),
    ]
    for what, name in names:
        if len(name) > LONGEST_NAME:
            raise TargetError(
                f"the target cannot have a {what} with a name of {len(name)} characters",
                why=f"a name may have {LONGEST_NAME} characters there",
                where=table.full_name,
                hint="rename it, or leave it out by [source] exclude_tables or exclude_columns",
            )
    if table.schema == metadata_schema:
        raise TargetError(
            "this schema is kept for cdc's own tables", where=table.full_name, hint="set metadata_schema"
        )


def _named(column: Any) -> str:
    """A column's type as DDL names it."""
    name = FIELD_ID_TO_NAME[column.type_code]
    if name == "FIXED":
        return f"NUMBER({column.precision},{column.scale})"
    if name == "TEXT":
        size = column.internal_size
        return "VARCHAR" if size is None or size >= 16_777_216 else f"VARCHAR({size})"
    return NAMED.get(name, name)


def _digits(sql: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"NUMBER\((\d+),(\d+)\)", sql)
    return (int(found[1]), int(found[2])) if found else None


def _way(column: Column, wanted: ColumnType, present: str) -> ColumnType | None:
    """How values go into a column that is there; None: they do not."""
    if present == wanted.sql:
        return wanted
    if present.startswith("VARCHAR"):
        return TEXTUAL
    room, needed = _digits(present), _digits(wanted.sql)
    if not room or not needed or room[1] < needed[1] or room[0] - room[1] < needed[0] - needed[1]:
        return None
    kept = number(*room)
    if room[1] == needed[1]:
        return kept
    if column.type.kind in INTEGERS:
        return ColumnType(kept.sql, kept.stage, kept.load, lambda value: str(int(value)))
    return None


def _may_grow(present: str, wanted: str) -> bool:
    """Snowflake alters the precision of a NUMBER upwards, and nothing else of ours."""
    room, needed = _digits(present), _digits(wanted)
    return bool(room and needed and room[1] == needed[1] and room[0] < needed[0])
