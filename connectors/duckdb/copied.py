"""A snapshot's CSV as Arrow columns (see `cdc.events.Chunk`).

Where Arrow reads PostgreSQL's text as exactly what DuckDB's cast would make of it, a column comes as values, in a third of
the time. What Arrow does not read (an infinity, a year BC) makes its column come as text from then on, for DuckDB's cast to
decide upon.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

import pyarrow as pa
from pyarrow import csv

from connectors.duckdb.sql import Plan
from connectors.duckdb.types import KINDS, ColumnType, decimal

MAX_BLOCK = 1 << 30  # of CSV; no row of PostgreSQL's is longer
VALUES: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.uint32(),
    "xid8": pa.uint64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
"""By kind; see `types.KINDS`."""
BY_CAST = {(KINDS[kind].sql, KINDS[kind].load): value for kind, value in VALUES.items()}
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
FAILED = re.compile(r"In CSV column #(\d+)")


def read(plan: Plan, data: bytes, texts: Collection[int]) -> pa.Table:
    """All columns: named `v0` … as values, `c0` … as text, which those of `texts` are.

    Raises pyarrow.ArrowInvalid: a text is not UTF-8.
    """
    unread = plan.unread
    while True:
        types = {
            index: kept
            for index, column in enumerate(plan.columns)
            if index not in unread and index not in texts and (kept := _value(column)) is not None
        }
        try:
            found = _read(data, len(plan.columns), types)
        except pa.ArrowInvalid as error:
            failed = FAILED.search(str(error))
            column = int(failed[1]) if failed else -1
            if not types or (failed and column not in types):
                raise
            unread |= {column} if failed else types.keys()
            continue
        wrong = {index for index, kept in types.items() if _overflows(kept, found[index])}
        if not wrong:
            return found
        unread |= wrong


@cache
def _value(column: ColumnType) -> pa.DataType | None:
    """What Arrow reads as DuckDB's cast does; None if that cast is not the type's own (see `catalog`)."""
    if digits := DECIMAL.fullmatch(column.sql):
        own = decimal(int(digits[1]), int(digits[2]))
        return pa.decimal128(int(digits[1]), int(digits[2])) if column.load == own.load else None
    return BY_CAST.get((column.sql, column.load))


def _overflows(kept: pa.DataType, column: pa.ChunkedArray) -> bool:
    """Has a decimal more digits than its type? Arrow counts them before it appends zeros, so it lets them in."""
    if not pa.types.is_decimal(kept):
        return False
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return True
    return False


def _read(data: bytes, width: int, types: Mapping[int, pa.DataType]) -> pa.Table:
    columns = {
        f"v{index}" if index in types else f"c{index}": types.get(index, pa.string())
        for index in range(width)
    }
    return csv.read_csv(
        pa.py_buffer(data),
        read_options=csv.ReadOptions(
            column_names=list(columns), use_threads=False, block_size=min(len(data) + 1, MAX_BLOCK)
        ),
        parse_options=csv.ParseOptions(
            newlines_in_values=True, double_quote=True, escape_char=False, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=columns,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
