"""Assemble: the plugin's messages become events, with their transaction, their number in it and their table.

Here the stream's order is known, so here its rules are checked: a row lies between Begin and Commit, its relation
was described and has as many columns as the row, a commit ends the transaction that began. And here cells get their
meaning: outside of the replica identity an old row's nulls are no values (they are `UNSENT`), and under FULL what
was not sent again stands in the old row.

Nothing is held but the open Begin and the tables. A stream has one assembler: after an error both are made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, TypeAlias

from cdc.errors import DecodeError
from cdc.events import DELETE, INSERT, UNSENT, UPDATE, Begin, Change, Commit, Event, Message, Row, Truncate
from cdc.lsn import Lsn, format_lsn
from cdc.schema import Table
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
"""The table of a relation, given the types that the stream has named so far; None: it is not captured.

The table may have fewer columns than the relation, or others in their order: rows are cut to it by name.
"""

AGAIN = "nothing of its transaction was confirmed: restart to read it again, and report a bug if it stays"
HEARTBEAT = "cdc.heartbeat"  # the prefix of messages that only keep the stream moving
NO_EVENTS: tuple[Event, ...] = ()


class Assembler:
    """Callable: (message, its WAL position, its bytes on the wire) → the events that it gives, mostly one.

    Every row of a transaction has its ordinal, also those of tables that are not captured: so a position means the
    same row after the choice of tables has changed.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._types: dict[int, TypeMessage] = {}
        self._shapes: dict[int, Shape] = {}
        self._begin: Begin | None = None
        self._ordinal = 0
        self._events = 0
        self._handlers: dict[type, Callable[[Any, Lsn, int], tuple[Event, ...]]] = {
            InsertMessage: self._insert,
            UpdateMessage: self._update,
            DeleteMessage: self._delete,
            BeginMessage: self._transaction,
            CommitMessage: self._commit,
            RelationMessage: self._relation,
            TypeMessage: self._type,
            TruncateMessage: self._truncate,
            LogicalMessage: self._message,
        }

    def __call__(self, message: DecodedMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        handler = self._handlers.get(type(message))
        return handler(message, lsn, size) if handler else NO_EVENTS

    def shape(self, relation: int, width: int) -> Shape:
        """The shape of a relation of which a row with so many columns has come."""
        shape = self._described(relation)
        if width != shape.width:
            raise DecodeError(
                f"a row has {width} columns and its relation was described with {shape.width}",
                where=shape.name,
                hint=AGAIN,
            )
        return shape

    def change(
        self, shape: Shape, op: str, old: Row | None, new: Row | None, lsn: Lsn, size: int
    ) -> tuple[Event, ...]:
        """The event of one row, whose cells have their meaning already."""
        begin = self._begin
        if begin is None:
            raise _out_of_order("a row came outside of a transaction", lsn)
        self._ordinal += 1
        if shape.table is None:
            return NO_EVENTS
        self._events += 1
        if shape.project is not None:
            old = old and shape.project(old)
            new = new and shape.project(new)
        return (Change(shape.table, op, old, new, begin, self._ordinal, lsn, size),)

    def _insert(self, message: InsertMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        shape = self.shape(message.relation, len(message.new))
        return self.change(shape, INSERT, None, message.new, lsn, size)

    def _update(self, message: UpdateMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        new, old = message.new, message.old
        shape = self.shape(message.relation, len(new))
        if old is not None:
            self.shape(message.relation, len(old))
            old, new = shape.both(old, new, message.old_kind)
        return self.change(shape, UPDATE, old, new, lsn, size)

    def _delete(self, message: DeleteMessage, lsn: Lsn, size: int) -> tuple[Event, ...]:
        shape = self.shape(message.relation, len(message.old))
        return self.change(shape, DELETE, shape.old(message.old, message.old_kind), None, lsn, size)

    def _transaction(self, message: BeginMessage, lsn: Lsn, _size: int) -> tuple[Event, ...]:
        if self._begin is not None:
            raise _out_of_order(f"a transaction began inside that of xid {self._begin.xid}", lsn)
        begin = self._begin = Begin(message.commit_lsn, message.commit_us, message.xid)
        self._ordinal = self._events = 0
        return (begin,)

    def _commit(self, message: CommitMessage, lsn: Lsn, _size: int) -> tuple[Event, ...]:
        begin, self._begin = self._begin, None
        if begin is None:
            raise _out_of_order("a commit came outside of a transaction", lsn)
        if begin.commit_lsn != message.commit_lsn:
            promised, came = format_lsn(begin.commit_lsn), format_lsn(message.commit_lsn)
            raise _out_of_order(f"a transaction that is to commit at {promised} was ended by {came}", lsn)
        return (Commit(begin, message.end_lsn, self._events),)

    def _relation(self, message: RelationMessage, _lsn: Lsn, _size: int) -> tuple[Event, ...]:
        self._shapes[message.oid] = Shape(message, self._describe(message, self._types))
        return NO_EVENTS

    def _type(self, message: TypeMessage, _lsn: Lsn, _size: int) -> tuple[Event, ...]:
        self._types[message.oid] = message
        return NO_EVENTS

    def _truncate(self, message: TruncateMessage, lsn: Lsn, _size: int) -> tuple[Event, ...]:
        begin = self._begin
        if begin is None:
            raise _out_of_order("a truncate came outside of a transaction", lsn)
        events = []
        for relation in message.relations:
            self._ordinal += 1
            table = self._described(relation).table
            if table is not None:
                how = (message.cascade, message.restart_identity)
                events.append(Truncate(table, begin, self._ordinal, lsn, *how))
        self._events += len(events)
        return tuple(events)

    def _message(self, message: LogicalMessage, lsn: Lsn, _size: int) -> tuple[Event, ...]:
        if message.prefix == HEARTBEAT:
            return NO_EVENTS
        if not message.transactional:
            return (Message(message.prefix, message.content, message.lsn, None, 0),)
        if self._begin is None:
            raise _out_of_order("a transactional message came outside of a transaction", lsn)
        self._ordinal += 1
        self._events += 1
        return (Message(message.prefix, message.content, message.lsn, self._begin, self._ordinal),)

    def _described(self, relation: int) -> Shape:
        shape = self._shapes.get(relation)
        if shape is None:
            raise DecodeError(f"relation {relation} was never described, and yet has changes", hint=AGAIN)
        return shape


class Shape:
    """A relation's table (None: not captured) and how its rows become the table's."""

    __slots__ = ("key", "name", "project", "table", "width")

    def __init__(self, relation: RelationMessage, table: Table | None) -> None:
        self.table = table
        self.name = f"{relation.schema}.{relation.name}"
        self.width = len(relation.columns)
        self.key = tuple(column.key for column in relation.columns)
        self.project = None if table is None else _projection(relation, table)

    def old(self, row: Row, kind: str) -> Row:
        """An old row's cells; of kind K, those of the replica identity were sent.

        Others as well, if a partition's identity is FULL and that of its root, under which it is published, is not.
        """
        if kind == "O":
            return row
        cells = zip(row, self.key, strict=True)
        return tuple([UNSENT if cell is None and not key else cell for cell, key in cells])

    def both(self, old: Row, new: Row, kind: str) -> tuple[Row, Row]:
        """The cells of an update's rows. Of kind O the old row is whole, and has what the new one leaves out."""
        if kind == "O" and UNSENT in new:
            new = tuple([o if n is UNSENT else n for n, o in zip(new, old, strict=True)])
        return self.old(old, kind), new


def _projection(relation: RelationMessage, table: Table) -> Callable[[Row], Row] | None:
    """What picks the table's cells out of a row; None where they are the same."""
    names = [column.name for column in relation.columns]
    wanted = [names.index(column.name) for column in table.columns]
    if wanted == list(range(len(names))):
        return None
    if len(wanted) > 1:
        return itemgetter(*wanted)
    return lambda row: tuple([row[i] for i in wanted])  # itemgetter of one would not give a tuple


def _out_of_order(what: str, lsn: Lsn) -> DecodeError:
    return DecodeError(what, where=f"at {format_lsn(lsn)}", hint=AGAIN)
