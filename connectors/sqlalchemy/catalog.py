"""What the target's table has to become for rows of a shape, as DDL; and how its columns are then loaded.

Nothing here runs DDL: the warehouse does, where its dialect wants it (see `warehouse.py`). Each statement may be repeated after
a crash: those that are done already are found done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import Connection, inspect
from sqlalchemy import Table as SQLTable
from sqlalchemy import types as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateSchema, CreateTable

from cdc.errors import ColumnRefused, TargetError
from cdc.interfaces import Alteration
from cdc.schema import Column, Table
from connectors.sql import check_same_name, check_table, comma
from connectors.sql.altering import another_type
from connectors.sql.tables import Present, add_column, describe, present
from connectors.sqlalchemy.altering import Known, statements
from connectors.sqlalchemy.defaults import defaults_for
from connectors.sqlalchemy.family import Family, check_names
from connectors.sqlalchemy.settings import Settings
from connectors.sqlalchemy.sql import Plan
from connectors.sqlalchemy.types import Stored, column_type, holds, indexed, is_short, stored, way

_Type: TypeAlias = sa.TypeEngine[Any]


class Catalog:
    """One target, seen by one connection at a time."""

    def __init__(self, family: Family, settings: Settings) -> None:
        self.family = family
        self.settings = settings

    def present(self, connection: Connection, table: Table) -> dict[str, Known]:
        """The target's columns by name; empty: there is no such table."""
        found = self._columns(connection, table)
        return {
            name: Known(stored(each.type, self.family), each.nullable, each.default)
            for name, each in found.items()
        }

    def _columns(self, connection: Connection, table: Table) -> dict[str, Present]:
        schema, name = self.family.place(table)
        if self.family.is_sqlite:
            for known in inspect(connection).get_table_names():
                if self.family.fold(known) == self.family.fold(name):
                    check_same_name("table", name, known, table)
        return present(connection, name, schema)

    def plan(self, connection: Connection, table: Table) -> Plan | None:
        """How the target keeps rows of this shape, changing nothing; None if it has no such table or lacks a column."""
        present = self.present(connection, table)
        if not present.keys() >= set(table.column_names):
            return None
        return self._plan(connection, table, present)

    def _plan(self, connection: Connection, table: Table, present: Mapping[str, Known]) -> Plan:
        columns = []
        for each in table.columns:
            kept = present[each.name].kept
            found = way(each.type, kept, self.family)
            if found is None:
                wanted = stored(self._wanted(table, each), self.family)
                raise another_type(table, each, str(kept), str(wanted))
            columns.append(found)
        extras = tuple(name for name in present if name not in table.column_names)
        return Plan(table, self.family.place(table), tuple(columns), extras, connection.dialect)

    def evolve(self, connection: Connection, table: Table) -> list[str]:
        """The statements that are still to be run before rows of this shape fit, in order."""
        check_table(table, self.family.fold)
        check_names(table, self.family)
        present = self.present(connection, table)
        return list(
            self._create(connection, table) if not present else self._changes(connection, table, present)
        )

    def _create(self, connection: Connection, table: Table) -> Iterator[str]:
        dialect = connection.dialect
        schema, _ = self.family.place(table)
        if schema is not None:
            yield str(CreateSchema(schema, if_not_exists=True).compile(dialect=dialect))
        types = self._created(connection, table)
        plain = not self.family.is_mysql or all(is_short(types[index]) for index in table.key)
        defaults = self._defaults(table, types, dialect)
        described = self._described(table, types, key=plain, defaults=defaults)
        created = str(CreateTable(described, if_not_exists=True).compile(dialect=dialect))
        if table.key and not plain:
            end = created.rindex(")")  # in the same statement: two could be parted by a crash
            created = f"{created[:end].rstrip()}, {self._index(table, types, dialect)}{created[end:]}"
        yield created

    def _created(self, connection: Connection, table: Table) -> list[_Type]:
        """The types to create columns with: for a table that stands for another, the other's where they hold our rows."""
        types = [self._wanted(table, column) for column in table.columns]
        original = self._columns(connection, table.original) if table.stands_for else {}
        for index, column in enumerate(table.columns):
            if column.name in original:
                kept = stored(original[column.name].type, self.family)
                if holds(kept, stored(types[index], self.family)) and way(column.type, kept, self.family):
                    types[index] = original[column.name].type
        return types

    def _index(self, table: Table, types: Sequence[_Type], dialect: Dialect) -> str:
        """Texts as keys have no limit of their own: an index of their beginnings."""
        quote = dialect.identifier_preparer.quote
        parts = (f"{quote(table.columns[i].name)}{indexed(types[i])}" for i in table.key[:4])
        return f"KEY {quote('_cdc_key')} ({comma(parts)})"

    def _described(
        self,
        table: Table,
        types: Sequence[_Type] = (),
        *,
        key: bool = False,
        defaults: Mapping[str, str] = {},
    ) -> SQLTable:
        schema, name = self.family.place(table)
        types = types or [self._wanted(table, column) for column in table.columns]
        return describe(table, types, name=name, into=schema, key=key, defaults=defaults)

    def _defaults(self, table: Table, types: Sequence[_Type], dialect: Dialect) -> dict[str, str]:
        kept = [stored(each, self.family) for each in types]
        return defaults_for(table, kept, self.family, self.settings, dialect)

    def _wanted(self, table: Table, column: Column) -> _Type:
        return column_type(table, column, self.settings, self.family)

    def _changes(self, connection: Connection, table: Table, present: Mapping[str, Known]) -> Iterator[str]:
        folded = {self.family.fold(name): name for name in present}
        for column in table.columns:
            known = folded.get(self.family.fold(column.name))
            if known is None:
                yield self._add(connection, table, column)
                continue
            check_same_name("column", column.name, known, table)
            wanted = stored(self._wanted(table, column), self.family)
            there = present[known]
            if not holds(there.kept, wanted) or way(column.type, there.kept, self.family) is None:
                yield self._widened(connection, table, column, there, wanted)
            elif not there.nullable and column.name not in [table.columns[i].name for i in table.key]:
                yield self._without_not_null(connection, table, column, there)
        for name, there in present.items():
            if not there.nullable and name not in table.column_names:
                raise TargetError(
                    f"the target's own column {name} does not take NULL",
                    why="rows of the source have no value for it",
                    where=table.full_name,
                    hint="alter it to allow NULL",
                )

    def _add(self, connection: Connection, table: Table, column: Column) -> str:
        """Rows that are there get the value that PostgreSQL shows for them, in the statement that adds the column: a crash
        between two would leave them without. The default stays, for rows of the older shape that are still to come."""
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        defaults = self._defaults(alone, [self._wanted(table, column)], connection.dialect)
        return add_column(connection.dialect, self._described(alone, defaults=defaults), column.name)

    def _widened(
        self, connection: Connection, table: Table, column: Column, present: Known, wanted: Stored
    ) -> str:
        kept = present.kept
        same_text = ("integer", "unsigned", "decimal", "date")
        free = wanted.family == "text" and kept.family in same_text
        if self.family.is_sqlite or not (free or holds(wanted, kept)):
            raise another_type(table, column, str(kept), str(wanted))
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        return self._altered(connection, alone, "TYPE", present.default)

    def _without_not_null(self, connection: Connection, table: Table, column: Column, present: Known) -> str:
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        if self.family.is_sqlite:
            raise ColumnRefused(
                f"column {column.name} does not take NULL in the target, and SQLite cannot alter that",
                column=column.name,
                where=table.full_name,
                hint=f"`cdc resync {table.full_name}` copies the table anew",
            )
        return self._altered(connection, alone, "DROP NOT NULL", present.default)

    def _altered(self, connection: Connection, alone: Table, how: str, default: str | None) -> str:
        """The table's only column, as it is to be from now on; `default` is what it has."""
        defaults = {}
        if default is not None and self.family.is_mysql:  # MODIFY says it anew
            needs = not getattr(connection.dialect, "is_mariadb", True) and not default.startswith("(")
            defaults[alone.columns[0].name] = (f"({default})" if needs else default).replace("%", "%%")
        described = self._described(alone, defaults=defaults)
        [column] = described.columns
        name = _name(connection, described)
        if self.family.is_mysql:
            compiler = connection.dialect.ddl_compiler(connection.dialect, None)  # type: ignore[arg-type]
            return f"ALTER TABLE {name} MODIFY COLUMN {compiler.get_column_specification(column)}"
        quoted = connection.dialect.identifier_preparer.quote(column.name)
        kind = f"TYPE {column.type.compile(connection.dialect)}" if how == "TYPE" else how
        return f"ALTER TABLE {name} ALTER COLUMN {quoted} {kind}"

    def alter(self, connection: Connection, table: Table, alterations: Sequence[Alteration]) -> list[str]:
        """Alter columns that are there, or drop the table."""
        target = self._described(table)
        return list(
            statements(connection, self.family, target, self.present(connection, table), table, alterations)
        )

    def drop(self, connection: Connection, table: Table) -> str:
        return f"DROP TABLE {_name(connection, self._described(table))}"


def _name(connection: Connection, described: SQLTable) -> str:
    return connection.dialect.identifier_preparer.format_table(described)
