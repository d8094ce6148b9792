"""Target tables by SQLAlchemy Core: what they are to look like, the statements that make them so, and what is there.

Types are SQLAlchemy's, or `Verbatim` for those that a target writes in its own way. Statements are given, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Executable, MetaData, PrimaryKeyConstraint, Table, inspect, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeEngine, UserDefinedType

from cdc import schema

MARIADB_DEFAULTS = text(
    "SELECT column_name, column_default FROM information_schema.columns"
    " WHERE table_schema = coalesce(:s, database()) AND table_name = :t"
)


class Verbatim(UserDefinedType[Any]):
    """A type by its text in DDL."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


class Constant(ColumnElement[Any]):
    """A default by its text in DDL, where nothing is escaped any more."""

    inherit_cache = False

    def __init__(self, text: str) -> None:
        self.text = text


@compiles(Constant)
def _written(constant: Constant, *_: Any, **__: Any) -> str:
    return constant.text


class Present(NamedTuple):
    """A column that the target has."""

    type: TypeEngine[Any]
    nullable: bool
    default: str | None = None
    """As text in DDL."""


def describe(
    table: schema.Table,
    types: Sequence[TypeEngine[Any]],
    *,
    name: str,
    into: str | None,
    key: bool = True,
    defaults: Mapping[str, str] = {},
) -> Table:
    """The target table `into`.`name` for rows of this shape. NOT NULL only for the key: any other, the source may drop without
    a word. `defaults`: by column, as texts in DDL."""
    columns: list[Column[Any]] = [
        Column(
            column.name,
            kept,
            nullable=index not in table.key,
            autoincrement=False,
            server_default=Constant(defaults[column.name]) if column.name in defaults else None,
        )
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
    defaults = {column["name"]: column.get("default") for column in columns}
    if getattr(connection.dialect, "is_mariadb", False):  # of texts, SQLAlchemy does not find all
        found = connection.execute(MARIADB_DEFAULTS, {"s": into, "t": name})
        defaults = {column: None if default == "NULL" else default for column, default in found}
    return {
        column["name"]: Present(column["type"], column["nullable"], defaults.get(column["name"]))
        for column in columns
    }
