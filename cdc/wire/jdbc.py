"""A column's type as JDBC tells it: name, size and digits, which Debezium goes by when it cuts, and propagates into schemas."""

from __future__ import annotations

import re
from functools import lru_cache

from cdc.schema import Column, LogicalType, Table
from cdc.wire.names import matcher

UNLIMITED = 2_147_483_647
SIZES = {
    "bool": 1,
    "int2": 5,
    "int4": 10,
    "oid": 10,
    "int8": 19,
    "float4": 8,
    "float8": 17,
    "date": 13,
    "interval": 49,
}
CLOCKS = {"time": 8, "timetz": 14, "timestamp": 22, "timestamptz": 28}
"""Characters without those of the fraction."""
NUMERIC = 131_089
CHAR_OID, CHAR_ARRAY_OID = 18, 1002
ALL_FIELDS = 65_535  # PostgreSQL's own "no precision", of an interval that is limited to some fields

NAMES = {
    "integer": "int4",
    "smallint": "int2",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character": "bpchar",
    "character varying": "varchar",
    "bit varying": "varbit",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_MODIFIER = re.compile(r"\([^()\"]*\)")


def size(column: Column) -> int:
    """How many characters, digits or bits a value may have."""
    of = _scalar(column.type)
    if column.type_oid in (CHAR_OID, CHAR_ARRAY_OID):
        return 1
    if of.kind in CLOCKS:
        digits = 6 if of.precision is None else of.precision
        return CLOCKS[of.kind] + (0 if digits == 0 else max(digits, 2) + 1)
    if of.kind == "numeric":
        return of.precision or NUMERIC
    return of.length or SIZES.get(of.kind, UNLIMITED)


def digits(column: Column) -> int:
    """JDBC's scale."""
    of = _scalar(column.type)
    if of.kind in ("float4", "float8"):
        return SIZES[of.kind]
    if of.kind == "interval" and " " in column.type_name and "(" not in column.type_name:
        return ALL_FIELDS
    if of.kind in CLOCKS or of.kind == "interval":
        return 6 if of.precision is None else of.precision
    return of.scale or 0


def type_name(column: Column) -> str:
    """pg_type's name of it; an array's begins with an underscore."""
    return _type_name(column.type_name)


@lru_cache(maxsize=4096)
def _type_name(formatted: str) -> str:
    plain = formatted.removesuffix("[]")
    array = "_" if plain != formatted else ""
    if not plain.endswith('"'):
        plain = _MODIFIER.sub("", plain)
        if plain.startswith("interval "):
            plain = "interval"
        plain = NAMES.get(plain, plain)
    quoted = re.search(r'"((?:[^"]|"")*)"$', plain)
    return array + (quoted[1].replace('""', '"') if quoted else plain.rpartition(".")[2])


def _scalar(of: LogicalType) -> LogicalType:
    return of.element if of.kind == "array" and of.element else of


def propagated(table: Table, column: Column, columns: list[str], types: list[str]) -> dict[str, str]:
    """The schema's parameters that tell the source's type, where a rule asks for them."""
    place, kind = f"{table.full_name}.{column.name}", f"{table.full_name}.{type_name(column)}"
    if not (matcher(columns).fullmatch(place) or matcher(types).fullmatch(kind)):
        return {}
    told = {
        "type": type_name(column).upper(),
        "length": size(column),
        "scale": digits(column),
        "name": column.name,
    }
    return {f"__debezium.source.column.{name}": str(value) for name, value in told.items()}
