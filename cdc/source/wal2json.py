"""wal2json, format version 2: one JSON object per message becomes the messages that pgoutput would have sent.

A record of a row is read against the relation at hand (`wal2json_relations`), which is given first when it is new.
Values become PostgreSQL's text again: `true` is t, a number its own digits, bytea gets its `\\x` back.

Written after wal2json.c of 2.5 and 2.6. What it does not tell: cascade and restart identity of a truncate, the rest of
a message after a zero byte, updates and deletes of tables without replica identity (they are only a warning in the
server's log), and, up to 2.5, NaN and the infinities of numbers, which it prints as null (see `Wal2jsonDecoder`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from cdc.errors import DecodeError
from cdc.events import UNSENT, Cell
from cdc.lsn import Lsn, parse_lsn
from cdc.schema import FULL
from cdc.source import wal2json_relations as relations
from cdc.source.assemble import AGAIN
from cdc.source.messages import (
    BeginMessage,
    CommitMessage,
    DecodedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalMessage,
    TruncateMessage,
    UpdateMessage,
)
from cdc.source.wal2json_relations import FactsOf, Known, Record, Relations

OPTIONS = {
    "format-version": "2",
    "include-xids": "1",
    "include-timestamp": "1",
    "include-lsn": "1",
    "include-types": "1",
    "include-typmod": "1",
    "include-type-oids": "1",
    "include-column-positions": "1",
    "include-pk": "1",
    "actions": "insert,update,delete,truncate",
}
NUMBERS_AS_TEXT = {"numeric-data-types-as-string": "1"}  # from 2.6 on; 2.5 refuses it

BYTEA, FLOAT4, FLOAT8, NUMERIC = 17, 700, 701, 1700
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_tables(tables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The option that restricts the stream to these (schema, table): wal2json knows no publications."""
    return {"add-tables": ",".join(f"{_escape(schema)}.{_escape(table)}" for schema, table in tables)}


def _escape(name: str) -> str:
    return re.sub(r"([\s\\,.*])", r"\\\1", name)


class Wal2jsonDecoder:
    """Callable: the bytes of a message, which begins at `start`, to its messages.

    `numbers_as_text`: the stream was started with `NUMBERS_AS_TEXT`. Without it, a null of a float or numeric column
    may have been NaN or an infinity. It is refused, unless `null_numbers` says that there are none.
    """

    def __init__(self, facts_of: FactsOf, *, numbers_as_text: bool, null_numbers: bool = False) -> None:
        self._relations = Relations(facts_of)
        self._doubtful = frozenset() if numbers_as_text or null_numbers else {FLOAT4, FLOAT8, NUMERIC}
        self._read = msgspec.json.Decoder(Record).decode

    def __call__(self, data: bytes | memoryview, start: int = 0) -> Sequence[DecodedMessage]:
        payload = bytes(data[start:])
        try:
            record = self._record(payload)
            return self._messages(record)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise DecodeError(
                f"a message of wal2json ({len(payload)} bytes) cannot be read",
                why=str(error),
                hint=f"wal2json needs a database in UTF-8; {AGAIN}",
            ) from error

    def _record(self, payload: bytes) -> Record:
        try:
            return self._read(payload)
        except msgspec.DecodeError:
            return self._read(_TYPE.sub(_requote, payload))

    def _messages(self, record: Record) -> Sequence[DecodedMessage]:
        match record.action:
            case "I" | "U" | "D":
                return self._row(record)
            case "B":
                return (BeginMessage(parse_lsn(record.lsn), _microseconds(record), record.xid or 0),)
            case "C":
                ends = parse_lsn(record.nextlsn)
                return (CommitMessage(parse_lsn(record.lsn), ends, _microseconds(record)),)
            case "T":
                return self._truncate(record)
            case "M":
                content = _text(record.content) or b""
                lsn: Lsn = parse_lsn(record.lsn)
                return (LogicalMessage(record.transactional, lsn, record.prefix, content),)
        raise ValueError(f"the action {record.action!r} is unknown")

    def _row(self, record: Record) -> Sequence[DecodedMessage]:
        known = self._relations.get(record)
        change = self._change(record, known) if known else None
        if change is not None:
            return (change,)
        known = self._relations.make(record)
        change = self._change(record, known)
        if change is None:
            raise ValueError(f"its columns contradict each other, in table {record.schema}.{record.table}")
        return known.relation, change

    def _truncate(self, record: Record) -> Sequence[DecodedMessage]:
        """One table; wal2json has a record for each that the statement names."""
        known = self._relations.get(record)
        first: tuple[DecodedMessage, ...] = ()
        if known is None:
            known = self._relations.make(record)
            first = (known.relation,)
        return (*first, TruncateMessage((known.relation.oid,), cascade=False, restart_identity=False))

    def _change(self, record: Record, known: Known) -> DecodedMessage | None:
        """The row as one of this relation; None if it cannot be one."""
        oid = known.relation.oid
        new, old = self._cells(known, record.columns), self._cells(known, record.identity)
        if new is None or old is None:
            return None
        if record.action == "I":
            return None if UNSENT in new else InsertMessage(oid, new)
        old_kind = "O" if known.relation.replica_identity == FULL else "K"
        if record.action == "D":
            return DeleteMessage(oid, old, old_kind)
        if any([new[at] is UNSENT for at in known.fixed_length]):
            return None  # not left out as unchanged: dropped
        if old_kind == "K" and all([o is UNSENT or o == n for o, n in zip(old, new, strict=True)]):
            return UpdateMessage(oid, new, None, "")  # it names the identity of every row, changed or not
        return UpdateMessage(oid, new, old, old_kind)

    def _cells(self, known: Known, shown: Sequence[relations.Cell]) -> tuple[Cell, ...] | None:
        layout = known.layout(shown)
        if layout is None:
            return None
        cells: list[Cell] = [UNSENT] * len(known.relation.columns)
        for at, column in zip(layout, shown, strict=True):
            if at < 0:
                continue
            text = _text(column.value)
            if text is None and column.typeoid in self._doubtful:
                raise _doubtful(known, column.name)
            cells[at] = b"\\x" + text if column.typeoid == BYTEA and text is not None else text
        return tuple(cells)


def _text(value: msgspec.Raw) -> bytes | None:
    """A JSON value as PostgreSQL's text."""
    raw = bytes(value)
    if raw[:1] == b'"':
        return raw[1:-1] if b"\\" not in raw else msgspec.json.decode(raw, type=str).encode()
    return _WORDS.get(raw, raw)


_WORDS = {b"null": None, b"true": b"t", b"false": b"f"}


def _microseconds(record: Record) -> int:
    return (datetime.fromisoformat(record.timestamp or "") - EPOCH) // timedelta(microseconds=1)


# A type's name that begins with a quote is printed as it is, which is JSON only by luck: "My Schema".mood, "we""ird".
_TYPE = re.compile(rb'(?<="type":)".*?(?=,"typeoid":)', re.DOTALL)


def _requote(match: re.Match[bytes]) -> bytes:
    name = match[0]
    try:
        msgspec.json.decode(name)
    except msgspec.DecodeError:
        return msgspec.json.encode(name.decode())
    return name


def _doubtful(known: Known, column: str) -> DecodeError:
    relation = known.relation
    return DecodeError(
        f"null in column {column} may have been NaN or an infinity",
        where=f"{relation.schema}.{relation.name}",
        why="wal2json before 2.6 prints them as null",
        hint='install wal2json 2.6 or use plugin = "pgoutput"; if there are none, set [source] wal2json_null_numbers = "null"',
    )
