"""pgoutput, PostgreSQL's own binary format: the bytes of one message become one message. Protocol version 1.

The first byte names the message; a table has the function that reads its fields, one after the other, from a
`_Cursor`. A later protocol version adds rows to that table (stream start, prepare …) and reads a transaction id before
the relation's. Rows are split by `tuples`; `feed` has a faster lane for the most frequent of them.

Sans-io: what a message does not say (what a type is, which columns are the key) is not asked for. Bytes that do not
follow the format raise DecodeError; they never give a row of another shape.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import error as StructError

from cdc.errors import DecodeError
from cdc.events import Cell
from cdc.source.assemble import AGAIN
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
from cdc.source.tuples import PADDING, BrokenMessage, Splitters

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 as Unix time
OPTIONS = {"proto_version": "1", "messages": "true"}  # with publication_names: of START_REPLICATION


class PgoutputDecoder:
    """Callable: the bytes of a message, which begins at `start`, to the message."""

    def __init__(self) -> None:
        self.splitters = Splitters()

    def __call__(self, data: bytes | memoryview, start: int = 0) -> DecodedMessage:
        read = _Cursor(data, start, self.splitters)
        try:
            kind = read.letter()
            if kind not in _READERS:
                raise BrokenMessage(f"protocol 1 has no message {kind!r}", start)
            message = _READERS[kind](read)
            if read.at != read.end:
                raise BrokenMessage(f"{read.end - read.at} bytes are left over", read.at)
        except (BrokenMessage, StructError, ValueError) as error:
            raise _malformed(read, start, error) from error
        return message


class _Cursor:
    """Reads the fields of a message."""

    def __init__(self, data: bytes | memoryview, start: int, splitters: Splitters) -> None:
        self.data = b"".join((data, PADDING))
        self.end = len(data)
        self.at = start
        self.splitters = splitters

    def take(self, length: int) -> bytes:
        if self.at + length > self.end:
            raise BrokenMessage(f"it ends inside a field of {length} bytes", self.at)
        start, self.at = self.at, self.at + length
        return self.data[start : self.at]

    def integer(self, length: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(length), "big", signed=signed)

    def time(self) -> int:
        """Microseconds since the Unix epoch."""
        return self.integer(8, signed=True) + POSTGRES_EPOCH_US

    def letter(self) -> str:
        return chr(self.take(1)[0])

    def string(self) -> str:
        stop = self.data.find(b"\0", self.at, self.end)
        if stop < 0:
            raise BrokenMessage("it ends inside a string", self.at)
        text = self.data[self.at : stop].decode()
        self.at = stop + 1
        return text

    def schema(self) -> str:
        """pg_catalog is written as nothing."""
        return self.string() or "pg_catalog"

    def which(self, expected: str) -> str:
        """The letter that says which row follows."""
        letter = self.letter()
        if letter not in expected:
            raise BrokenMessage(f"{letter!r} does not announce a row here", self.at - 1)
        return letter

    def row(self) -> tuple[Cell, ...]:
        count = self.integer(2)
        if count > MOST_COLUMNS:
            raise BrokenMessage(f"no table has {count} columns", self.at - 2)
        cells, self.at = self.splitters[count](self.data, self.at, self.end)
        return cells


MOST_COLUMNS = 1664  # PostgreSQL's MaxTupleAttributeNumber


def _begin(read: _Cursor) -> BeginMessage:
    return BeginMessage(commit_lsn=read.integer(8), commit_us=read.time(), xid=read.integer(4))


def _commit(read: _Cursor) -> CommitMessage:
    read.take(1)  # flags, of which there are none
    return CommitMessage(commit_lsn=read.integer(8), end_lsn=read.integer(8), commit_us=read.time())


def _origin(read: _Cursor) -> OriginMessage:
    return OriginMessage(origin_lsn=read.integer(8), name=read.string())


def _relation(read: _Cursor) -> RelationMessage:
    oid, schema, name, replica_identity = read.integer(4), read.schema(), read.string(), read.which("dnfi")
    columns = tuple(_relation_column(read) for _ in range(read.integer(2)))
    return RelationMessage(oid, schema, name, replica_identity, columns)


def _relation_column(read: _Cursor) -> RelationColumn:
    key, name = bool(read.take(1)[0] & 1), read.string()
    return RelationColumn(name, read.integer(4), read.integer(4, signed=True), key)


def _type(read: _Cursor) -> TypeMessage:
    return TypeMessage(oid=read.integer(4), schema=read.schema(), name=read.string())


def _insert(read: _Cursor) -> InsertMessage:
    relation, _ = read.integer(4), read.which("N")
    return InsertMessage(relation, read.row())


def _update(read: _Cursor) -> UpdateMessage:
    relation, which = read.integer(4), read.which("KON")
    if which == "N":
        return UpdateMessage(relation, read.row(), None, "")
    old, _ = read.row(), read.which("N")
    return UpdateMessage(relation, read.row(), old, which)


def _delete(read: _Cursor) -> DeleteMessage:
    relation, which = read.integer(4), read.which("KO")
    return DeleteMessage(relation, read.row(), which)


def _truncate(read: _Cursor) -> TruncateMessage:
    count, options = read.integer(4), read.take(1)[0]
    if count * 4 != read.end - read.at:
        raise BrokenMessage(f"{count} relations are announced, in {read.end - read.at} bytes", read.at)
    relations = tuple(read.integer(4) for _ in range(count))
    return TruncateMessage(relations, cascade=bool(options & 1), restart_identity=bool(options & 2))


def _message(read: _Cursor) -> LogicalMessage:
    transactional = bool(read.take(1)[0] & 1)
    return LogicalMessage(transactional, read.integer(8), read.string(), read.take(read.integer(4)))


_READERS: dict[str, Callable[[_Cursor], DecodedMessage]] = {
    "B": _begin,
    "C": _commit,
    "O": _origin,
    "R": _relation,
    "Y": _type,
    "I": _insert,
    "U": _update,
    "D": _delete,
    "T": _truncate,
    "M": _message,
}


def _malformed(read: _Cursor, start: int, error: Exception) -> DecodeError:
    kind = chr(read.data[start]) if start < read.end else ""
    name = _READERS[kind].__name__[1:].capitalize() if kind in _READERS else f"{kind!r}"
    at, hint = (error.at, error.hint) if isinstance(error, BrokenMessage) else (read.at, "")
    why = error.what if isinstance(error, BrokenMessage) else f"its text is not UTF-8: {error}"
    return DecodeError(
        f"a message of pgoutput cannot be read: {name}, byte {at - start} of {read.end - start}",
        why=why,
        hint=hint or AGAIN,
    )
