"""Snapshots in DuckDB: what Arrow reads comes as values, the rest as text; the target has the same either way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
