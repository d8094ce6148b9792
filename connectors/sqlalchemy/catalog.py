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
from cdc.interfaces import Alteration, DropTable, RenameColumn
from cdc.schema import Column, Table
from connectors.sql import check_same_name, check_table, comma
from connectors.sql.altering import still_to_do
from connectors.sql.tables import Present, add_column, describe, present
from connectors.sql.values import Unkeepable
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

    def present(self, connection: Connection, table: Table) -> dict[str, tuple[Stored, bool]]:
        """The target's columns by name, with their types and whether they take NULL; empty: there is no such table."""
        found = self._columns(connection, table)
        return {name: (stored(each.type, self.family), each.nullable) for name, each in found.items()}

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

    def _plan(self, connection: Connection, table: Table, present: Mapping[str, tuple[Stored, bool]]) -> Plan:
        columns = []
        for each in table.columns:
            kept = present[each.name][0]
            found = way(each.type, kept, self.family)
            if found is None:
                raise self._refused(table, each, kept, stored(self._wanted(table, each), self.family))
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
        name = self.family.place(table)[1]
        described = describe(table, types, name=name, into=schema, key=plain)
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

    def _described(self, table: Table, *, key: bool) -> SQLTable:
        schema, name = self.family.place(table)
        types = [self._wanted(table, column) for column in table.columns]
        return describe(table, types, name=name, into=schema, key=key)

    def _wanted(self, table: Table, column: Column) -> _Type:
        return column_type(table, column, self.settings, self.family)

    def _changes(
        self, connection: Connection, table: Table, present: dict[str, tuple[Stored, bool]]
    ) -> Iterator[str]:
        folded = {self.family.fold(name): name for name in present}
        for column in table.columns:
            known = folded.get(self.family.fold(column.name))
            if known is None:
                yield from self._add(connection, table, column)
                continue
            check_same_name("column", column.name, known, table)
            wanted = stored(self._wanted(table, column), self.family)
            kept, nullable = present[known]
            if not holds(kept, wanted) or way(column.type, kept, self.family) is None:
                yield self._widened(connection, table, column, kept, wanted)
            elif not nullable and column.name not in [table.columns[i].name for i in table.key]:
                yield self._without_not_null(connection, table, column)
        for name, (_, nullable) in present.items():
            if not nullable and name not in table.column_names:
                raise TargetError(
                    f"the target's own column {name} does not take NULL",
                    why="rows of the source have no value for it",
                    where=table.full_name,
                    hint="alter it to allow NULL",
                )

    def _add(self, connection: Connection, table: Table, column: Column) -> Iterator[str]:
        """Rows that are there get the value that PostgreSQL shows for them, in the statement that adds the column: a crash
        between two would leave them without. The default stays, for rows of the older shape that are still to come."""
        dialect = connection.dialect
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        described = self._described(alone, key=False)
        if column.missing is None:
            yield add_column(dialect, described, column.name)
            return
        yield f"{add_column(dialect, described, column.name)} DEFAULT {self._default(table, column, dialect)}"

    def _default(self, table: Table, column: Column, dialect: Dialect) -> str:
        assert column.missing is not None
        kept = way(column.type, stored(self._wanted(table, column), self.family), self.family)
        assert kept is not None, "what we create, we can fill"
        try:
            value = kept.load(column.missing)
        except Unkeepable:
            if self.settings.unrepresentable == "null":
                return "NULL"
            raise
        if isinstance(value, bool):
            value = int(value)
        if isinstance(value, bytes):
            return f"X'{value.hex()}'"
        if not isinstance(value, str):
            return format(value, "f") if not isinstance(value, float) else repr(value)
        processor: Any = sa.String().literal_processor(dialect)  # type: ignore[no-untyped-call]
        assert processor is not None
        text: str = processor(value)
        if self.family.is_mysql:
            text = text.replace("\\", "\\\\")
            return f"({text})" if not getattr(dialect, "is_mariadb", True) else text
        return text

    def _widened(
        self, connection: Connection, table: Table, column: Column, kept: Stored, wanted: Stored
    ) -> str:
        same_text = ("integer", "unsigned", "decimal", "date")
        free = wanted.family == "text" and kept.family in same_text
        if self.family.is_sqlite or not (free or holds(wanted, kept)):
            raise self._refused(table, column, kept, wanted)
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        return self._altered(connection, alone, "TYPE")

    def _without_not_null(self, connection: Connection, table: Table, column: Column) -> str:
        alone = replace(table, columns=(column,), primary_key=(), identity=())
        if self.family.is_sqlite:
            raise ColumnRefused(
                f"column {column.name} does not take NULL in the target, and SQLite cannot alter that",
                column=column.name,
                where=table.full_name,
                hint=f"`cdc resync {table.full_name}` copies the table anew",
            )
        return self._altered(connection, alone, "DROP NOT NULL")

    def _altered(self, connection: Connection, alone: Table, how: str) -> str:
        """The table's only column, as it is to be from now on."""
        described = self._described(alone, key=False)
        [column] = described.columns
        name = _name(connection, described)
        if self.family.is_mysql:
            compiler = connection.dialect.ddl_compiler(connection.dialect, None)  # type: ignore[arg-type]
            return f"ALTER TABLE {name} MODIFY COLUMN {compiler.get_column_specification(column)}"
        quoted = connection.dialect.identifier_preparer.quote(column.name)
        kind = f"TYPE {column.type.compile(connection.dialect)}" if how == "TYPE" else how
        return f"ALTER TABLE {name} ALTER COLUMN {quoted} {kind}"

    def alter(self, connection: Connection, table: Table, alterations: Sequence[Alteration]) -> list[str]:
        """Rename and drop columns that are there, or the table."""
        described = self._described(table, key=False)
        target, quote = _name(connection, described), connection.dialect.identifier_preparer.quote
        statements = []
        for each in still_to_do(table, self.present(connection, table), alterations, self.family.fold):
            if isinstance(each, DropTable):
                statements.append(self.drop(connection, table))
            elif isinstance(each, RenameColumn):
                statements.append(
                    f"ALTER TABLE {target} RENAME COLUMN {quote(each.name)} TO {quote(each.to)}"
                )
            else:
                statements.append(f"ALTER TABLE {target} DROP COLUMN {quote(each.name)}")
        return statements

    def drop(self, connection: Connection, table: Table) -> str:
        return f"DROP TABLE {_name(connection, self._described(table, key=False))}"

    def _refused(self, table: Table, column: Column, kept: Stored, wanted: Stored) -> ColumnRefused:
        return ColumnRefused(
            f"column {column.name} is {kept} in the target, and the source now sends"
            f" {column.type_name or column.type.kind} (kept as {wanted})",
            why="the rows that are there cannot be converted without altering some",
            column=column.name,
            where=table.full_name,
            hint=f"`cdc resync {table.full_name}` copies the table anew; or alter the column yourself and start again",
        )


def _name(connection: Connection, described: SQLTable) -> str:
    return connection.dialect.identifier_preparer.format_table(described)
