"""pgoutput, PostgreSQL's own binary format: one message of its bytes becomes one of ours. Protocol version 1.

The first byte names the message, and `PgoutputDecoder` finds the reader for it in a table. Insert, Update and Delete are read
here at once, with the generated splitters of `tuples`; the rest come once per transaction or table and are read by `_Cursor`.
A later protocol adds rows to the table (stream start, prepare …) and its transaction ids before the relation's.

Sans-io: what a message does not say (a relation's types, which columns are the key) is not asked for. Bytes that do not follow the
format raise DecodeError; they never give a row of another shape.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError

from cdc.errors import DecodeError
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
from cdc.source.tuples import PADDING, BrokenTuple, Splitter, make_splitter

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 as Unix time
INSERT, UPDATE, DELETE = b"IUD"
NEW, KEY, OLD = b"NKO"

_row = Struct(">IBH").unpack_from  # relation, which row it is, its number of columns
_next_row = Struct(">BH").unpack_from
_ROW, _NEXT_ROW = 7, 3


class PgoutputDecoder:
    """Callable: the bytes of a message, which begins at `start`, to the message."""

    def __init__(self) -> None:
        self._splitters: dict[int, Splitter] = {}

    def __call__(self, data: bytes | memoryview, start: int = 0) -> DecodedMessage:
        end = len(data)
        data = b"".join((data, PADDING))
        kind = data[start]
        try:
            if kind == INSERT:
                relation, which, count = _row(data, start + 1)
                if which != NEW:
                    raise BrokenTuple(f"{bytes([which])!r} instead of a new row", start + 5)
                split = self._splitters.get(count) or self._splitter(count)
                new, at = split(data, start + 8, end)
                if at == end:
                    return InsertMessage(relation, new)
            elif kind == UPDATE:
                relation, which, count = _row(data, start + 1)
                at, old, old_kind = start + 8, None, ""
                if which == KEY or which == OLD:
                    old_kind = "K" if which == KEY else "O"
                    split = self._splitters.get(count) or self._splitter(count)
                    old, at = split(data, at, end)
                    which, count = _next_row(data, at)
                    at += _NEXT_ROW
                if which != NEW:
                    raise BrokenTuple(f"{bytes([which])!r} instead of a new row", at - _NEXT_ROW)
                split = self._splitters.get(count) or self._splitter(count)
                new, at = split(data, at, end)
                if at == end:
                    return UpdateMessage(relation, new, old, old_kind)
            elif kind == DELETE:
                relation, which, count = _row(data, start + 1)
                if which != KEY and which != OLD:
                    raise BrokenTuple(f"{bytes([which])!r} instead of an old row", start + 5)
                split = self._splitters.get(count) or self._splitter(count)
                old, at = split(data, start + 8, end)
                if at == end:
                    return DeleteMessage(relation, old, "K" if which == KEY else "O")
            else:
                read = _READERS.get(kind)
                if read is None or start >= end:
                    raise BrokenTuple("it is none of protocol 1", start)
                cursor = _Cursor(data, start + 1, end)
                message = read(cursor)
                at = cursor.at
                if at == end:
                    return message
            raise BrokenTuple(f"it has {end - at} bytes too many" if at < end else "it ends too early", min(at, end))
        except (BrokenTuple, StructError, ValueError) as error:
            raise _malformed(data, start, end, error) from error

    def _splitter(self, count: int) -> Splitter:
        if count > MOST_COLUMNS:
            raise BrokenTuple(f"{count} columns are more than a table can have", 0)
        splitter = self._splitters[count] = make_splitter(count)
        return splitter


MOST_COLUMNS = 1664  # PostgreSQL's MaxTupleAttributeNumber; also keeps garbage from generating code


class _Cursor:
    """Reads the fields of a message one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def take(self, length: int) -> bytes:
        start, self.at = self.at, self.at + length
        if self.at > self.end:
            raise BrokenTuple(f"it ends before the {length} bytes of a field", start)
        return self.data[start : self.at]

    def uint8(self) -> int:
        return self.take(1)[0]

    def uint16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def int32(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def lsn(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def time(self) -> int:
        """Microseconds since the Unix epoch."""
        return int.from_bytes(self.take(8), "big", signed=True) + POSTGRES_EPOCH_US

    def letter(self) -> str:
        return self.take(1).decode("ascii")

    def string(self) -> str:
        stop = self.data.find(b"\0", self.at, self.end)
        if stop < 0:
            raise BrokenTuple("it ends before a string does", self.at)
        text = self.take(stop - self.at).decode()
        self.at += 1
        return text

    def schema(self) -> str:
        """pgoutput writes pg_catalog as nothing."""
        return self.string() or "pg_catalog"


def _begin(read: _Cursor) -> BeginMessage:
    return BeginMessage(read.lsn(), read.time(), read.uint32())


def _commit(read: _Cursor) -> CommitMessage:
    read.uint8()  # flags, none defined
    return CommitMessage(read.lsn(), read.lsn(), read.time())


def _origin(read: _Cursor) -> OriginMessage:
    return OriginMessage(read.lsn(), read.string())


def _relation(read: _Cursor) -> RelationMessage:
    oid, schema, name, replica_identity = read.uint32(), read.schema(), read.string(), read.letter()
    columns = tuple(_relation_column(read) for _ in range(read.uint16()))
    return RelationMessage(oid, schema, name, replica_identity, columns)


def _relation_column(read: _Cursor) -> RelationColumn:
    key = bool(read.uint8() & 1)
    return RelationColumn(name=read.string(), type_oid=read.uint32(), typmod=read.int32(), key=key)


def _type(read: _Cursor) -> TypeMessage:
    return TypeMessage(read.uint32(), read.schema(), read.string())


def _truncate(read: _Cursor) -> TruncateMessage:
    count, options = read.uint32(), read.uint8()
    if count * 4 != read.end - read.at:
        raise BrokenTuple(f"it names {count} relations and has {read.end - read.at} bytes of them", read.at)
    relations = tuple(read.uint32() for _ in range(count))
    return TruncateMessage(relations, cascade=bool(options & 1), restart_identity=bool(options & 2))


def _message(read: _Cursor) -> LogicalMessage:
    transactional = bool(read.uint8() & 1)
    return LogicalMessage(transactional, read.lsn(), read.string(), read.take(read.uint32()))


_READERS: dict[int, Callable[[_Cursor], DecodedMessage]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("T"): _truncate,
    ord("M"): _message,
}
_NAMES = dict(zip(b"BCORYTMIUD", ["Begin", "Commit", "Origin", "Relation", "Type", "Truncate", "Message", "Insert", "Update", "Delete"], strict=True))


def _malformed(data: bytes, start: int, end: int, error: Exception) -> DecodeError:
    name = _NAMES.get(data[start]) if start < end else "empty"
    which = f"{name} message" if name else f"message of unknown kind {data[start : start + 1]!r}"
    place = f" at byte {error.at - start}" if isinstance(error, BrokenTuple) and error.at else ""
    if isinstance(error, BrokenTuple):
        why = error.what
    else:
        why = "it ends too early" if isinstance(error, StructError) else "its text is not what it should be"
    return DecodeError(
        f"a {which} of pgoutput ({end - start} bytes) cannot be read{place}",
        why=why,
        hint=(isinstance(error, BrokenTuple) and error.hint)
        or "nothing of its transaction was confirmed: restart to read it again, and report a bug if it stays",
    )
