"""The applier: what is committed, when, and how partial rows are completed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pytest

from cdc.applier import run_applier
from cdc.errors import TargetError
from cdc.events import UNSENT, Begin, Change, Commit, Event, Row
from cdc.fold import Key, Merge
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import END, Position
from cdc.progress import Progress, encode_progress
from cdc.schema import Column, LogicalType, Table
from cdc.testing.memory import MemoryWarehouse

TEXT = LogicalType("text")
TABLE = Table(
    "public",
    "t",
    (Column("id", TEXT), Column("v", TEXT), Column("big", TEXT)),
    primary_key=(0,),
    identity=(0,),
)


class Script:
    """A subscriber that gives batches, then ends."""

    def __init__(self, *batches: Batch | None) -> None:
        self.batches = list(batches)
        self.sought: object = None
        self.committed: list[Batch] = []

    def seek(self, marks: object) -> None:
        self.sought = marks

    def receive(self, timeout: float) -> Batch | None:
        return self.batches.pop(0)

    def commit(self, batch: Batch) -> None:
        self.committed.append(batch)

    def close(self) -> None: ...


class Lookups:
    """The source: rows by key, and what was asked."""

    def __init__(self, *rows: Row) -> None:
        self.rows = {(row[0],): row for row in rows}
        self.asked: list[tuple[list[Key], set[int]]] = []

    def __call__(self, table: Table, keys: Sequence[Key], xids: Collection[int]) -> Iterable[Row]:
        self.asked.append((list(keys), set(xids)))
        return [self.rows[key] for key in keys if key in self.rows]


def batch(
    lsn: int, *changes: tuple[str, Row | None, Row | None], whole: bool = True, **controls: bytes
) -> Batch:
    begin = Begin(lsn, 0, lsn)
    rows = [Change(TABLE, op, old, new, begin, n, lsn, 1) for n, (op, old, new) in enumerate(changes, 1)]
    events: list[Event] = [begin, *rows, *([Commit(begin, lsn + 1, len(rows))] if whole else [])]
    checkpoint = Checkpoint({"p": Mark(Position(lsn, END))}, controls) if whole else None
    return Batch(events, checkpoint, len(rows), len(rows), 0)


def run(
    subscriber: Script, warehouse: MemoryWarehouse, lookups: Lookups | None = None
) -> list[tuple[Batch, Sequence[Merge]]]:
    noted: list[tuple[Batch, Sequence[Merge]]] = []
    note = lambda batch, merges: noted.append((batch, merges))  # noqa: E731
    run_applier(subscriber, warehouse, lookups or Lookups(), note, lambda: bool(subscriber.batches))
    return noted


def insert(key: bytes, big: bytes = b"B") -> tuple[str, None, Row]:
    return "c", None, (key, b"v", big)


def test_rows_and_position_together() -> None:
    warehouse = MemoryWarehouse()
    subscriber = Script(batch(10, insert(b"1")), None, batch(20, insert(b"2")))
    assert len(run(subscriber, warehouse)) == 2
    assert warehouse.state().marks["p"].position == Position(20, END)
    assert len(warehouse.rows("public.t")) == 2
    assert len(subscriber.committed) == 2


def test_it_starts_behind_what_the_warehouse_has() -> None:
    warehouse = MemoryWarehouse()
    run(Script(batch(10, insert(b"1"))), warehouse)
    subscriber = Script(None)
    run(subscriber, warehouse)
    assert subscriber.sought == {"p": Mark(Position(10, END))}


def test_pieces_become_durable_with_their_last() -> None:
    warehouse = MemoryWarehouse()
    subscriber = Script(batch(10, insert(b"1"), whole=False), batch(10, insert(b"2"), whole=False))
    run(subscriber, warehouse)
    assert warehouse.tables == {}
    assert subscriber.committed == []
    warehouse.close()
    run(Script(batch(10, insert(b"1"), whole=False), batch(10, insert(b"2"))), warehouse)
    assert len(warehouse.rows("public.t")) == 2


def test_nothing_of_ours_is_not_worth_a_commit() -> None:
    warehouse = MemoryWarehouse()
    subscriber = Script(batch(10))
    run(subscriber, warehouse)
    assert warehouse.state() == Checkpoint()
    assert len(subscriber.committed) == 1
    run(Script(batch(20, k=b"v")), warehouse)
    assert warehouse.state().controls == {"k": b"v"}


def test_half_a_row_that_the_target_has_not_is_selected() -> None:
    warehouse, lookups = MemoryWarehouse(), Lookups((b"1", b"now", b"BIG"))
    updates = [("u", None, (key, b"new", UNSENT)) for key in (b"1", b"2")]
    run(Script(batch(10, *updates)), warehouse, lookups)
    assert lookups.asked == [([(b"1",), (b"2",)], {10})]
    assert warehouse.rows("public.t") == [(b"1", b"now", b"BIG")]


def test_a_changed_key_keeps_the_rest_of_its_row() -> None:
    warehouse, lookups = MemoryWarehouse(), Lookups()
    moved = ("u", (b"1", UNSENT, UNSENT), (b"9", b"new", UNSENT))
    run(Script(batch(10, insert(b"1", b"BIG")), batch(20, moved)), warehouse, lookups)
    assert warehouse.rows("public.t") == [(b"9", b"new", b"BIG")]
    assert lookups.asked == []


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("lsn", "asks"), [(20, True), (30, False)])
def test_where_a_copy_is_ahead_a_changed_key_is_selected(lsn: int, asks: bool, restarted: bool) -> None:
    """The target may have another row under the old key by then: up to the LSN that the copy's progress tells."""
    warehouse, lookups = MemoryWarehouse(), Lookups((b"9", b"new", b"MINE"))
    progress = encode_progress("public.t", Progress(until=30))
    copied = batch(10, insert(b"1", b"ANOTHER"), **{progress.key: progress.value})
    moved = ("u", (b"1", UNSENT, UNSENT), (b"9", b"new", UNSENT))
    kept = ("u", None, (b"2", b"new", b"sent"))
    subscriber = Script(copied, batch(lsn, moved, kept))
    if restarted:
        run(Script(subscriber.batches.pop(0)), warehouse)
    run(subscriber, warehouse, lookups)
    assert warehouse.rows("public.t") == [
        (b"2", b"new", b"sent"),
        (b"9", b"new", b"MINE" if asks else b"ANOTHER"),
    ]
    assert len(lookups.asked) == asks


def test_errors_go_up_and_nothing_is_committed() -> None:
    class Broken(MemoryWarehouse):
        def apply(self, merge: Merge) -> Sequence[Key]:
            raise TargetError("full")

    warehouse, subscriber = Broken(), Script(batch(10, insert(b"1")))
    with pytest.raises(TargetError):
        run(subscriber, warehouse)
    assert subscriber.committed == []
    assert warehouse.state() == Checkpoint()
