"""Events out of messages: ordinals, old rows, skipped tables, and the order that is insisted on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cdc.errors import DecodeError
from cdc.events import DELETE, INSERT, UNSENT, UPDATE, Begin, Change, Commit, Event, Message, Truncate
from cdc.schema import Table
from cdc.source.assemble import Assembler
from cdc.source.messages import (
    BeginMessage,
    CommitMessage,
    DecodedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalMessage,
    OriginMessage,
    RelationColumn,
    RelationMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
)
from cdc.tables import build_table


def relation(oid: int, name: str, identity: str = "d", key: str = "a") -> RelationMessage:
    columns = tuple(RelationColumn(column, 25, -1, key=column in key) for column in "abc")
    return RelationMessage(oid, "public", name, identity, columns)


ORDERS, SECRET, LOG = relation(1, "orders"), relation(2, "secret"), relation(3, "log", "f", "abc")
BEGIN, COMMIT = BeginMessage(100, 5, 7), CommitMessage(100, 110, 5)


def describe(relation: RelationMessage, _types: Mapping[int, TypeMessage]) -> Table | None:
    return None if relation.name == "secret" else build_table(relation)


def run(*messages: DecodedMessage) -> list[Event]:
    assemble = Assembler(describe)
    for each in (ORDERS, SECRET, LOG):
        assert assemble(each, 0, 0) == ()
    return [event for lsn, each in enumerate(messages) for event in assemble(each, lsn, 9)]


def test_a_transaction() -> None:
    begin, insert, update, delete, commit = run(
        BEGIN,
        OriginMessage(1, "elsewhere"),
        InsertMessage(1, (b"1", None, b"x")),
        UpdateMessage(1, (b"1", UNSENT, b"y"), None, ""),
        DeleteMessage(1, (b"1", None, None), "K"),
        COMMIT,
    )
    assert begin == Begin(100, 5, 7)
    assert isinstance(insert, Change)
    assert insert == Change(insert.table, INSERT, None, (b"1", None, b"x"), begin, 1, 2, 9)
    assert update == Change(insert.table, UPDATE, None, (b"1", UNSENT, b"y"), begin, 2, 3, 9)
    assert delete == Change(insert.table, DELETE, (b"1", UNSENT, UNSENT), None, begin, 3, 4, 9)
    assert commit == Commit(begin, 110, 3)


def test_old_rows_of_updates() -> None:
    _, key_change, full = run(
        BEGIN,
        UpdateMessage(1, (b"2", UNSENT, b"y"), (b"1", None, None), "K"),
        UpdateMessage(3, (b"2", UNSENT, None), (b"1", b"big", b"c"), "O"),
    )
    assert isinstance(key_change, Change)
    assert isinstance(full, Change)
    assert (key_change.old, key_change.new) == ((b"1", UNSENT, UNSENT), (b"2", UNSENT, b"y"))
    assert (full.old, full.new) == ((b"1", b"big", b"c"), (b"2", b"big", None))


def test_rows_of_other_tables_keep_their_ordinals() -> None:
    _, insert, truncate, message, commit = run(
        BEGIN,
        InsertMessage(2, (b"1", b"", b"")),
        InsertMessage(1, (b"1", b"", b"")),
        TruncateMessage((2, 1), cascade=True, restart_identity=False),
        LogicalMessage(True, 50, "p", b"c"),
        COMMIT,
    )
    assert isinstance(insert, Change)
    assert isinstance(truncate, Truncate)
    assert isinstance(message, Message)
    assert [insert.ordinal, truncate.ordinal, message.ordinal] == [2, 4, 5]
    assert (truncate.cascade, truncate.restart_identity) == (True, False)
    assert commit == Commit(insert.begin, 110, 3)


def test_messages_outside_of_transactions_stand_anywhere() -> None:
    message = Message("p", b"c", 50, None, 0)
    outside = LogicalMessage(False, 50, "p", b"c")
    assert run(outside, BEGIN, outside, COMMIT)[::2] == [message, message]


def test_a_table_of_fewer_columns_gets_shorter_rows() -> None:
    def narrow(relation: RelationMessage, _types: Mapping[int, TypeMessage]) -> Table:
        kept = tuple(column for column in relation.columns if column.name in relation.name)
        return build_table(RelationMessage(relation.oid, "public", relation.name, "d", kept))

    assemble = Assembler(narrow)
    for oid, name in [(1, "ac"), (2, "b"), (3, "-")]:
        assemble(relation(oid, name), 0, 0)
    assemble(BEGIN, 0, 0)
    rows = []
    for oid in (1, 2, 3):
        (event,) = assemble(UpdateMessage(oid, (b"1", UNSENT, b"3"), (b"0", None, None), "K"), 0, 0)
        assert isinstance(event, Change)
        rows.append((event.old, event.new))
    assert rows == [((b"0", UNSENT), (b"1", b"3")), ((UNSENT,), (UNSENT,)), ((), ())]


def test_a_relation_described_again_changes_later_rows_only() -> None:
    _, before, after = run(
        BEGIN,
        InsertMessage(1, (b"1", b"", b"")),
        RelationMessage(1, "public", "renamed", "d", ORDERS.columns[:1]),
        InsertMessage(1, (b"2",)),
    )
    assert isinstance(before, Change)
    assert isinstance(after, Change)
    assert (before.table.name, after.table.name, len(after.table.columns)) == ("orders", "renamed", 1)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([InsertMessage(1, (b"", b"", b""))], "at 0/0: a row came outside of a transaction"),
        ([TruncateMessage((1,), False, False)], "truncate came outside"),
        ([LogicalMessage(True, 1, "", b"")], "message came outside"),
        ([COMMIT], "commit came outside"),
        ([BEGIN, BEGIN], "began inside that of xid 7"),
        ([BEGIN, CommitMessage(101, 110, 5)], "to commit at 0/64 was ended by 0/65"),
        ([BEGIN, InsertMessage(9, (b"",))], "relation 9 was never described"),
        ([BEGIN, TruncateMessage((9,), False, False)], "relation 9 was never described"),
        ([BEGIN, InsertMessage(1, (b"",))], "public.orders: a row has 1 columns"),
        ([BEGIN, UpdateMessage(1, (b"", b"", b""), (b"",), "K")], "a row has 1 columns"),
    ],
)
def test_what_breaks_the_order_is_refused(messages: list[DecodedMessage], said: str) -> None:
    with pytest.raises(DecodeError, match=said) as caught:
        run(*messages)
    assert "restart" in caught.value.hint
