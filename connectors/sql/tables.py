"""Target tables by SQLAlchemy Core: what they are to look like, the statements that make them so, and what is there.

Types are SQLAlchemy's, or `Verbatim` for those that a target writes in its own way. Statements are given, not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Executable, MetaData, PrimaryKeyConstraint, Table, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine, UserDefinedType

from cdc import schema


class Verbatim(UserDefinedType[Any]):
    """A type by its text in DDL."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


class Present(NamedTuple):
    """A column that the target has."""

    type: TypeEngine[Any]
    nullable: bool


def describe(
    table: schema.Table, types: Sequence[TypeEngine[Any]], *, name: str, into: str | None, key: bool = True
) -> Table:
    """The target table `into`.`name` for rows of this shape. NOT NULL only for the key: any other, the source may drop without
    a word."""
    columns: list[Column[Any]] = [
        Column(column.name, kept, nullable=index not in table.key, autoincrement=False)
        for index, (column, kept) in enumerate(zip(table.columns, types, strict=True))
    ]
    keys = [PrimaryKeyConstraint(*(columns[index] for index in table.key))] if key and table.key else []
    return Table(name, MetaData(), *columns, *keys, schema=into)


def create_table(described: Table) -> Executable:
    return CreateTable(described, if_not_exists=True)


def add_column(dialect: Dialect, described: Table, name: str) -> str:
    """`ALTER TABLE … ADD COLUMN …`; NULL is allowed, because rows that are there have no value."""
    column = described.columns[name]
    column.nullable = True
    preparer = dialect.identifier_preparer
    specification = dialect.ddl_compiler(dialect, None).get_column_specification(column)  # type: ignore[arg-type]
    return f"ALTER TABLE {preparer.format_table(described)} ADD COLUMN {specification}"


def present(connection: Connection, name: str, into: str | None) -> dict[str, Present]:
    """The target's columns by name, in their order; none: there is no such table."""
    try:
        columns = inspect(connection).get_columns(name, schema=into)
    except NoSuchTableError:
        return {}
    return {column["name"]: Present(column["type"], column["nullable"]) for column in columns}
