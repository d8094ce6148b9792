"""Makes the target's table able to hold rows of a shape, and says how its columns are to be loaded.

A column's type in the target is the source's, or a wider one: values of an older shape still in the stream fit a column
that has been widened since. Where the source's is the wider, the column is altered if no value changes by that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cdc.interfaces import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, Table
from connectors.duckdb.names import Names
from connectors.duckdb.settings import Settings
from connectors.duckdb.sql import Plan, create_table
from connectors.duckdb.types import KINDS, PRINTED, TEXT, ColumnType, column_type, decimal, logical
from connectors.sql import ascii_lower, check_same_name, check_table, comma, literal, qualified, quote
from connectors.sql.altering import another_type, still_to_do
from connectors.sql.arrays import flat, to_json

WIDER: Mapping[str, tuple[str, ...]] = {
    "SMALLINT": ("INTEGER", "BIGINT", "FLOAT", "DOUBLE"),
    "INTEGER": ("BIGINT", "DOUBLE"),
    "UINTEGER": ("BIGINT", "UBIGINT"),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
}
"""What holds all values of a type, as PostgreSQL's own `alter column type` would convert them."""
DIGITS = {"SMALLINT": 5, "INTEGER": 10, "UINTEGER": 10, "BIGINT": 19}
SAME_TEXT = (
    "SMALLINT",
    "INTEGER",
    "UINTEGER",
    "BIGINT",
    "UBIGINT",
    "UUID",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "JSON",
)
"""Types whose text in the stream is also what PostgreSQL's cast to text gives."""


@dataclass(frozen=True, slots=True)
class Present:
    """A column of the target as it is; `default` is an expression."""

    sql: str
    nullable: bool
    default: str | None = None


def read_columns(names: Names, table: Table) -> dict[str, Present]:
    """The target's columns by name; none: there is no such table. TargetError if DuckDB takes another table for it."""
    place = names.find(table)
    if place is None:
        return {}
    check_same_name("schema", table.schema, place[0], table)
    check_same_name("table", table.name, place[1], table)
    rows = names.connection.execute(f"DESCRIBE {qualified(names.database, *place)}").fetchall()
    return {name: Present(sql, null == "YES", default) for name, sql, null, _, default, *_ in rows}


def read_plan(names: Names, table: Table, settings: Settings) -> Plan | None:
    """How the target keeps rows of this shape, changing nothing; None if it has no such table or lacks a column."""
    present = read_columns(names, table)
    if not present.keys() >= set(table.column_names):
        return None
    return _plan(names.database, table, settings, present)


def evolve(names: Names, table: Table, settings: Settings) -> Plan:
    """Create or alter what rows of this shape need, in the open transaction."""
    check_table(table, ascii_lower)
    present = read_columns(names, table)
    original = read_columns(names, table.original) if table.stands_for and not present else {}
    for statement in _statements(names.database, table, settings, present, original):
        names.alter(statement)
    names.made(table)
    return _plan(names.database, table, settings, present or read_columns(names, table))


def alter(names: Names, table: Table, alterations: Sequence[Alteration]) -> None:
    """Alter columns that are there, or drop the table, in the open transaction."""
    target = qualified(names.database, table.schema, table.name)
    present = read_columns(names, table)
    defaults = [name for name, each in present.items() if each.default is not None]
    for each in still_to_do(table, present, alterations, ascii_lower, defaults):
        if isinstance(each, DropTable):
            sql = f"DROP TABLE {target}"
            names.forget()
        elif isinstance(each, RenameColumn):
            sql = f"ALTER TABLE {target} RENAME COLUMN {quote(each.name)} TO {quote(each.to)}"
        elif isinstance(each, DropDefault):
            sql = f"ALTER TABLE {target} ALTER COLUMN {quote(each.name)} DROP DEFAULT"
        else:
            sql = f"ALTER TABLE {target} DROP COLUMN {quote(each.name)}"
        names.alter(sql)


def _statements(
    database: str,
    table: Table,
    settings: Settings,
    present: dict[str, Present],
    original: Mapping[str, Present],
) -> Iterator[str]:
    """`original`: the columns of the table that this one stands for, whose types it is created with where they hold its rows."""
    target = qualified(database, table.schema, table.name)
    wanted = [column_type(table, column, settings) for column in table.columns]
    if not present:
        yield f"CREATE SCHEMA IF NOT EXISTS {qualified(database, table.schema)}"
        for index, column in enumerate(table.columns):
            theirs = original.get(column.name)
            if theirs is not None and _holds(theirs.sql, wanted[index].sql):
                wanted[index] = _loaded_into(theirs.sql, wanted[index])
        defaults = [_default(*each, settings) for each in zip(table.columns, wanted, strict=True)]
        yield create_table(target, table, wanted, defaults)
        return
    folded = {ascii_lower(name): name for name in present}
    for index, (column, kept) in enumerate(zip(table.columns, wanted, strict=True)):
        name = quote(column.name)
        known = folded.get(ascii_lower(column.name))
        if known is None:
            yield f"ALTER TABLE {target} ADD COLUMN {name} {kept.sql}{_default(column, kept, settings)}"
            present[column.name] = Present(kept.sql, True)
            continue
        check_same_name("column", column.name, known, table)
        if not _holds(present[known].sql, kept.sql):
            text = _widening(table, column, present[known].sql, kept, settings)
            using = f" USING ({text.replace('{x}', name)})" if text else ""
            yield f"ALTER TABLE {target} ALTER COLUMN {name} TYPE {kept.sql}{using}"
            if text and (default := present[known].default) is not None:
                value = text.replace("{x}", f"({default})")
                yield f"ALTER TABLE {target} ALTER COLUMN {name} SET DEFAULT ({value})"
            present[known] = Present(kept.sql, present[known].nullable)
        if not present[known].nullable and index not in table.key:
            yield f"ALTER TABLE {target} ALTER COLUMN {name} DROP NOT NULL"
    for name, column_present in present.items():
        if not column_present.nullable and name not in table.column_names:
            yield f"ALTER TABLE {target} ALTER COLUMN {quote(name)} DROP NOT NULL"


def _default(column: Column, kept: ColumnType, settings: Settings) -> str:
    """Rows that are there, and those of an older shape still to come, get the value that PostgreSQL shows for them."""
    if column.missing is None:
        return ""
    value = _constant(column, column.missing, kept, settings)
    if settings.unrepresentable == "null" and kept is not TEXT:
        value = f"TRY({value})"
    return f" DEFAULT ({value})"


def _constant(column: Column, missing: bytes, kept: ColumnType, settings: Settings) -> str:
    """A value from PostgreSQL's text. A default can have no lambda: elements are loaded one by one."""
    element = column.type.element
    if kept.array == "list" and element is not None:
        loaded = logical(element, settings)
        cells = ("NULL" if e is None else loaded.load_of(f"({literal(e.decode())})") for e in flat(missing))
        return f"[{comma(cells)}]::{kept.sql}"
    text = to_json(missing, element.kind) if kept.array == "json" and element else missing
    return kept.load_of(f"({literal(text.decode())})")


def _plan(database: str, table: Table, settings: Settings, present: Mapping[str, Present]) -> Plan:
    columns = tuple(
        _loaded_into(present[column.name].sql, column_type(table, column, settings))
        for column in table.columns
    )
    extras = tuple((name, each.default) for name, each in present.items() if name not in table.column_names)
    return Plan(table, database, columns, extras, settings.unrepresentable == "null")


def _loaded_into(present: str, kept: ColumnType) -> ColumnType:
    """The way of a type into a column that is as wide or wider."""
    if present == kept.sql:
        return kept
    if present == TEXT.sql:
        return TEXT
    return ColumnType(
        present, f"({kept.load})::{present}", kept.text_of(f"({{x}})::{kept.sql}"), kept.exact, kept.form
    )


def _holds(present: str, wanted: str) -> bool:
    """Whether a column of one type holds every value of another."""
    if present in (wanted, "VARCHAR") or present in WIDER.get(wanted, ()):
        return True
    if room := _digits(present):
        if needed := _digits(wanted):
            return room[1] >= needed[1] and room[0] - room[1] >= needed[0] - needed[1]
        return wanted in DIGITS and room[0] - room[1] >= DIGITS[wanted]
    return False


def _digits(sql: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", sql)
    return (int(found[1]), int(found[2])) if found else None


def _widening(table: Table, column: Column, present: str, kept: ColumnType, settings: Settings) -> str:
    """The expression, of `{x}`, that alters a column without altering a value; empty: its cast. TargetError if there is none."""
    if _holds(kept.sql, present) and kept.sql != TEXT.sql:
        return ""
    if kept.sql == TEXT.sql:
        for rule in ("list", "json"):  # not the source's type may have changed, but the rule
            natural = logical(column.type, msgspec.structs.replace(settings, arrays=rule))
            if natural.sql == present and natural.exact:
                return natural.text
        if digits := _digits(present):
            return decimal(*digits).text
        if present in SAME_TEXT:
            return next((kind.text for kind in KINDS.values() if kind.sql == present), PRINTED)
    raise another_type(table, column, present, kept.sql)
