"""Single rules of the wire that the recordings do not show, or show only in a heap of others."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cdc.errors import DecodeError, ValueRefused
from cdc.events import (
    DELETE,
    INSERT,
    UNSENT,
    UPDATE,
    Begin,
    Change,
    Chunk,
    Commit,
    Control,
    Event,
    Message,
    Truncate,
)
from cdc.format import FormatSettings
from cdc.lsn import Position
from cdc.schema import Column, LogicalType, Table
from cdc.wire import Decoder, Encoder, Record, SchemaUnknown
from cdc.wire.csv_rows import read_rows

BEGIN = Begin(100, 1_700_000_000_123_456, 7)
NAMES = ("id", "note", "amount")
COLUMNS = (
    Column("id", LogicalType("int4"), 23, nullable=False),
    Column("note", LogicalType("text"), 25),
    Column("amount", LogicalType("numeric"), 1700),
)
PERSON = Table("public", "person", COLUMNS, (0,), "d", (0,))
ROW = (b"1", b"hello", b"1.50")


def change(op: str, old: Any, new: Any, table: Table = PERSON) -> Change:
    return Change(table, op, old, new, BEGIN, 3, 500, 0)


INSERTED = change(INSERT, None, ROW)
DELETED = change(DELETE, (b"1", UNSENT, UNSENT), None)
MOVED = change(UPDATE, (b"1", UNSENT, UNSENT), (b"2", b"hello", b"1.50"))


def encoder(**options: Any) -> Encoder:
    settings = msgspec.convert(options, FormatSettings)
    return Encoder(settings, prefix="p", database="d", clock=lambda: 1_700_000_001_000_000_000, version="v")


def records(event: Event, **options: Any) -> list[Record]:
    of = encoder(**options)
    return [record for record in of.encode(event) if record.topic != of.topics.schemas]


def value(record: Record) -> dict[str, Any]:
    assert record.value is not None
    found: dict[str, Any] = json.loads(record.value)
    return found


def test_an_insert_of_ours() -> None:
    (record,) = records(INSERTED)
    assert (record.topic, record.key, record.headers) == ("p.public.person", b'{"id":1}', [])
    shown = value(record)
    assert shown["after"] == {"id": 1, "note": "hello", "amount": "1.50"}
    assert (shown["op"], shown["source"]["commit_lsn"], shown["source"]["ordinal"]) == ("c", 100, 3)
    assert shown["source"]["schema_id"] == PERSON.fingerprint


def test_the_schema_comes_once_and_first() -> None:
    of = encoder()
    assert [record.topic for record in of.encode(INSERTED)] == ["p.cdc-schemas", "p.public.person"]
    assert [record.topic for record in of.encode(INSERTED)] == ["p.public.person"]


def test_under_compat_our_facts_are_a_header() -> None:
    (record,) = records(INSERTED, compat="debezium")
    assert "schema_id" not in value(record)["source"]
    assert record.headers == [("cdc.source", f"{PERSON.fingerprint} 100 3".encode())]


def test_a_delete_knows_its_key_alone() -> None:
    ours, tombstone = records(DELETED)
    assert value(ours)["before"] == {"id": 1}
    assert (tombstone.key, tombstone.value) == (b'{"id":1}', None)
    assert value(records(DELETED, compat="debezium")[0])["before"] == {"id": 1, "note": None, "amount": None}


def test_a_changed_key_is_three_records() -> None:
    gone, tombstone, came = records(MOVED)
    assert (gone.key, tombstone.key, came.key) == (b'{"id":1}', b'{"id":1}', b'{"id":2}')
    assert gone.headers == tombstone.headers == [("__debezium.newkey", b'{"id":2}')]
    assert came.headers == [("__debezium.oldkey", b'{"id":1}')]
    assert [value(each)["op"] for each in (gone, came)] == ["d", "c"]


def test_what_was_not_sent_is_left_out_or_named() -> None:
    update = change(UPDATE, None, (b"1", UNSENT, b"2"))
    assert value(records(update)[0])["after"] == {"id": 1, "amount": "2"}
    (record,) = records(update, schemas_enable=True)
    assert value(record)["payload"]["after"]["note"] == "__debezium_unavailable_value"
    assert ("cdc.unsent", b'["note"]') in record.headers


@pytest.mark.parametrize("options", [{}, {"compat": "debezium"}, {"schemas_enable": True}])
def test_records_come_back_in_every_mode(options: dict[str, Any]) -> None:
    of, decoder = encoder(**options), Decoder(msgspec.convert(options, FormatSettings), prefix="p")
    update = change(UPDATE, None, (b"1", UNSENT, None))
    inserted = change(
        INSERT, None, (b"1", b"hello", b"1.5")
    )  # Debezium strips zeros of numerics without scale
    events = [inserted, update, DELETED, Truncate(PERSON, BEGIN, 9, 600), Message("x", b"\0", 7, BEGIN, 10)]
    given = [
        event for event in events if options.get("compat") != "debezium" or not isinstance(event, Truncate)
    ]
    found = [back for event in given for record in of.encode(event) for back in decoder.decode(record)]
    assert [type(each) for each in found] == [type(each) for each in given]
    for event, back in zip(given, found, strict=True):
        for name in set(event.__struct_fields__) - {"table", "size"}:
            assert getattr(back, name) == getattr(event, name)


def test_a_column_that_gets_another_type_is_read_by_the_new_schema_and_older_rows_by_theirs() -> None:
    kinds = LogicalType("int4"), LogicalType("text")
    number, text = (Table("public", "t", (COLUMNS[0], Column("v", kind)), (0,), "d", (0,)) for kind in kinds)
    encode, decoder = encoder(), Decoder(FormatSettings(), prefix="p")
    cells = (number, b"7"), (text, b"seven"), (number, b"8"), (text, b"eight")
    events = [change(INSERT, None, (b"1", cell), table) for table, cell in cells]
    back = [each for event in events for record in encode.encode(event) for each in decoder.decode(record)]
    assert [(each.new, each.table.fingerprint) for each in back if isinstance(each, Change)] == [
        (event.new, event.table.fingerprint) for event in events
    ]


def test_a_record_before_its_schema_says_so() -> None:
    with pytest.raises(SchemaUnknown) as caught:
        Decoder(FormatSettings(), prefix="p").decode(records(INSERTED)[0])
    assert caught.value.schema_id == PERSON.fingerprint


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"op":"c"}', b"\xff", b'{"schema":1,"payload":2}']
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(DecodeError):
        Decoder(FormatSettings(), prefix="p").decode(Record("p.public.person", None, text))


def test_tombstones_and_metadata_give_nothing() -> None:
    decoder = Decoder(FormatSettings(), prefix="p")
    assert decoder.decode(Record("p.public.person", b"1", None)) == ()
    assert decoder.decode(Record("p.transaction", b"1", b"{}")) == ()


def test_debeziums_records_without_schemas_are_read_by_inference() -> None:
    decoder = Decoder(FormatSettings(compat="debezium"), prefix="p")
    text = (
        b'{"before":null,"after":{"id":1,"x":1.5,"t":"a","b":true,"n":null},"op":"c","source":{"schema":"s","table":"t",'
        b'"ts_ms":5,"lsn":20,"txId":3,"sequence":"[\\"10\\",\\"20\\"]"}}'
    )
    (event,) = decoder.decode(Record("p.s.t", b'{"id":1}', text))
    assert isinstance(event, Change)
    assert [column.type.kind for column in event.table.columns] == ["int8", "float8", "text", "bool", "text"]
    assert (event.new, event.position, event.table.primary_key) == (
        (b"1", b"1.5", b"a", b"t", None),
        (10, 20),
        (0,),
    )


def test_values_without_a_form_are_refused_unless_debezium_drops_them() -> None:
    event = change(INSERT, None, (b"1", None, b"NaN"))
    with pytest.raises(ValueRefused, match="NaN"):
        records(event, decimal_handling_mode="precise")
    dropped = records(event, compat="debezium")[0]
    assert value(dropped)["after"]["amount"] is None


def test_excluded_columns_are_in_no_schema() -> None:
    of = encoder(column_exclude_list=["public.person.NOTE"])
    schema, record = of.encode(INSERTED)
    assert [column["name"] for column in json.loads(schema.value or b"")["columns"]] == ["id", "amount"]
    assert value(record)["after"] == {"id": 1, "amount": "1.50"}


def test_a_snapshot_marks_its_first_and_last_rows() -> None:
    chunk = Chunk(
        PERSON, b'1,a,\n2,"b""\n",1\n3,,2\n', 3, Position(50, 9), Control("k", b""), first=True, last=True
    )
    marks = [value(record)["source"]["snapshot"] for record in records(chunk)]
    assert marks == ["first", "true", "last_in_data_collection"]
    assert [value(record)["after"] for record in records(chunk)][1] == {
        "id": 2,
        "note": 'b"\n',
        "amount": "1",
    }


def test_csv_tells_null_from_empty() -> None:
    assert list(read_rows(b"1,\n2,x\n")) == [(b"1", None), (b"2", b"x")]
    assert list(read_rows(b'1,""\n,"a,""b"\n')) == [(b"1", b""), (None, b'a,"b')]
    assert list(read_rows(b'\n""\n')) == [(None,), (b"",)]


def test_transactions_are_told_once_they_have_an_event() -> None:
    of = encoder(provide_transaction_metadata=True)
    found = [record for event in (BEGIN, INSERTED, Commit(BEGIN, 120, 1)) for record in of.encode(event)]
    told = [value(record) for record in found if record.topic == "p.transaction"]
    assert [(each["status"], each["event_count"]) for each in told] == [("BEGIN", None), ("END", 1)]
    assert list(of.encode(Commit(Begin(200, 0, 8), 210, 0))) == []
