"""What the contract suite puts a warehouse to the test with: tables, rows, and the `Target` that an implementation brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cdc.events import Cell, Chunk, Control, Row
from cdc.fold import Merge
from cdc.interfaces import Checkpoint, Mark, Warehouse
from cdc.lsn import Position
from cdc.schema import FULL, Column, LogicalType, Table

INT, TEXT = LogicalType("int8"), LogicalType("text")
ID, NOTE, BODY = Column("id", INT, nullable=False), Column("note", TEXT), Column("body", TEXT)
KEYED = Table("public", "keyed", (ID, NOTE, BODY), primary_key=(0,), identity=(0,))
KEYLESS = Table("public", "keyless", (NOTE, BODY), replica_identity=FULL, identity=(0, 1))
PAIR = Table("public", "pair", (NOTE, ID, BODY), primary_key=(1, 0), identity=(1, 0))


class Target(ABC):
    """One place where a warehouse keeps its tables, empty at first; made anew for every test."""

    refused: tuple[LogicalType, bytes] | None = None
    """A type, and a value of it that the target refuses; None if it refuses none, as a keeper of texts."""

    one_writer: bool = False
    """Whether the target lets nobody else write while a transaction has written; then others get TargetUnavailable."""

    unnameable: frozenset[str] = frozenset()
    """Names that the stand-in for a target, on which it is tested, does not take."""

    steps: int = 40
    """How long the random histories are; fewer for a target that takes a second for each."""

    @abstractmethod
    def open(self) -> Warehouse:
        """Open the warehouse, again after it was closed."""

    @abstractmethod
    def rows(self, warehouse: Warehouse, table: Table) -> Sequence[Row]:
        """What is committed of a table: PostgreSQL's text of these columns, in any order."""


def checkpoint(lsn: int, **controls: bytes) -> Checkpoint:
    return Checkpoint({"p": Mark(Position(lsn, 1), lsn)}, controls)


def put(warehouse: Warehouse, *merges: Merge, lsn: int = 1) -> list[Sequence[Row]]:
    """Apply and commit; gives what each merge's apply returned."""
    missing: list[Sequence[Row]] = []
    for merge in merges:
        warehouse.evolve(merge.table)
        missing.append(warehouse.apply(merge))
    warehouse.commit(checkpoint(lsn))
    return missing


def sorted_rows(rows: Sequence[Row]) -> list[tuple[Cell, ...]]:
    return sorted(map(tuple, rows), key=repr)


def row(*texts: str | None) -> tuple[Cell, ...]:
    return tuple(None if text is None else text.encode() for text in texts)


def chunk(table: Table, csv: str, rows: int, *, first: bool = False, fresh: bool = False) -> Merge:
    control = Control("snapshot", b"")
    read = Chunk(table, csv.encode(), rows, Position(1, 1), control, first=first, fresh=fresh)
    return Merge(table, truncate=first, chunk=read)


def expect(target: Target, warehouse: Warehouse, table: Table, *rows: Row) -> None:
    """These rows are committed, and no others."""
    assert sorted_rows(target.rows(warehouse, table)) == sorted_rows(rows)
