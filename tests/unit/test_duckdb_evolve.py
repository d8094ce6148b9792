"""Tables as the source changes them: what is added, widened, kept, or refused with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.errors import TargetError
from cdc.fold import Merge
from cdc.interfaces import Checkpoint
from cdc.schema import Column, LogicalType, Table
from connectors import duckdb
from connectors.duckdb.warehouse import DuckDBWarehouse

ID = Column("id", LogicalType("int8"))


def of(kind: LogicalType, name: str = "v") -> Table:
    return Table("public", "t", (ID, Column(name, kind, type_name=kind.kind)), primary_key=(0,))


def numeric(precision: int | None = None, scale: int | None = None) -> LogicalType:
    return LogicalType("numeric", precision=precision, scale=scale)


def listed(kind: str) -> LogicalType:
    return LogicalType("array", element=LogicalType(kind))


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = duckdb.connect(duckdb.Settings(path=":memory:"), "unit")
    yield opened
    opened.close()


def query(warehouse: DuckDBWarehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.cursor() as cursor:
        return cursor.execute(sql).fetchall()


def shown(warehouse: DuckDBWarehouse) -> list[tuple[object, ...]]:
    """The type and the text of each row's v."""
    return query(warehouse, "select typeof(v), v::varchar from public.t order by id")


def put(warehouse: DuckDBWarehouse, table: Table, key: int, value: str) -> None:
    warehouse.evolve(table)
    warehouse.apply(Merge(table, upserts=[(b"%d" % key, value.encode())]))
    warehouse.commit(Checkpoint())


@pytest.mark.parametrize(
    ("narrow", "value", "wide", "other", "sql", "kept"),
    [
        (LogicalType("int2"), "-5", LogicalType("int8"), "9000000000", "BIGINT", "-5"),
        (LogicalType("int4"), "-5", numeric(12, 2), "1.25", "DECIMAL(12,2)", "-5.00"),
        (LogicalType("float4"), "0.1", LogicalType("float8"), "0.1", "DOUBLE", "0.10000000149011612"),
        (numeric(4, 2), "1.25", numeric(10, 4), "1.0001", "DECIMAL(10,4)", "1.2500"),
        (numeric(2, 2), "-0.25", numeric(), "1e5", "VARCHAR", "-0.25"),
        (LogicalType("date"), "0044-03-15 BC", LogicalType("text"), "x", "VARCHAR", "0044-03-15 BC"),
        (
            LogicalType("date"),
            "2024-02-29",
            LogicalType("timestamp"),
            "infinity",
            "TIMESTAMP",
            "2024-02-29 00:00:00",
        ),
        (
            LogicalType("uuid"),
            "0" * 32,
            LogicalType("text"),
            "x",
            "VARCHAR",
            "00000000-0000-0000-0000-000000000000",
        ),
    ],
)
def test_a_column_is_widened_without_loss(
    warehouse: DuckDBWarehouse,
    narrow: LogicalType,
    value: str,
    wide: LogicalType,
    other: str,
    sql: str,
    kept: str,
) -> None:
    put(warehouse, of(narrow), 1, value)
    put(warehouse, of(wide), 2, other)
    assert shown(warehouse)[0] == (sql, kept)
    put(warehouse, of(narrow), 3, value)  # of the older shape, still in the stream
    assert [row[0] for row in shown(warehouse)] == [sql] * 3


OLDER = Table("public", "t", (ID,), primary_key=(0,))


def filled(kind: LogicalType, missing: str) -> Table:
    """Of rows that are older than the column."""
    return replace(of(kind), columns=(ID, replace(of(kind).columns[1], missing=missing.encode())))


def put_older(warehouse: DuckDBWarehouse, key: int) -> None:
    warehouse.evolve(OLDER)
    warehouse.apply(Merge(OLDER, upserts=[(b"%d" % key,)]))
    warehouse.commit(Checkpoint())


@pytest.mark.parametrize("created", [False, True])
@pytest.mark.parametrize(
    ("kind", "missing", "shown_as"),
    [
        (listed("bytea"), r'{"\\x00ff",NULL}', r"['\\x00\\xFF', NULL]"),
        (listed("date"), "{2024-02-29}", "[2024-02-29]"),
        (LogicalType("bytea"), r"\x00ff", r"\x00\xFF"),
        (LogicalType("timestamp"), "0044-03-15 01:02:03 BC", "0044-03-15 (BC) 01:02:03"),
        (LogicalType("interval"), "1 day +02:03:04", "1 day 02:03:04"),
        (LogicalType("float8"), "-Infinity", "-inf"),
    ],
)
def test_older_rows_show_a_value_of_any_type_also_when_the_file_is_opened_again(
    tmp_path: Path, created: bool, kind: LogicalType, missing: str, shown_as: str
) -> None:
    rules = duckdb.Settings(path=str(tmp_path / "w.duckdb"))
    warehouse = duckdb.connect(rules, "unit")
    if not created:
        put_older(warehouse, 1)
    warehouse.evolve(filled(kind, missing))
    warehouse.commit(Checkpoint())
    put_older(warehouse, 2)
    warehouse.close()
    warehouse = duckdb.connect(rules, "unit")
    put_older(warehouse, 3)
    found = [text for _, text in shown(warehouse)]
    warehouse.close()
    assert found == [shown_as] * (2 if created else 3)


def test_what_older_rows_show_becomes_a_text_as_their_values_do(warehouse: DuckDBWarehouse) -> None:
    put(warehouse, filled(numeric(2, 2), "-0.25"), 1, "0.25")
    put(warehouse, of(numeric()), 2, "1e5")
    put_older(warehouse, 3)
    assert [text for _, text in shown(warehouse)] == ["0.25", "1e5", "-0.25"]


def test_a_value_that_cannot_be_kept_is_refused_when_an_older_row_needs_it(
    warehouse: DuckDBWarehouse,
) -> None:
    put(warehouse, filled(numeric(4, 2), "NaN"), 1, "0.25")
    with pytest.raises(TargetError):
        put_older(warehouse, 2)
    put(warehouse, filled(numeric(4, 2), "NaN"), 3, "0.5")
    assert [text for _, text in shown(warehouse)] == ["0.25", "0.50"]


@pytest.mark.parametrize(
    ("present", "value", "wanted"),
    [
        (LogicalType("int8"), "1", LogicalType("uuid")),
        (LogicalType("float8"), "0.1", LogicalType("text")),
        (LogicalType("timestamp"), "2024-01-01 00:00:00", LogicalType("timestamptz")),
        (numeric(10, 4), "1.0001", LogicalType("int8")),
        (LogicalType("bool"), "t", LogicalType("text")),
        (listed("int4"), "{1}", listed("text")),
    ],
)
def test_a_change_that_would_alter_rows_is_refused(
    warehouse: DuckDBWarehouse, present: LogicalType, value: str, wanted: LogicalType
) -> None:
    put(warehouse, of(present), 1, value)
    before = shown(warehouse)
    with pytest.raises(
        TargetError, match=r"column v is .* in the target, and the source now sends"
    ) as raised:
        warehouse.evolve(of(wanted))
    assert "resync public.t" in raised.value.hint
    assert shown(warehouse) == before


def test_a_narrower_type_stays_in_the_wider_column(warehouse: DuckDBWarehouse) -> None:
    put(warehouse, of(numeric(10, 4)), 1, "1.0001")
    put(warehouse, of(numeric(8, 2)), 2, "1.50")
    assert shown(warehouse) == [("DECIMAL(10,4)", "1.0001"), ("DECIMAL(10,4)", "1.5000")]


def test_names_that_differ_by_case_are_refused_wherever_they_come_from(warehouse: DuckDBWarehouse) -> None:
    put(warehouse, of(LogicalType("text")), 1, "x")
    for table, message in (
        (of(LogicalType("text"), "V"), "column 'V' cannot be told from 'v'"),
        (Table("public", "T", (ID,)), "table 'T' cannot be told from 't'"),
    ):
        with pytest.raises(TargetError, match=message):
            warehouse.evolve(table)
    assert shown(warehouse) == [("VARCHAR", "x")]


def test_schemas_with_the_names_of_duckdbs_own(warehouse: DuckDBWarehouse) -> None:
    for schema in ("main", "temp", "memory", "system"):
        table = Table(schema, "_cdc_rows_0", (ID,), primary_key=(0,))
        warehouse.evolve(table)
        warehouse.apply(Merge(table, upserts=[(b"1",)]))
        warehouse.commit(Checkpoint())
        assert query(warehouse, f'from memory."{schema}"._cdc_rows_0') == [(1,)]


def test_only_the_key_is_not_null_and_no_more_when_it_is_the_key_no_more(warehouse: DuckDBWarehouse) -> None:
    put(warehouse, of(LogicalType("text")), 1, "x")
    table = Table("public", "t", of(LogicalType("text")).columns, primary_key=(1,))
    warehouse.evolve(table)
    warehouse.apply(Merge(table, upserts=[(None, b"y")]))
    warehouse.commit(Checkpoint())
    assert query(warehouse, "select id from public.t where v = 'y'") == [(None,)]


def test_a_rule_that_is_changed_later_alters_the_column(tmp_path: Path) -> None:
    path = str(tmp_path / "w.duckdb")
    as_list, as_text = duckdb.Settings(path=path), duckdb.Settings(path=path, arrays="text")
    for key, (rules, value) in enumerate([(as_list, '{a,"b c",NULL}'), (as_text, "{{1}}")]):
        warehouse = duckdb.connect(rules, "unit")
        put(warehouse, of(listed("text")), key, value)
        found = shown(warehouse)
        warehouse.close()
    assert found == [("VARCHAR", '{a,"b c",NULL}'), ("VARCHAR", "{{1}}")]
