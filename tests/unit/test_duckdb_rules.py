"""Values that a column cannot hold: refused by name, or made NULL and told, as the settings say; never altered, never quoted."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from cdc.errors import TargetError, ValueRefused
from cdc.events import UNSENT, Chunk, Control
from cdc.fold import Merge, Patch
from cdc.interfaces import Checkpoint
from cdc.lsn import START
from cdc.schema import FULL, Column, LogicalType, Table
from connectors import duckdb
from connectors.duckdb.warehouse import DuckDBWarehouse

PRICE = Column("price", LogicalType("numeric", precision=6, scale=2), type_name="numeric(6,2)")
TAGS = Column("tags", LogicalType("array", element=LogicalType("int4")), type_name="integer[]")
TABLE = Table("public", "t", (Column("id", LogicalType("int8")), PRICE, TAGS), primary_key=(0,))
BY_PRICE = Table("public", "by_price", (PRICE, TAGS), primary_key=(0,))
KEYLESS = Table("public", "loose", (PRICE, TAGS), replica_identity=FULL, identity=(0, 1))
SECRET = b"1234.56789"  # too many decimals for a price


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens warehouses by their rules, and closes them."""
    warehouses: list[DuckDBWarehouse] = []

    def open_with(**rules: Any) -> DuckDBWarehouse:
        warehouses.append(duckdb.connect(duckdb.Settings(path=":memory:", **rules), "shop"))
        return warehouses[-1]

    yield open_with
    for warehouse in warehouses:
        warehouse.close()


def put(warehouse: DuckDBWarehouse, merge: Merge) -> None:
    warehouse.evolve(merge.table)
    warehouse.apply(merge)
    warehouse.commit(Checkpoint())


def rows(warehouse: DuckDBWarehouse, table: Table = TABLE) -> list[tuple[Any, ...]]:
    with warehouse.cursor() as cursor:
        return cursor.execute(f"select columns(*)::varchar from {table.full_name} order by all").fetchall()


def chunk(csv: bytes) -> Merge:
    return Merge(TABLE, chunk=Chunk(TABLE, csv, 1, START, Control("", b"")))


@pytest.mark.parametrize(
    ("merge", "where", "rule"),
    [
        (Merge(TABLE, upserts=[(b"1", SECRET, None)]), "public.t.price", "unrepresentable"),
        (Merge(TABLE, patches=[Patch((b"0", SECRET, UNSENT), (b"0",))]), "public.t.price", "unrepresentable"),
        (chunk(b"1,%s,\n" % SECRET), "public.t.price", "unrepresentable"),
        (
            Merge(BY_PRICE, deletes=[(SECRET,)], upserts=[(b"1", None)]),
            "public.by_price.price",
            "unrepresentable",
        ),
        (
            Merge(BY_PRICE, patches=[Patch((b"1", UNSENT), (SECRET,))]),
            "public.by_price.price",
            "unrepresentable",
        ),
        (Merge(KEYLESS, removals={(SECRET, None): 1}), "public.loose.price", "unrepresentable"),
        (Merge(TABLE, upserts=[(b"1", None, b"{{1234567}}")]), "public.t.tags", "arrays"),
        (Merge(TABLE, upserts=[(b"1", None, b"{1234x}")]), "public.t.tags", "unrepresentable"),
        (Merge(TABLE, upserts=[(b"1", b"\xff\xfe1234", None)]), "public.t.price", "encoding"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(opened: Any, merge: Merge, where: str, rule: str) -> None:
    warehouse = opened()
    put(warehouse, Merge(TABLE, upserts=[(b"0", None, None)]))
    put(warehouse, Merge(BY_PRICE, upserts=[(b"0.00", None)]))
    with pytest.raises(ValueRefused) as raised:
        put(warehouse, merge)
    assert (raised.value.where, raised.value.rule) == (where, rule)
    assert raised.value.hint
    assert "1234" not in "".join(traceback.format_exception(raised.value)).replace("(6,2)", "")
    assert rows(warehouse) == [("0", None, None)]


def test_a_column_can_be_kept_as_text(opened: Any) -> None:
    warehouse = opened(columns={"public.t.price": "VARCHAR", "public.t.tags": "VARCHAR"})
    put(warehouse, Merge(TABLE, upserts=[(b"1", b"NaN", b"[0:0]={{1}}")]))
    assert rows(warehouse) == [("1", "NaN", "[0:0]={{1}}")]


def test_null_by_rule_is_told(opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = opened(unrepresentable="null")
    bad, fine = (b"NaN", b"{{1}}"), (b"1.50", b"{1}")
    put(warehouse, Merge(TABLE, upserts=[(b"1", *bad), (b"2", *fine), (b"3", None, None)]))
    put(warehouse, Merge(TABLE, patches=[Patch((b"2", b"NaN", UNSENT), (b"2",))]))
    put(warehouse, chunk(b"4,NaN,{5}\n"))
    assert rows(warehouse) == [("1", None, None), ("2", None, "[1]"), ("3", None, None), ("4", None, "[5]")]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.split(" could")[0] for text in told] == [
        "public.t: 1 values of column tags",
        "public.t: 1 values of column price",
        "public.t: 1 values of column price",
        "public.t: 1 values of column price",
    ]


def test_a_key_is_never_made_null(opened: Any) -> None:
    warehouse = opened(unrepresentable="null")
    with pytest.raises(ValueRefused) as raised:
        put(warehouse, Merge(BY_PRICE, upserts=[(b"NaN", None)]))
    assert raised.value.where == "public.by_price.price"
    assert "stores NULL" not in raised.value.hint


def test_copies_that_are_not_there_are_told(opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = opened()
    put(warehouse, Merge(KEYLESS, inserts=[(b"1.00", None)]))
    put(warehouse, Merge(KEYLESS, removals={(b"1.00", None): 3, (b"2.00", b"{7}"): 1}))
    assert rows(warehouse, KEYLESS) == []
    assert "public.loose: 3 of 4 rows to remove were not in the target" in caplog.text
    assert "2.00" not in caplog.text


def test_rows_without_key_are_told_apart_by_their_text(opened: Any) -> None:
    """What DuckDB takes for equal, and PostgreSQL prints differently."""
    kinds = ("float8", "interval", "json", "timetz")
    table = Table("public", "loose", tuple(Column(kind, LogicalType(kind)) for kind in kinds), (), FULL)
    one = (b"0", b"1 mon", b'{"a":1}', b"12:00:00+02")
    others = [
        (b"-0", *one[1:]),
        (one[0], b"30 days", *one[2:]),
        (*one[:2], b'{"a": 1}', one[3]),
        (*one[:3], b"10:00:00+00"),
    ]
    warehouse = opened()
    put(warehouse, Merge(table, inserts=[one, *others]))
    for other in others:
        before = len(rows(warehouse, table))
        put(warehouse, Merge(table, removals={other: 2}))
        assert len(rows(warehouse, table)) == before - 1
    assert rows(warehouse, table) == [("0.0", "1 month", '{"a":1}', "12:00:00+02")]


def test_a_column_named_rowid_hides_what_removals_need(opened: Any) -> None:
    table = Table("public", "loose", (Column("ROWID", LogicalType("text")),), (), FULL)
    warehouse = opened()
    put(warehouse, Merge(table, inserts=[(b"a",)]))
    with pytest.raises(TargetError, match="column rowid"):
        put(warehouse, Merge(table, removals={(b"a",): 1}))
    assert rows(warehouse, table) == [("a",)]
