"""Assemble: the plugin's messages become events, with their transaction, their number in it and the shape of their table.

Here the stream's order is known, so here its rules are checked: a row lies between Begin and Commit, its relation was described
and has as many columns as the row, a commit ends the transaction that began. And here cells get their meaning: outside of the
replica identity an old row's nulls are not values (they are `UNSENT`), and under FULL what was not sent again is in the old row.

`Assembler` takes one message after the other and holds nothing but the open Begin and the tables. `Feed` joins a
decoder to it: a frame in, its events out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from cdc.errors import DecodeError
from cdc.events import DELETE, INSERT, UNSENT, UPDATE, Begin, Change, Commit, Event, Message, Row, Truncate
from cdc.lsn import Lsn, format_lsn
from cdc.schema import Table
from cdc.source.frames import PAYLOAD, read_xlog_data
from cdc.source.messages import (
    BeginMessage,
    CommitMessage,
    DecodedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalMessage,
    RelationMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
)

Describe: TypeAlias = Callable[[RelationMessage, Mapping[int, TypeMessage]], Table | None]
"""The table of a relation, given the types that the stream has named so far; None: it is not captured."""

NOTHING: tuple[Event, ...] = ()


class Assembler:
    """Callable: (message, its WAL position, its bytes on the wire) → the events that it gives, none or more.

    Every row of a transaction has its ordinal, also of tables that are not captured: so a position means the same row
    after the choice of tables has changed.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._types: dict[int, TypeMessage] = {}
        self._shapes: dict[int, _Shape] = {}
        self._begin: Begin | None = None
        self._ordinal = 0
        self._events = 0
        self._handlers: dict[type, Callable[[Any, Lsn, int], tuple[Event, ...]]] = {
            InsertMessage: self._insert,
            UpdateMessage: self._update,
            DeleteMessage: self._delete,
            BeginMessage: self._begin_transaction,
            CommitMessage: self._commit,
            RelationMessage: self._relation,
            TypeMessage: self._type,
            TruncateMessage: self._truncate,
            LogicalMessage: self._message,
        }

    def __call__(self, message: DecodedMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        handler = self._handlers.get(type(message))
        return handler(message, lsn, size) if handler else NOTHING

    def _insert(self, message: InsertMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        shape = self._shape(message.relation, message.new)
        return self._change(shape, INSERT, None, message.new, lsn, size)

    def _update(self, message: UpdateMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        new, old = message.new, message.old
        shape = self._shape(message.relation, new)
        if old is not None:
            self._shape(message.relation, old)
            if message.old_kind == "K":
                old = shape.key_only(old)
            elif UNSENT in new:
                new = tuple([o if n is UNSENT else n for n, o in zip(new, old, strict=True)])
        return self._change(shape, UPDATE, old, new, lsn, size)

    def _delete(self, message: DeleteMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        old = message.old
        shape = self._shape(message.relation, old)
        if message.old_kind == "K":
            old = shape.key_only(old)
        return self._change(shape, DELETE, old, None, lsn, size)

    def _change(
        self, shape: _Shape, op: str, old: Row | None, new: Row | None, lsn: Lsn, size: int
    ) -> tuple[Event, ...]:
        begin = self._begin
        if begin is None:
            raise _out_of_order("a row came outside a transaction", lsn)
        self._ordinal += 1
        table = shape.table
        if table is None:
            return NOTHING
        self._events += 1
        if shape.project is not None:
            old = old and shape.project(old)
            new = new and shape.project(new)
        return (Change(table, op, old, new, begin, self._ordinal, lsn, size),)

    def _begin_transaction(self, message: BeginMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        if self._begin is not None:
            raise _out_of_order(f"a transaction began inside that of xid {self._begin.xid}", lsn)
        begin = self._begin = Begin(message.commit_lsn, message.commit_us, message.xid)
        self._ordinal = self._events = 0
        return (begin,)

    def _commit(self, message: CommitMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        begin, self._begin = self._begin, None
        if begin is None:
            raise _out_of_order("a commit came outside a transaction", lsn)
        if begin.commit_lsn != message.commit_lsn:
            said = f"the commit at {format_lsn(message.commit_lsn)} ends a transaction that announced"
            raise _out_of_order(f"{said} {format_lsn(begin.commit_lsn)}", lsn)
        return (Commit(begin, message.end_lsn, self._events),)

    def _relation(self, message: RelationMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        self._shapes[message.oid] = _Shape(message, self._describe(message, self._types))
        return NOTHING

    def _type(self, message: TypeMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        self._types[message.oid] = message
        return NOTHING

    def _truncate(self, message: TruncateMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        begin = self._begin
        if begin is None:
            raise _out_of_order("a truncate came outside a transaction", lsn)
        events = []
        for relation in message.relations:
            self._ordinal += 1
            table = self._shape(relation, None).table
            if table is not None:
                events.append(
                    Truncate(table, begin, self._ordinal, lsn, message.cascade, message.restart_identity)
                )
        self._events += len(events)
        return tuple(events)

    def _message(self, message: LogicalMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        if not message.transactional:
            return (Message(message.prefix, message.content, message.lsn, None, 0),)
        if self._begin is None:
            raise _out_of_order("a transactional message came outside a transaction", lsn)
        self._ordinal += 1
        self._events += 1
        return (Message(message.prefix, message.content, message.lsn, self._begin, self._ordinal),)

    def _shape(self, relation: int, row: Row | None) -> _Shape:
        shape = self._shapes.get(relation)
        if shape is None:
            raise DecodeError(f"a row of relation {relation} came before its description", hint=_AGAIN)
        if row is not None and len(row) != shape.width:
            raise DecodeError(
                f"a row has {len(row)} cells for the {shape.width} columns of its table",
                where=shape.name,
                hint=_AGAIN,
            )
        return shape


class _Shape:
    """A relation's table (None: not captured) and how its rows become the table's."""

    __slots__ = ("key", "name", "project", "table", "width")

    def __init__(self, relation: RelationMessage, table: Table | None) -> None:
        self.table = table
        self.name = f"{relation.schema}.{relation.name}"
        self.width = len(relation.columns)
        self.key = tuple(column.key for column in relation.columns)
        self.project = None if table is None else _projection(relation, table)

    def key_only(self, row: Row) -> Row:
        """An old row of which only the replica identity was sent."""
        return tuple([cell if key else UNSENT for cell, key in zip(row, self.key, strict=True)])


_AGAIN = "nothing of its transaction was confirmed: restart to read it again, and report a bug if it stays"


def _out_of_order(what: str, lsn: Lsn) -> DecodeError:
    return DecodeError(what, where=f"at {format_lsn(lsn)}", hint=_AGAIN)


def _projection(relation: RelationMessage, table: Table) -> Callable[[Row], Row] | None:
    """What picks the table's cells out of a row; None where the table has all columns of the relation."""
    names = [column.name for column in relation.columns]
    wanted = [names.index(column.name) for column in table.columns]
    if wanted == list(range(len(names))):
        return None
    if len(wanted) == 1:
        return lambda row: (row[wanted[0]],)
    return itemgetter(*wanted) if wanted else lambda row: ()


Decoder: TypeAlias = Callable[[bytes | memoryview, int], DecodedMessage | Sequence[DecodedMessage]]
"""(frame, where its payload begins) → the message; wal2json's decoder gives several, a relation before its first row."""


def feed(decode: Decoder, assemble: Assembler) -> Callable[[bytes | memoryview], Sequence[Event]]:
    """Decoder and assembler in one: an XLogData frame in, its events out."""

    def events(frame: bytes | memoryview) -> Sequence[Event]:
        lsn = read_xlog_data(frame)[0]
        message = decode(frame, PAYLOAD)
        if not isinstance(message, tuple):
            return assemble(message, lsn, len(frame))
        return [event for one in message for event in assemble(one, lsn, len(frame))]

    return events
