"""wal2json's decoder: values, relations out of rows, and what it refuses. The bytes are as the plugin prints them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cdc.errors import DecodeError
from cdc.events import UNSENT
from cdc.source.messages import (
    BeginMessage,
    CommitMessage,
    DeleteMessage,
    InsertMessage,
    LogicalMessage,
    RelationMessage,
    TruncateMessage,
    UpdateMessage,
)
from cdc.source.wal2json import Wal2jsonDecoder, add_tables
from cdc.tables import ColumnFacts, TableFacts

ID = {"name": "id", "type": "integer", "typeoid": 23, "value": 1, "position": 1}
NOTE = {"name": "note", "type": "text", "typeoid": 25, "value": "x", "position": 2}
PRICE = {"name": "price", "type": "numeric(10,2)", "typeoid": 1700, "value": 1.5, "position": 3}
FACTS = TableFacts(
    16400,
    "public",
    "orders",
    primary_key=("id",),
    columns=(
        ColumnFacts("id", 1, 23, type_name="integer"),
        ColumnFacts("note", 2, 25, type_name="text"),
        ColumnFacts("price", 3, 1700, (10 << 16 | 2) + 4, "numeric(10,2)"),
        ColumnFacts("twice", 4, 23, type_name="integer", generated="s"),
        ColumnFacts("late", 5, 25, type_name="text"),
    ),
)


def record(action: str, columns: Any = (), identity: Any = (), pk: Any = (ID,), **more: Any) -> bytes:
    def plain(cells: Any, *without: str) -> list[Any]:
        return [{key: value for key, value in cell.items() if key not in without} for cell in cells]

    fields = {
        "action": action,
        "lsn": "0/1943A90",
        "schema": "public",
        "table": "orders",
        "columns": plain(columns),
        "identity": plain(identity, "position"),
        "pk": plain(pk, "position", "value"),
        **more,
    }
    return json.dumps(fields).encode()


def decoder(facts: TableFacts | None = FACTS, **more: Any) -> Wal2jsonDecoder:
    return Wal2jsonDecoder(lambda _schema, _table: facts, numbers_as_text=True, **more)


def test_transactions_and_messages() -> None:
    decode = decoder()
    ends = {"timestamp": "2026-11-21 10:13:12.82012+00", "nextlsn": "0/1943B38", "xid": 726}
    us = 1795255992820120
    assert decode(record("B", **ends)) == (BeginMessage(0x1943A90, us, 726),)
    assert decode(record("C", **ends)) == (CommitMessage(0x1943A90, 0x1943B38, us),)
    zone = {**ends, "timestamp": "2026-11-21 15:43:12+05:30"}
    assert decode(record("B", **zone)) == (BeginMessage(0x1943A90, us // 10**6 * 10**6, 726),)
    said = {"transactional": False, "prefix": 'p"', "content": 'a"\u00e9', "xid": None, "timestamp": None}
    assert decode(record("M", **said)) == (LogicalMessage(False, 0x1943A90, 'p"', 'a"é'.encode()),)


def test_a_relation_comes_before_its_first_row_only() -> None:
    decode = decoder()
    relation, insert = decode(b"frame" + record("I", [ID, NOTE, PRICE]), 5)
    assert isinstance(relation, RelationMessage)
    assert (relation.oid, relation.replica_identity) == (16400, "d")
    assert [(c.name, c.type_oid, c.typmod, c.key) for c in relation.columns] == [
        ("id", 23, -1, True),
        ("note", 25, -1, False),
        ("price", 1700, (10 << 16 | 2) + 4, False),
    ]
    assert insert == InsertMessage(16400, (b"1", b"x", b"1.5"))
    assert decode(record("I", [ID, NOTE, PRICE])) == (insert,)


@pytest.mark.parametrize(
    "changed",
    [
        [ID, NOTE],
        [ID, NOTE, PRICE | {"type": "numeric(12,2)"}],
        [ID, NOTE, PRICE | {"typeoid": 25}],
        [ID, NOTE, PRICE | {"position": 6}],
        [ID, NOTE | {"name": "remark"}, PRICE],
        [ID, NOTE, PRICE, NOTE | {"name": "new", "position": 7}],
    ],
)
def test_a_row_that_contradicts_the_relation_makes_another(changed: list[Any]) -> None:
    decode = decoder()
    decode(record("I", [ID, NOTE, PRICE]))
    relation, insert = decode(record("I", changed))
    assert isinstance(relation, RelationMessage)
    assert isinstance(insert, InsertMessage)
    assert [column.name for column in relation.columns] == [cell["name"] for cell in changed]
    assert len(insert.new) == len(changed)


def test_updates_leave_out_unchanged_toast() -> None:
    """Of a table not seen before, the catalog knows which columns those are; generated ones are not sent at all."""
    twice = {"name": "twice", "type": "integer", "typeoid": 23, "value": 2, "position": 4}
    decode = decoder()
    relation, update = decode(record("U", [ID, PRICE, twice], [ID]))
    assert isinstance(relation, RelationMessage)
    assert [column.name for column in relation.columns] == ["id", "note", "price", "late"]
    assert update == UpdateMessage(16400, (b"1", UNSENT, b"1.5", UNSENT), None, "")
    # A column that has no TOAST is not left out: it was dropped.
    decode(record("I", [ID, NOTE, {**ID, "name": "n", "position": 6}]))
    relation, update = decode(record("U", [ID, NOTE], [ID]))
    assert isinstance(relation, RelationMessage)
    assert [column.name for column in relation.columns] == ["id", "note"]


def test_old_rows() -> None:
    decode = decoder()
    _, update = decode(record("U", [ID | {"value": 2}, NOTE, PRICE], [ID]))
    assert update == UpdateMessage(16400, (b"2", b"x", b"1.5", UNSENT), (b"1", UNSENT, UNSENT, UNSENT), "K")
    (delete,) = decode(record("D", identity=[ID]))
    assert delete == DeleteMessage(16400, (b"1", UNSENT, UNSENT, UNSENT), "K")


def test_replica_identity_is_what_old_rows_show() -> None:
    decode = decoder()
    decode(record("I", [ID, NOTE]))
    relation, update = decode(record("U", [ID, NOTE], [ID, NOTE]))
    assert isinstance(relation, RelationMessage)
    assert (relation.replica_identity, [column.key for column in relation.columns]) == ("f", [True, True])
    assert update == UpdateMessage(16400, (b"1", b"x"), (b"1", b"x"), "O")
    relation, _ = decode(record("U", [ID, NOTE], [NOTE]))
    assert isinstance(relation, RelationMessage)
    assert (relation.replica_identity, [column.key for column in relation.columns]) == ("i", [False, True])


def test_a_table_that_is_gone() -> None:
    """Nobody knows more than the record shows; the OID is made up, and kept."""
    decode = decoder(None)
    relation, delete = decode(record("D", identity=[ID]))
    assert isinstance(relation, RelationMessage)
    assert isinstance(delete, DeleteMessage)
    assert [column.name for column in relation.columns] == ["id"]
    assert delete.relation == relation.oid > 1 << 31
    again, _ = decode(record("I", [ID, NOTE]))
    assert isinstance(again, RelationMessage)
    assert again.oid == relation.oid
    (truncate,) = decode(record("T"))
    assert truncate == TruncateMessage((relation.oid,), cascade=False, restart_identity=False)


@pytest.mark.parametrize(
    ("typeoid", "value", "text"),
    [
        (16, "true", b"t"),
        (16, "false", b"f"),
        (23, "null", None),
        (701, "-0", b"-0"),
        (1700, "1" * 500 + ".50", b"1" * 500 + b".50"),
        (1700, '"NaN"', b"NaN"),
        (17, '"00ff"', b"\\x00ff"),
        (17, '""', b"\\x"),
        (25, '"null"', b"null"),
        (25, '"\\u0001\\"\\\\\\n"', b'\x01"\\\n'),
        (25, '"\\\\x00"', b"\\x00"),
        (-1, '"an OID past 2147483647"', b"an OID past 2147483647"),
    ],
)
def test_values(typeoid: int, value: str, text: bytes | None) -> None:
    cell = ID | {"typeoid": typeoid, "value": "VALUE"}
    relation, insert = decoder()(record("I", [cell]).replace(b'"VALUE"', value.encode()))
    assert isinstance(relation, RelationMessage)
    assert isinstance(insert, InsertMessage)
    assert (relation.columns[0].type_oid, insert.new) == (typeoid & 0xFFFFFFFF, (text,))


def test_null_numbers_of_old_versions() -> None:
    data = record("I", [ID, PRICE | {"value": None}])
    with pytest.raises(DecodeError, match=r"public\.orders: null in column price may have been NaN"):
        Wal2jsonDecoder(lambda _schema, _table: None, numbers_as_text=False)(data)
    trusting = Wal2jsonDecoder(lambda _schema, _table: None, numbers_as_text=False, null_numbers=True)
    for decode in (trusting, decoder()):
        insert = decode(data)[-1]
        assert isinstance(insert, InsertMessage)
        assert insert.new == (b"1", None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        record("?"),
        record("B"),
        record("I", [ID])[:-5],
        record("I", [{"name": "id"}]),
        record("I", [ID | {"typeoid": "x"}]),
        record("C", timestamp="2026-11-21 10:13:12+00"),
        record("I", [NOTE | {"value": "\x01"}]).replace(b"\\u0001", b"\\ud800"),
        b"action",
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="wal2json"):
        decoder()(data)


def test_every_truncation_is_refused() -> None:
    data = record("U", [ID, NOTE, PRICE], [ID])
    decode = decoder()
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:length])


def test_add_tables_escapes() -> None:
    option = add_tables([("public", "orders"), ("Odd, Schema.*", "T \\x")])
    assert option == {"add-tables": "public.orders,Odd\\,\\ Schema\\.\\*.T\\ \\\\x"}
