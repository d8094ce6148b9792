"""Snapshots in DuckDB: what Arrow reads comes as values, the rest as text; the target has the same either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from cdc.errors import ValueRefused
from cdc.events import Chunk, Control
from cdc.fold import Merge
from cdc.interfaces import Checkpoint
from cdc.lsn import START
from cdc.schema import Column, LogicalType, Table
from connectors import duckdb
from connectors.duckdb import copied
from connectors.duckdb.warehouse import DuckDBWarehouse

KINDS = ("int8", "timestamptz", "date", "bool", "float8", "text")
COLUMNS = tuple(Column(kind, LogicalType(kind)) for kind in KINDS)
TABLE = Table("public", "t", COLUMNS, primary_key=(0,))
PLAIN = b"2026-11-21 12:34:56.123456+00,2026-11-21,t,1.5,a text\n"
ODD = b'infinity,0044-03-15 BC,f,NaN,""\n'
NULL = b",,,,\n"
SHOWN = {
    PLAIN: ("2026-11-21 12:34:56.123456+00", "2026-11-21", "true", "1.5", "a text"),
    ODD: ("infinity", "0044-03-15 (BC)", "false", "nan", ""),
    NULL: (None,) * 5,
}


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = duckdb.connect(duckdb.Settings(path=":memory:"), "target")
    opened.evolve(TABLE)
    yield opened
    opened.close()


def copy(warehouse: DuckDBWarehouse, *rows: tuple[int, bytes], fresh: bool = False) -> None:
    csv = b"".join(b"%d,%s" % row for row in rows)
    chunk = Chunk(TABLE, csv, len(rows), START, Control("", b""), fresh=fresh)
    warehouse.apply(Merge(TABLE, chunk=chunk))
    warehouse.commit(Checkpoint())


def rows(warehouse: DuckDBWarehouse) -> list[tuple[object, ...]]:
    with warehouse.cursor() as cursor:
        return cursor.execute("select columns(*)::varchar from public.t order by int8").fetchall()


@pytest.mark.parametrize("fresh", [True, False])
def test_values_that_arrow_cannot_read_are_kept_beside_those_it_can(
    warehouse: DuckDBWarehouse, *, fresh: bool
) -> None:
    chunks = [[PLAIN, NULL], [ODD, PLAIN], [PLAIN]]
    given = [[(10 * n + i, line) for i, line in enumerate(lines)] for n, lines in enumerate(chunks)]
    for each in given:
        copy(warehouse, *each, fresh=fresh)
    assert rows(warehouse) == [(str(key), *SHOWN[line]) for each in given for key, line in each]


def test_a_chunk_replaces_rows_that_are_there_and_leaves_the_others(warehouse: DuckDBWarehouse) -> None:
    copy(warehouse, (1, PLAIN), (2, PLAIN))
    copy(warehouse, (2, NULL), (3, NULL))
    assert rows(warehouse) == [("1", *SHOWN[PLAIN]), ("2", *SHOWN[NULL]), ("3", *SHOWN[NULL])]


def test_a_column_comes_as_text_after_a_value_that_arrow_cannot_read() -> None:
    opened = duckdb.connect(duckdb.Settings(path=":memory:"), "target")
    opened.evolve(TABLE)
    plan = opened._plans[TABLE.full_name]
    values = copied.read(plan, b"1," + PLAIN, ())
    assert values.column_names == ["v0", "v1", "v2", "v3", "v4", "c5"]
    assert copied.read(plan, b"1," + ODD, ()).column_names == ["v0", "c1", "c2", "v3", "v4", "c5"]
    assert copied.read(plan, b"1," + PLAIN, ()).column_names == ["v0", "c1", "c2", "v3", "v4", "c5"]
    assert copied.read(plan, b"1," + PLAIN, (0,)).column_names[0] == "c0"
    opened.close()


def one(kind: LogicalType) -> Table:
    return Table("public", "one", (Column("id", LogicalType("int8")), Column("v", kind)), primary_key=(0,))


@pytest.mark.parametrize(
    ("precision", "scale", "text", "shown"),
    [
        (8, 2, b"999999.99", "999999.99"),
        (8, 2, b"-999999", "-999999.00"),
        (8, 2, b"1.5", "1.50"),
        (8, 2, b"1000000", None),
        (8, 2, b"99999999", None),
        (8, 2, b"1.234", None),
        (8, 2, b"NaN", None),
        (18, 6, b"12345678901234567", None),
        (18, 6, b"123456789012.345678", "123456789012.345678"),
        (38, 9, b"123456789012345678901234567890", None),
        (38, 9, b"12345678901234567890123456789", "12345678901234567890123456789.000000000"),
        (3, 3, b"-0.125", "-0.125"),
    ],
)
@pytest.mark.parametrize("copied", [True, False])
def test_a_decimal_is_kept_or_refused_whether_it_is_copied_or_streamed(
    warehouse: DuckDBWarehouse, precision: int, scale: int, text: bytes, shown: str | None, *, copied: bool
) -> None:
    table = one(LogicalType("numeric", precision=precision, scale=scale))
    chunk = Chunk(table, b"1,%s\n" % text, 1, START, Control("", b""))
    merge = Merge(table, chunk=chunk) if copied else Merge(table, upserts=[(b"1", text)])
    warehouse.evolve(table)
    if shown is None:
        with pytest.raises(ValueRefused):
            warehouse.apply(merge)
    else:
        warehouse.apply(merge)
        warehouse.commit(Checkpoint())
        with warehouse.cursor() as cursor:
            assert cursor.execute("select v from public.one").fetchall()[0][0] == Decimal(shown)


@pytest.mark.parametrize("copied", [True, False])
def test_a_real_in_a_column_of_doubles_is_the_same_whether_it_is_copied_or_streamed(
    warehouse: DuckDBWarehouse, *, copied: bool
) -> None:
    real = one(LogicalType("float4"))
    warehouse.evolve(one(LogicalType("float8")))
    warehouse.evolve(real)  # the wider column stays
    chunk = Chunk(real, b"1,0.1\n", 1, START, Control("", b""))
    warehouse.apply(Merge(real, chunk=chunk) if copied else Merge(real, upserts=[(b"1", b"0.1")]))
    warehouse.commit(Checkpoint())
    with warehouse.cursor() as cursor:
        found = cursor.execute("select typeof(v), v = '0.1'::float::double from public.one").fetchall()
    assert found == [("DOUBLE", True)]


@pytest.mark.parametrize("key", [(0, 2), (2,)])
def test_a_key_that_older_rows_do_not_have_yet_is_looked_for(
    warehouse: DuckDBWarehouse, key: tuple[int, ...]
) -> None:
    before = one(LogicalType("int8"))
    after = replace(before, columns=(*before.columns, Column("n", LogicalType("int8"))), primary_key=key)
    warehouse.evolve(before)
    warehouse.apply(Merge(before, upserts=[(b"1", b"1"), (b"2", b"2")]))
    warehouse.commit(Checkpoint())
    warehouse.evolve(after)
    for _ in range(2):
        warehouse.apply(Merge(after, upserts=[(b"3", b"3", b"7")]))
        warehouse.commit(Checkpoint())
    with warehouse.cursor() as cursor:
        found = cursor.execute("select * from public.one order by id").fetchall()
    assert found == [(1, 1, None), (2, 2, None), (3, 3, 7)]
