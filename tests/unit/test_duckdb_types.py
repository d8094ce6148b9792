"""The table of types is complete, names types as DuckDB does, and lets nothing through that a cast would alter."""

from __future__ import annotations

import duckdb
import pytest

from cdc.digest import FLOAT, NUMBER, TEXT
from cdc.errors import ConfigError
from cdc.pgtypes import KINDS as ALL_KINDS
from cdc.schema import Column, LogicalType, Table
from connectors.duckdb import Settings
from connectors.duckdb.types import KINDS, column_type, logical, numeric
from connectors.sql import arrays

SETTINGS = Settings(path=":memory:")


def table(kind: LogicalType) -> Table:
    return Table("public", "t", (Column("c", kind),))


@pytest.fixture
def scratch() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def test_every_kind_has_a_row() -> None:
    assert KINDS.keys() == ALL_KINDS
    assert {kept.form for kept in KINDS.values()} <= {TEXT, FLOAT, NUMBER}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_types_are_named_as_duckdb_names_them(kind: str, scratch: duckdb.DuckDBPyConnection) -> None:
    for each in (LogicalType(kind), LogicalType("array", element=LogicalType(kind))):
        kept = logical(each, SETTINGS)
        scratch.execute(f"create or replace table t (c {kept.sql})")
        assert scratch.execute(
            "select data_type from duckdb_columns() where table_name = 't'"
        ).fetchall() == [(kept.sql,)]
        text = "NULL::VARCHAR[]" if kept.array == "list" else "NULL::VARCHAR"
        query = f"select {kept.load_of(text)}, {kept.text_of('c')} from t right join (select 1) on true"
        null = scratch.execute(query).fetchall()
        assert null == [(None, None)]
    scratch.close()


@pytest.mark.parametrize(
    ("precision", "scale", "sql"),
    [
        (10, 2, "DECIMAL(10,2)"),
        (38, 38, "DECIMAL(38,38)"),
        (39, 1, "VARCHAR"),
        (1000, 0, "VARCHAR"),
        (5, -3, "DECIMAL(8,0)"),
        (30, -9, "VARCHAR"),
        (2, 5, "DECIMAL(5,5)"),
        (2, 39, "VARCHAR"),
        (None, None, "VARCHAR"),
    ],
)
def test_numerics_are_decimals_as_far_as_their_digits_go(
    precision: int | None, scale: int | None, sql: str
) -> None:
    assert numeric(precision, scale, "text").sql == sql


@pytest.mark.parametrize("text", ["1.005", "0.001", "-0.0000001", "99999999999", "NaN", "Infinity"])
def test_a_decimal_is_never_rounded(text: str, scratch: duckdb.DuckDBPyConnection) -> None:
    kept = numeric(10, 2, "text")
    with pytest.raises(duckdb.ConversionException):
        scratch.execute(f"select {kept.load_of('x')} from (values ('1.00'), ('{text}')) v(x)").fetchall()
    scratch.close()


def test_rules_and_overrides() -> None:
    bare = table(LogicalType("numeric"))
    chosen = Settings(path="", unconstrained_numeric="decimal(20,4)")
    assert column_type(bare, bare.columns[0], chosen).sql == "DECIMAL(20,4)"
    assert column_type(bare, bare.columns[0], chosen).form == NUMBER
    text = Settings(path="", columns={"public.t.c": "varchar"}, unconstrained_numeric="decimal(20,4)")
    assert column_type(bare, bare.columns[0], text).sql == "VARCHAR"
    digits = Settings(path="", columns={"public.t.c": "DECIMAL(30, 10)"})
    assert column_type(bare, bare.columns[0], digits).sql == "DECIMAL(30,10)"
    for wrong in ("INTEGER", "DECIMAL(39,2)", "DECIMAL(2,3)"):
        with pytest.raises(ConfigError, match="cannot be kept as"):
            column_type(bare, bare.columns[0], Settings(path="", columns={"public.t.c": wrong}))
    floats = table(LogicalType("float8"))
    with pytest.raises(ConfigError):
        column_type(floats, floats.columns[0], digits)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        (b"{}", []),
        (b"{1,NULL,3}", [b"1", None, b"3"]),
        (b'{"NULL",NULL,null}', [b"NULL", None, b"null"]),
        (b'{"",a}', [b"", b"a"]),
        (b'{"a,b","{}","q\\"q","b\\\\s"," x "}', [b"a,b", b"{}", b'q"q', b"b\\s", b" x "]),
        ('{é,"😀 "}'.encode(), ["é".encode(), "😀 ".encode()]),
        (b"{a;b}", [b"a;b"]),
    ],
)
def test_arrays_are_taken_apart(text: bytes, elements: list[bytes | None]) -> None:
    assert arrays.flat(text) == elements
    assert arrays.nested(text) == elements


def test_arrays_that_are_no_lists() -> None:
    assert arrays.nested(b'{{1,2},{NULL,"a b"}}') == [[b"1", b"2"], [None, b"a b"]]
    with pytest.raises(arrays.Unlistable, match="several dimensions"):
        arrays.flat(b"{{1}}")
    for take in (arrays.flat, arrays.nested):
        with pytest.raises(arrays.Unlistable, match="lower bound"):
            take(b"[0:1]={1,2}")


def test_arrays_as_json() -> None:
    assert arrays.to_json(b"{1,NULL}", "int4") == b"[1,null]"
    assert arrays.to_json(b"{t,f}", "bool") == b"[true,false]"
    assert arrays.to_json(b"{{1.50,NaN}}", "numeric") == b'[[1.50,"NaN"]]'
    assert arrays.to_json(b'{"a b",x}', "text") == b'["a b","x"]'
