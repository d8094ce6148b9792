"""LogicalType → the column's type in SQLAlchemy's words, and the way of a value into such a column and back.

What every dialect keeps exactly has a type of its own: booleans, whole numbers, doubles, bytes. All else is PostgreSQL's text,
unless the dialect is known to do better: MariaDB and MySQL have decimals, dates and times that are exact within their limits,
and what is beyond those is refused (`unrepresentable`). `timestamptz` is a DATETIME in UTC there. JSON is text everywhere: the
types of that name reorder or alter documents.

How a value goes depends on the column that the target has (`Stored`), which may be wider than what would be created.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from cdc.digest import FLOAT, NUMBER, ONE_ZERO, TEXT
from cdc.errors import ConfigError
from cdc.schema import Column, LogicalType, Table
from connectors.sql import values
from connectors.sqlalchemy.family import Family
from connectors.sqlalchemy.settings import Settings

MAX_DIGITS, MAX_DECIMALS = 65, 38  # of MariaDB's DECIMAL; MySQL's has 30 decimals
INDEXED = 191  # characters of a text in an index of MariaDB's, which takes 3,072 bytes in all
INTEGERS = {"int2": 16, "int4": 32, "int8": 64, "oid": 64}
INTEGER_DIGITS = {16: 5, 32: 10, 64: 19}


class Stored(NamedTuple):
    """A column's type as far as it matters: `size` is bits of integers, digits of decimals, and of texts the most characters."""

    family: str
    size: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"{self.family}({self.size},{self.scale})" if self.family == "decimal" else self.family


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How one column is kept. `exact`: two values are equal in the target if and only if their texts are."""

    stored: Stored
    load: values.Load
    text: values.Text
    form: str = TEXT
    exact: bool = True


KINDS: Mapping[str, TypeEngine[Any]] = {
    "bool": sa.Boolean(),
    "int2": sa.SmallInteger(),
    "int4": sa.Integer(),
    "int8": sa.BigInteger(),
    "oid": sa.BigInteger(),
    "float4": sa.Double(),
    "float8": sa.Double(),
    "bytea": sa.LargeBinary(),
}
"""Of every dialect; a kind that is not here is text."""
MYSQL: Mapping[str, TypeEngine[Any]] = {
    "bytea": mysql.LONGBLOB(),
    "xid8": mysql.BIGINT(unsigned=True),
    "date": mysql.DATE(),
    "time": mysql.TIME(fsp=6),
    "timestamp": mysql.DATETIME(fsp=6),
    "timestamptz": mysql.DATETIME(fsp=6),
}
TIMES = ("date", "time", "timestamp", "timestamptz")


def column_type(table: Table, column: Column, settings: Settings, family: Family) -> TypeEngine[Any]:
    """What a column is created as."""
    override = settings.columns.get(f"{table.configured_name}.{column.name}")
    if override is not None:
        return _override(table, column, override, family)
    kind = column.type.kind
    if kind == "numeric" and family.is_mysql:
        return numeric(column.type.precision, column.type.scale, settings.unconstrained_numeric, family)
    if family.is_mysql and kind in MYSQL and (settings.times == "native" or kind not in TIMES):
        return MYSQL[kind]
    return KINDS.get(kind, family.text)


def numeric(precision: int | None, scale: int | None, unconstrained: str, family: Family) -> TypeEngine[Any]:
    """DECIMAL as far as its digits go; beyond, and without precision unless the rule says otherwise, text."""
    if precision is None:
        digits = re.findall(r"\d+", unconstrained)
        return mysql.DECIMAL(int(digits[0]), int(digits[1])) if digits else family.text
    decimals = max(scale or 0, 0)
    whole = max(precision - (scale or 0), 0)
    fits = whole + decimals <= MAX_DIGITS and decimals <= family.max_decimals
    return mysql.DECIMAL(max(whole + decimals, 1), decimals) if fits else family.text


def stored(kept: TypeEngine[Any], family: Family) -> Stored:
    """What a type amounts to, be it one of ours or one that was found in the target."""
    if isinstance(kept, sa.Boolean) or (isinstance(kept, mysql.TINYINT) and kept.display_width == 1):
        return Stored("bool")
    if isinstance(kept, sa.Integer):
        if getattr(kept, "unsigned", False):
            return Stored("unsigned", 64) if isinstance(kept, sa.BigInteger) else Stored("other")
        return Stored("integer", 64 if family.is_sqlite else _bits(kept))
    if isinstance(kept, sa.Float | sa.Double):
        is_double = isinstance(kept, sa.Double) or family.is_sqlite
        return Stored("double") if is_double else Stored("other")
    if isinstance(kept, sa.Numeric) and kept.precision is not None and not family.is_sqlite:
        return Stored("decimal", kept.precision, kept.scale or 0)
    if isinstance(kept, sa.DateTime | sa.Time):
        exact = family.is_mysql and getattr(kept, "fsp", None) == 6 and not isinstance(kept, mysql.TIMESTAMP)
        return (
            Stored("other") if not exact else Stored("timestamp" if isinstance(kept, sa.DateTime) else "time")
        )
    if isinstance(kept, sa.Date):
        return Stored("date") if family.is_mysql else Stored("other")
    if isinstance(kept, sa.String) and not isinstance(kept, sa.Enum):
        length = 16_383 if isinstance(kept, mysql.TEXT) else kept.length or 0
        return Stored("text", 0 if family.is_sqlite or isinstance(kept, mysql.LONGTEXT) else length)
    return Stored("binary") if isinstance(kept, sa._Binary) else Stored("other")


def _bits(kept: sa.Integer) -> int:
    if isinstance(kept, mysql.TINYINT | mysql.MEDIUMINT):
        return 8
    return 64 if isinstance(kept, sa.BigInteger) else 16 if isinstance(kept, sa.SmallInteger) else 32


def holds(present: Stored, wanted: Stored) -> bool:
    """Whether a column of one type holds every value of another, or refuses it; and never alters it."""
    if present == wanted or present.family == "text":
        return True
    if present.family == "integer":
        return wanted.family == "integer" and present.size >= wanted.size
    if present.family == "decimal":
        room = present.size - present.scale
        if wanted.family == "integer":
            return room >= INTEGER_DIGITS[wanted.size]
        return (
            wanted.family == "decimal"
            and present.scale >= wanted.scale
            and room >= wanted.size - wanted.scale
        )
    return False


def is_short(kept: TypeEngine[Any]) -> bool:
    """Whether a key of it can be declared as such: in MariaDB and MySQL not of texts, whose length an index limits."""
    return not isinstance(kept, sa.String | sa._Binary)


def indexed(kept: TypeEngine[Any]) -> str:
    """How much of a value is in an index, as SQL; empty: all."""
    length = getattr(kept, "length", None) or INDEXED + 1
    return "" if is_short(kept) or length <= INDEXED else f"({INDEXED})"


def way(kind: LogicalType, kept: Stored, family: Family) -> ColumnType | None:
    """How values of a type go into a column; None: they do not."""
    name = kind.kind
    if kept.family == "text":
        load = values.load_length(kept.size) if kept.size else values.load_text
        return ColumnType(kept, load, values.text_as_it_is)
    if kept.family == "decimal" and (name == "numeric" or name in INTEGERS):
        declared = kind.scale is not None and max(kind.scale, 0) == kept.scale
        load = values.load_decimal(kept.size, kept.scale)
        if name in INTEGERS:
            return ColumnType(kept, load, values.text_number)
        text = values.text_decimal if declared else values.text_number
        return ColumnType(kept, load, text, TEXT if declared else NUMBER, exact=declared)
    if name in ("float4", "float8") and kept.family == "double":
        load = values.load_float_loosely if family.is_sqlite else values.load_float
        text = values.text_float4 if name == "float4" else values.text_float
        return ColumnType(kept, load, text, FLOAT if family.is_sqlite else ONE_ZERO, exact=False)
    simple = SIMPLE.get((name, kept.family))
    return ColumnType(kept, *simple) if simple else None


SIMPLE: Mapping[tuple[str, str], tuple[values.Load, values.Text]] = {
    ("bool", "bool"): (values.load_bool, values.text_bool),
    **dict.fromkeys([(name, "integer") for name in INTEGERS], (int, str)),
    ("xid8", "unsigned"): (int, str),
    ("bytea", "binary"): (values.load_bytes, values.text_bytes),
    ("date", "date"): (values.load_date, values.text_date),
    ("time", "time"): (values.load_time, values.text_time),
    ("timestamp", "timestamp"): (values.load_timestamp, values.text_timestamp),
    ("timestamptz", "timestamp"): (values.load_timestamptz, values.text_timestamptz),
}


def _override(table: Table, column: Column, wanted: str, family: Family) -> TypeEngine[Any]:
    digits = re.fullmatch(r"DECIMAL\((\d{1,2}), ?(\d{1,2})\)", wanted.upper())
    if wanted.upper() in ("TEXT", "VARCHAR"):
        return family.text
    fits = (
        digits and int(digits[2]) <= min(int(digits[1]), family.max_decimals) and int(digits[1]) <= MAX_DIGITS
    )
    if digits and fits and column.type.kind == "numeric" and family.is_mysql:
        return mysql.DECIMAL(int(digits[1]), int(digits[2]))
    raise ConfigError(
        f"{column.type_name or column.type.kind} cannot be kept as {wanted}",
        where=f'[warehouses.….columns] "{table.full_name}.{column.name}"',
        hint='"TEXT" keeps the text of any type; numerics can be "DECIMAL(p,s)" in MariaDB and MySQL',
    )
