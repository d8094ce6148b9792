"""Hundreds of tables in one transaction: DuckDB's memory, statements that are prepared, and what a rollback leaves of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.errors import ValueRefused
from cdc.events import UNSENT
from cdc.interfaces import Checkpoint
from cdc.merge import Merge, Patch, RenameColumn
from cdc.schema import Column, LogicalType, Table
from connectors.duckdb import Settings, connect
from connectors.duckdb.opening import size
from connectors.duckdb.warehouse import DuckDBWarehouse

TABLE = Table(
    "public",
    "t",
    (Column("id", LogicalType("int8")), Column("v", LogicalType("text")), Column("n", LogicalType("int4"))),
    primary_key=(0,),
    identity=(0,),
)
TABLES = [replace(TABLE, name=f"t{n}") for n in range(300)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    settings = Settings(path=str(tmp_path / "w.duckdb"), memory_limit="60MB")
    warehouse = connect(settings, "local")
    yield warehouse  # type: ignore[misc]
    warehouse.close()


def apply(warehouse: DuckDBWarehouse, tables: list[Table], first: int, value: bytes) -> None:
    """Ten rows from key `first` on, and the deletion of the one before."""
    for table in tables:
        rows = [(b"%d" % n, value, b"1") for n in range(first, first + 10)]
        warehouse.evolve(table)
        missing = warehouse.apply(Merge(table, upserts=list(rows), deletes=[(b"%d" % (first - 1),)]))
        assert not missing


def rows(warehouse: DuckDBWarehouse, table: Table) -> list[tuple[object, ...]]:
    return warehouse.cursor().execute(f"select id, v from public.{table.name} order by id").fetchall()


def test_versions_of_three_hundred_tables_have_room(warehouse: DuckDBWarehouse) -> None:
    """DuckDB keeps a block of 256 KiB in memory for each table with rows that were changed: more than the limit allows."""
    for turn in range(3):
        apply(warehouse, TABLES, turn * 5 + 1, b"%d" % turn)
        warehouse.commit(Checkpoint())
    wanted = [*[(n, "0") for n in range(1, 5)], *[(n, "1") for n in range(6, 10)]]
    wanted += [(n, "2") for n in range(11, 21)]
    assert all(rows(warehouse, table) == wanted for table in TABLES)


def test_what_is_prepared_outlives_errors_rollbacks_and_changes_of_shape(warehouse: DuckDBWarehouse) -> None:
    tables = TABLES[:3]
    for turn in range(3):  # the third time, all that can be is prepared
        apply(warehouse, tables, 1, b"%d" % turn)
        warehouse.commit(Checkpoint())
    with pytest.raises(ValueRefused, match="cannot be kept as BIGINT"):
        warehouse.apply(Merge(tables[0], upserts=[(b"x", b"1", b"1")]))
    apply(warehouse, tables, 1, b"lost")
    with pytest.raises(ValueRefused, match="cannot be kept as INTEGER"):
        warehouse.apply(Merge(tables[0], upserts=[(b"5", b"1", b"x")]))
    apply(warehouse, tables, 1, b"undone")
    warehouse.rollback()
    assert rows(warehouse, tables[1]) == [(n, "2") for n in range(1, 11)]
    for turn in range(3):
        wide = [replace(t, columns=(*t.columns, Column(f"c{turn}", LogicalType("text")))) for t in tables]
        for table in wide:
            warehouse.evolve(table)
            patch = Patch((b"2", UNSENT, b"7", b"new"), (b"2",))
            warehouse.apply(Merge(table, upserts=[(b"1", b"w", b"1", b"new")], patches=[patch]))
        warehouse.commit(Checkpoint())
        apply(warehouse, tables, 3, b"%d" % turn)
        warehouse.commit(Checkpoint())
    assert rows(warehouse, tables[2]) == [(1, "w"), *[(n, "2") for n in range(3, 13)]]


def test_a_table_that_is_made_costs_the_others_nothing_later(warehouse: DuckDBWarehouse) -> None:
    """DuckDB plans anew, each time, what was prepared before any table was made or altered, and while one is."""
    inserts = "select count(*) from duckdb_prepared_statements() where statement like '%INSERT INTO%public%'"
    own = warehouse._connection  # statements are prepared for one connection
    others, new = TABLES[:5], TABLES[5]
    for turn in range(2):
        apply(warehouse, others, 1 + turn, b"1")
        warehouse.commit(Checkpoint())
    assert own.execute(inserts).fetchall() == [(5,)]
    apply(warehouse, [new, *others], 1, b"2")
    assert own.execute(inserts).fetchall() == [(0,)]
    warehouse.commit(Checkpoint())
    apply(warehouse, [new, *others], 1, b"3")
    warehouse.commit(Checkpoint())
    assert own.execute(inserts).fetchall() == [(6,)]
    warehouse.alter(new, [RenameColumn("v", "w")])
    warehouse.commit(Checkpoint())
    assert own.execute(inserts).fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("text", "bytes_"), [("256MB", 256_000_000), ("1.5 GiB", 3 << 29), ("10KiB", 10_240), ("7B", 7)]
)
def test_sizes(text: str, bytes_: int) -> None:
    assert size(text) == bytes_
