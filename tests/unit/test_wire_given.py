"""Debezium's records without a schema, read by one that the configuration gives; and how types are written there."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cdc.errors import DecodeError
from cdc.events import UNSENT, Change, Event, Truncate
from cdc.format import FormatSettings
from cdc.schema import LogicalType
from cdc.type_names import column_of
from cdc.wire import Decoder
from cdc.wire.numbers import postgres_double
from cdc.wire.record import Record

COLUMNS = {"id": "bigint", "n": "numeric(10,2)", "d": "date", "ip": "inet", "t": "text"}
SOURCE = {"schema": "public", "table": "orders", "ts_ms": 1, "sequence": '["5","7"]', "lsn": 7, "txId": 3}


def decoder(columns: dict[str, str] = COLUMNS, **given: Any) -> Decoder:
    schemas = {"public.orders": {"columns": columns, **given}}
    return Decoder(msgspec.convert({"compat": "debezium", "schemas": schemas}, FormatSettings), prefix="p")


def decoded(by: Decoder, row: dict[str, Any] | None, op: str = "c", key: Any = None) -> Event:
    sides = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
    value = json.dumps({**sides, "source": SOURCE, "op": op}).encode()
    [event] = by.decode(Record("p.public.orders", None if key is None else json.dumps(key).encode(), value))
    return event


def change(by: Decoder, row: dict[str, Any], op: str = "c", key: Any = None) -> Change:
    found = decoded(by, row, op, key)
    assert isinstance(found, Change)
    return found


ROW = {"id": 1, "n": "AP8=", "d": 19782, "ip": "10.0.0.1", "t": "__debezium_unavailable_value"}


def test_types_are_those_given_and_the_key_is_the_records() -> None:
    found = change(decoder(), ROW, key={"id": 1})
    assert [column.type for column in found.table.columns][:4] == [
        LogicalType("int8"), LogicalType("numeric", 10, 2), LogicalType("date"), LogicalType("inet"),
    ]  # fmt: skip
    assert found.new == (b"1", b"2.55", b"2024-02-29", b"10.0.0.1", UNSENT)
    assert found.table.primary_key == (0,)


def test_a_key_may_be_given() -> None:
    by = decoder(primary_key=["t", "id"])
    assert change(by, ROW, key={"id": 1}).table.primary_key == (4, 0)
    assert change(by, ROW, op="d").old == (b"1", UNSENT, UNSENT, UNSENT, UNSENT)


def test_one_table_serves_all_values() -> None:
    by = decoder()
    tables = {
        id(change(by, {**ROW, "id": number, "ip": ip}).table)
        for number in (1, -2, 30)
        for ip in ("::1", None)
    }
    assert len(tables) == 1


def test_a_column_that_records_do_not_have_yet_is_not_there_yet() -> None:
    by = decoder()
    before = change(by, {name: cell for name, cell in ROW.items() if name != "d"})
    assert before.table.column_names == ("id", "n", "ip", "t")
    assert change(by, ROW).table.column_names == tuple(COLUMNS)


def test_a_truncate_has_the_whole_table() -> None:
    found = decoded(decoder(), None, op="t")
    assert isinstance(found, Truncate)
    assert found.table.column_names == tuple(COLUMNS)


def test_a_truncate_of_a_table_that_nothing_is_known_of_asks_for_its_schema() -> None:
    by = Decoder(msgspec.convert({"compat": "debezium"}, FormatSettings), prefix="p")
    with pytest.raises(DecodeError, match=r'public\.orders.*\[format\.schemas\."public\.orders"\]'):
        decoded(by, None, op="t")
    row = change(by, {"id": 1})
    assert decoded(by, None, op="t").table is row.table  # type: ignore[union-attr]


def test_what_the_schema_lacks_is_told_with_its_place() -> None:
    with pytest.raises(
        DecodeError, match=r'\[format\.schemas\."public\.orders"\].*more is not there.*add it'
    ):
        change(decoder(), {**ROW, "more": 1})


@pytest.mark.parametrize(
    ("column", "cell"),
    [("id", "1"), ("id", True), ("n", 1.5), ("n", "1.50"), ("d", "2024-02-29"), ("ip", 5), ("t", {"a": 1}), ("t", True)],
)  # fmt: skip
def test_a_value_in_another_form_is_refused_with_its_column(column: str, cell: Any) -> None:
    if (column, cell) == ("n", 1.5):  # JsonConverter's decimal.format
        assert change(decoder(), {**ROW, column: cell}).new is not None
        return
    with pytest.raises(
        DecodeError, match=rf"public\.orders\.{column}: a value cannot be read as .*another form"
    ):
        change(decoder(), {**ROW, column: cell})


def test_no_value_is_in_the_message() -> None:
    with pytest.raises(DecodeError) as caught:
        change(decoder(), {**ROW, "d": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compat": ""}, "schemas are for topics that Debezium writes"),
        ({"schemas": {"orders": {"columns": COLUMNS}}}, "'orders' is not schema.table"),
        ({"schemas": {"a.b": {"columns": {}}}}, "columns: there are none"),
        ({"schemas": {"a.b": {"columns": {"x": "intger"}}}}, "columns: x: there is no type 'intger' .did you mean integer"),
        ({"schemas": {"a.b": {"columns": {"x": "text"}, "primary_key": ["y"]}}}, "there is no column 'y' under columns"),
    ],
)  # fmt: skip
def test_mistakes_in_a_schema_are_told(given: dict[str, Any], message: str) -> None:
    whole = {"compat": "debezium", "schemas": {"public.orders": {"columns": COLUMNS}}, **given}
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(whole, FormatSettings)


@pytest.mark.parametrize(
    ("written", "type", "printed"),
    [
        ("INT", LogicalType("int4"), "integer"),
        ("numeric( 10 , 2 )", LogicalType("numeric", 10, 2), "numeric(10,2)"),
        ("Decimal(5,-2)", LogicalType("numeric", 5, -2), "numeric(5,-2)"),
        ("char", LogicalType("char", length=1), "character(1)"),
        ('"char"', LogicalType("text"), '"char"'),
        ("bit varying(7)", LogicalType("varbit", length=7), "bit varying(7)"),
        ("timestamptz(3)", LogicalType("timestamptz", 3), "timestamp(3) with time zone"),
        ("timestamp(3) with time zone", LogicalType("timestamptz", 3), "timestamp(3) with time zone"),
        ("interval day to second(3)", LogicalType("interval", 3), "interval day to second(3)"),
        ("varchar(20)[][]", LogicalType("array", element=LogicalType("varchar", length=20)), "character varying(20)[]"),
        ("vector(3)", LogicalType("vector", length=3), "vector(3)"),
        ("citext[]", LogicalType("array", element=LogicalType("citext")), "citext[]"),
        ("geometry(Point,4326)", LogicalType("geometry"), "geometry(point,4326)"),
        ("int4range", LogicalType("range", element=LogicalType("int4")), "int4range"),
    ],
)  # fmt: skip
def test_types_are_written_as_in_sql(written: str, type: LogicalType, printed: str) -> None:
    column = column_of("x", written)
    assert (column.type, column.type_name) == (type, printed)


@pytest.mark.parametrize(
    "written", ["", "mood", "numeric(", "text with time zone", "interval dax", "a; drop", "pg_node_tree[]"]
)
def test_what_is_no_type_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"type|arrays"):
        column_of("x", written)


@pytest.mark.parametrize(
    ("java", "postgres"),
    [("1.0", "1"), ("-0.0", "-0"), ("1.0E300", "1e+300"), ("1.0E15", "1e+15"), ("1.23456789012345E14", "123456789012345"),
     ("1.0E-4", "0.0001"), ("1.25E-5", "1.25e-05"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("0.1", "0.1"),
     ("3.1863413041037928e+16", "3.1863413041037928e+16")],
)  # fmt: skip
def test_doubles_of_java_are_printed_as_postgresql_does(java: str, postgres: str) -> None:
    assert postgres_double(java.encode()) == postgres.encode()
