"""The defaults of columns: what rows show that are older than their columns, as constants of the dialect's DDL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import types as sa
from sqlalchemy.engine import Dialect

from cdc.errors import ColumnRefused
from cdc.schema import Column, Table
from connectors.sql.values import Unkeepable
from connectors.sqlalchemy.family import Family
from connectors.sqlalchemy.settings import Settings
from connectors.sqlalchemy.types import Stored, way


def defaults_for(
    table: Table, kept: Sequence[Stored], family: Family, settings: Settings, dialect: Dialect
) -> dict[str, str]:
    """By name, of the columns that have one; `kept` are all columns' types in the target."""
    found = {}
    for column, stored in zip(table.columns, kept, strict=True):
        if column.missing is not None:
            value = _loaded(table, column, column.missing, stored, family, settings)
            found[column.name] = "NULL" if value is None else _constant(value, family, dialect)
    return found


def _loaded(
    table: Table, column: Column, missing: bytes, kept: Stored, family: Family, settings: Settings
) -> Any:
    found = way(column.type, kept, family)
    assert found is not None, "what we create, we can fill"
    try:
        return found.load(missing)
    except Unkeepable as odd:
        if settings.unrepresentable == "null":
            return None
        raise ColumnRefused(
            f"the value that rows older than column {column.name} have in it cannot be kept: {odd}",
            column=column.name,
            where=table.full_name,
            hint='unrepresentable = "null" under the warehouse makes it NULL',
        ) from None


def _constant(value: Any, family: Family, dialect: Dialect) -> str:
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if not isinstance(value, str):
        return format(value, "f") if not isinstance(value, float) else repr(value)
    processor: Any = sa.String().literal_processor(dialect)  # type: ignore[no-untyped-call]
    assert processor is not None
    text: str = processor(value)
    if family.is_mysql:
        text = text.replace("\\", "\\\\")
        return f"({text})" if not getattr(dialect, "is_mariadb", True) else text
    return text
