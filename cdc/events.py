"""The events of the line: what happened in the source, in commit order, as immutable values.

A row is a sequence of cells, one per column of its table: PostgreSQL's text of the value as UTF-8 bytes, `None` for NULL,
or `UNSENT` for a value that PostgreSQL did not send (unchanged TOAST; in an old row, columns outside the replica identity).
Transactions are not collected: `Begin` already carries the commit LSN, so each event is complete when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

import msgspec

from cdc.lsn import END, Lsn, Position
from cdc.schema import Table


class Unsent(Enum):
    """The type of `UNSENT`, so that type checkers can tell it from bytes."""

    UNSENT = "unsent"

    def __repr__(self) -> str:
        return "UNSENT"


UNSENT: Final = Unsent.UNSENT
Cell: TypeAlias = bytes | Unsent | None
Row: TypeAlias = Sequence[Cell]

INSERT, UPDATE, DELETE, TRUNCATE, READ = "c", "u", "d", "t", "r"  # Debezium's letters for operations


class Begin(msgspec.Struct, frozen=True, gc=False):
    """A transaction starts. `commit_us`: its commit time, microseconds since the Unix epoch, UTC."""

    commit_lsn: Lsn
    commit_us: int
    xid: int


class Change(msgspec.Struct, frozen=True):
    """One row inserted, updated or deleted.

    `old` is None unless PostgreSQL sent it: for an update, only when the replica identity changed or is FULL.
    `lsn` is the row's own, for Debezium's `source.lsn`; `size` is the bytes it took on the wire, for memory bounds.
    """

    table: Table
    op: str
    old: Row | None
    new: Row | None
    begin: Begin
    ordinal: int
    lsn: Lsn
    size: int

    @property
    def position(self) -> Position:
        return Position(self.begin.commit_lsn, self.ordinal)

    @property
    def counted_by_lsn(self) -> bool:
        """Debezium's events have no ordinal but their LSN, which rows of one WAL record (such as COPY writes) share."""
        return self.ordinal == self.lsn


class Truncate(msgspec.Struct, frozen=True):
    """One table emptied; a statement over several tables gives one event each, in the statement's order."""

    table: Table
    begin: Begin
    ordinal: int
    lsn: Lsn
    cascade: bool = False
    restart_identity: bool = False


class Message(msgspec.Struct, frozen=True):
    """`pg_logical_emit_message`. Not transactional: `begin` is None, and it stands outside transactions."""

    prefix: str
    content: bytes
    lsn: Lsn
    begin: Begin | None
    ordinal: int


class Commit(msgspec.Struct, frozen=True, gc=False):
    """The transaction is complete. `end_lsn` is what may be confirmed to the slot once all before is durable."""

    begin: Begin
    end_lsn: Lsn
    events: int

    @property
    def position(self) -> Position:
        return Position(self.begin.commit_lsn, END)


class Chunk(msgspec.Struct, frozen=True):
    """Rows of one table read by a snapshot, in line after commit `position`.

    `csv` is PostgreSQL's `COPY … (FORMAT csv)` of all columns of `table` in their order, without a header: NULL is an empty
    field, an empty string is `""`. `rows` counts them. `control` is the snapshot's progress once this chunk is durable
    (see `Control`). `first` and `last` mark the ends of the table's snapshot; the first empties the target's table before.
    `final`: with it the whole snapshot ends, as far as can be known. `fresh`: no row that the target has by now has a key of
    these: they need only be added. `shadow`: they are gathered beside the table, and with the last the table's own are
    replaced by them (see `cdc.shadows`). `part`: more of the rows that were read at once follow. `more`: the table is whole, and
    that of another is about to follow: small ones may become durable together.
    """

    table: Table
    csv: bytes
    rows: int
    position: Position
    control: Control
    first: bool = False
    last: bool = False
    final: bool = False
    fresh: bool = False
    shadow: bool = False
    part: bool = False
    more: bool = False


class Gathering(msgspec.Struct, frozen=True):
    """What becomes of the copy of a table whose rows are gathered beside it, where they come as changes: over a log.

    `begin`: those that are read from here on are gathered, until `take`: they replace the table's, or `leave`: they are
    of no use.
    """

    table: Table
    step: Literal["begin", "take", "leave"]
    position: Position


class Control(msgspec.Struct, frozen=True):
    """A small fact that must be as durable as the rows before it: the last one per `key` is given back at start."""

    key: str
    value: bytes


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing has happened but time: for transports that tell others so."""


class Idle(msgspec.Struct, frozen=True, gc=False):
    """Nothing is waiting. Outside a transaction, all commits up to `wal_end` have been given."""

    wal_end: Lsn


Event: TypeAlias = Begin | Change | Truncate | Message | Commit | Chunk | Gathering | Control | Heartbeat
