"""What becomes of what a warehouse refuses: rows and tables set aside, columns put aside, everything else goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from cdc.applier import run_applier
from cdc.errors import ColumnRefused, TargetUnavailable, ValueRefused
from cdc.events import UNSENT, Begin, Change, Chunk, Commit, Control, Event, Row, Truncate
from cdc.interfaces import Batch, Checkpoint, Mark
from cdc.lsn import END, Position
from cdc.merge import Key, Merge
from cdc.modes.letters import Letter
from cdc.modes.parking import parked_tables
from cdc.modes.shaping import Modes
from cdc.refusals import Refusals
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.testing.memory import MemoryWarehouse
from tests.unit.test_applier import Script
from tests.unit.test_modes import settings

TEXT, NUMBER = LogicalType("text"), LogicalType("int4")
ID, V = Column("id", TEXT, nullable=False), Column("v", TEXT)
T = Table("public", "t", (ID, V), primary_key=(0,), identity=(0,))
U = Table("public", "u", (ID, V), primary_key=(0,), identity=(0,))
K = Table("public", "k", (ID, V), replica_identity=FULL, identity=(0, 1))
NUMERIC = Table("public", "t", (ID, Column("v", NUMBER)), primary_key=(0,), identity=(0,))


class Strict(MemoryWarehouse):
    """Refuses every text that begins with `bad`, and to change the type of a column."""

    def __init__(self) -> None:
        super().__init__()
        self.types: dict[tuple[str, str], str] = {}
        self.kept_types: dict[tuple[str, str], str] = {}

    def evolve(self, table: Table) -> None:
        for column in table.columns:
            place = (table.full_name, column.name)
            if self.types.setdefault(place, column.type.kind) != column.type.kind:
                self.rollback()
                raise ColumnRefused("another type", column=column.name, where=table.full_name)
        super().evolve(table)

    def alter(self, table: Table, alterations: Sequence[Any]) -> None:
        for each in alterations:
            self.types.pop((table.full_name, each.name), None)
        super().alter(table, alterations)

    def apply(self, merge: Merge) -> Sequence[Key]:
        rows: list[Row] = [
            *merge.upserts,
            *merge.inserts,
            *merge.removals,
            *merge.deletes,
            *self._chunk(merge),
        ]
        rows += [patch.row for patch in merge.patches]
        if any(isinstance(cell, bytes) and cell.startswith(b"bad") for row in rows for cell in row):
            self.rollback()
            raise ValueRefused("1 value cannot be kept", where="public.t.v", hint="make it another")
        return super().apply(merge)

    def commit(self, checkpoint: Checkpoint) -> None:
        super().commit(checkpoint)
        self.kept_types = dict(self.types)

    def rollback(self) -> None:
        super().rollback()
        self.types = dict(self.kept_types)


def insert(table: Table, key: str, value: str) -> tuple[Table, str, Row | None, Row | None]:
    return table, "c", None, (key.encode(), value.encode())


class Kept:
    """A strict warehouse, and batches into it."""

    def __init__(self, **values: Any) -> None:
        self.warehouse = Strict()
        self.settings = settings(**values)
        self.told: list[tuple[str, str]] = []
        self.left_out: list[tuple[str, int]] = []
        self.tell: Callable[[Sequence[Letter]], None] | None = None
        self.mended: Callable[[str, int], None] = lambda _table, _rows: None
        self.lsn = 0

    def run(self, *batches: Batch | None) -> None:
        controls = self.warehouse.state().controls
        told = {"parked": lambda *told: self.told.append(told), "mended": self.mended}
        modes = Modes(self.settings, controls, lambda: 0, **told)
        left_out = lambda name, _, n: self.left_out.append((name, n))  # noqa: E731
        refusals = Refusals(self.warehouse, modes, lambda: 0, left_out, self.tell)
        script = Script(*batches)
        run_applier(
            script, self.warehouse, lambda *_: [], lambda *_: None, lambda: bool(script.batches),
            shaping=modes, refusals=refusals,
        )  # fmt: skip

    def batch(self, *changes: tuple[Table, str, Row | None, Row | None], whole: bool = True) -> Batch:
        self.lsn += 1
        begin = Begin(self.lsn, 0, self.lsn)
        rows: list[Event] = [
            Change(table, op, old, new, begin, n, self.lsn, 1)
            for n, (table, op, old, new) in enumerate(changes, 1)
        ]
        ending = [Commit(begin, self.lsn + 1, len(rows))] if whole else []
        checkpoint = Checkpoint({"p": Mark(Position(self.lsn, END))}) if whole else None
        return Batch([begin, *rows, *ending], checkpoint, len(rows), 1, 0)

    def chunk(self, table: Table, csv: str, *, first: bool = False) -> Batch:
        position = Position(self.lsn, END)
        chunk = Chunk(table, csv.encode(), csv.count("\n"), position, Control("c", b""), first=first)
        return Batch([chunk], Checkpoint({"p": Mark(position)}), chunk.rows, 1, 0)

    def rows(self, table: str = "public.t") -> list[tuple[str | None, ...]]:
        return [
            tuple(cell.decode() if isinstance(cell, bytes) else None for cell in row)
            for row in self.warehouse.rows(table)
        ]

    @property
    def parked(self) -> set[str]:
        return {name for name, each in parked_tables(self.warehouse.state().controls).items() if each.reason}


def test_a_table_is_parked_and_the_others_go_on() -> None:
    kept = Kept()
    kept.run(
        kept.batch(insert(T, "1", "a"), insert(U, "1", "a")),
        kept.batch(insert(T, "2", "b"), insert(T, "3", "bad secret"), insert(U, "2", "b")),
        kept.batch(insert(T, "4", "c"), insert(U, "3", "c")),
    )
    assert kept.rows() == [("1", "a")]
    assert kept.rows("public.u") == [("1", "a"), ("2", "b"), ("3", "c")]
    assert kept.warehouse.state().marks["p"].position.commit_lsn == 3
    assert kept.told == [("public.t", "public.t.v: 1 value cannot be kept (make it another)")]
    assert "secret" not in str(kept.warehouse.state().controls)


def test_it_stays_parked_over_a_restart_until_it_is_copied_anew() -> None:
    kept = Kept()
    kept.run(kept.batch(insert(T, "1", "bad")))
    kept.run(kept.batch(insert(T, "2", "b")), kept.chunk(T, "3,c\n"))
    assert kept.parked == {"public.t"}
    kept.run(kept.chunk(T, "4,d\n", first=True), kept.chunk(T, "5,e\n"), kept.batch(insert(T, "6", "f")))
    assert kept.parked == set()
    assert kept.rows() == [("4", "d"), ("5", "e"), ("6", "f")]
    assert len(kept.told) == 1


def test_it_is_parked_no_more_once_it_is_emptied() -> None:
    """By TRUNCATE, or where a copy comes over a log."""
    kept = Kept()
    kept.run(kept.batch(insert(T, "1", "a")), kept.batch(insert(T, "2", "bad")))
    batch = kept.batch(insert(T, "3", "left out"), insert(T, "4", "d"))
    [begin, left_out, change, commit] = batch.events
    truncate = Truncate(T, begin, 1, 1)  # type: ignore[arg-type]
    kept.run(msgspec.structs.replace(batch, events=[begin, left_out, truncate, change, commit]))
    kept.run(kept.batch(insert(T, "5", "e")))
    assert kept.rows() == [("4", "d"), ("5", "e")]
    assert kept.parked == set()


def test_a_copy_that_is_refused_parks_the_table_again() -> None:
    kept = Kept()
    kept.run(kept.chunk(T, "1,a\n", first=True), kept.chunk(T, "2,bad\n"), kept.chunk(T, "3,c\n"))
    assert kept.parked == {"public.t"}
    assert kept.rows() == [("1", "a")]


def test_stop_means_stop() -> None:
    kept = Kept(refused="stop")
    with pytest.raises(ValueRefused):
        kept.run(kept.batch(insert(T, "1", "bad")))
    assert kept.warehouse.state() == Checkpoint()


@pytest.mark.parametrize(
    ("data", "key", "row"),
    [
        ("none", "md5:", None),
        ("key", '{"id": "3"}', None),
        ("row", '{"id": "3"}', '{"id": "3", "v": "bad é"}'),
    ],
)
def test_a_row_is_parked_and_told_as_far_as_may_be(data: Any, key: str, row: str | None) -> None:
    kept = Kept(refused="park_row", dead_letters=data)
    changes = [insert(T, str(n), "good") for n in range(10, 40)]
    kept.run(kept.batch(*changes[:7], insert(T, "3", "bad é"), *changes[7:], insert(U, "1", "a")))
    assert len(kept.rows()) == 30
    assert kept.rows("public.u") == [("1", "a")]
    [(table, told, position, reason, values, _)] = kept.rows("public._cdc_dead_letters")
    assert (table, reason, values) == ("public.t", "public.t.v: 1 value cannot be kept", row)
    assert told is not None
    assert told.startswith(key)
    assert position == "0000000000000001.0000000008"  # that of the change
    assert kept.left_out == [("public.t", 1)]
    assert parked_tables(kept.warehouse.state().controls)["public.t"].rows == 1
    assert kept.parked == set()


def test_all_kinds_of_rows_can_be_parked() -> None:
    kept = Kept(refused="park_row")
    kept.run(
        kept.chunk(T, '1,a\n2,"bad,"\n3,c\n', first=True),
        kept.chunk(K, "x,bad\ny,b\n", first=True),
        kept.batch((T, "u", None, (b"1", b"bad")), (T, "d", (b"bad", UNSENT), None), insert(T, "4", "d")),
        kept.batch((K, "d", (b"x", b"bad"), None), (K, "u", (b"y", b"b"), (b"z", b"c"))),
    )
    assert kept.rows() == [("1", "a"), ("3", "c"), ("4", "d")]
    assert kept.rows("public.k") == [("z", "c")]
    letters = {(row[0], row[1]) for row in kept.rows("public._cdc_dead_letters")}
    assert letters >= {
        ("public.t", '{"id": "2"}'),
        ("public.t", '{"id": "1"}'),
        ("public.t", '{"id": "bad"}'),
    }
    assert len(letters) == 4


def test_too_many_refused_rows_park_the_table() -> None:
    kept = Kept(refused="park_row")
    kept.run(kept.batch(*(insert(T, str(n), "bad") for n in range(1100))))
    assert kept.parked == {"public.t"}


def test_in_pieces_of_a_large_transaction_a_table_is_parked_and_another_attempt_made() -> None:
    kept = Kept(refused="park_row")
    pieces = [kept.batch(insert(T, "1", "a"), insert(U, "1", "a"), whole=False)]
    with pytest.raises(TargetUnavailable, match="applied again from its beginning"):
        kept.run(*pieces, kept.batch(insert(T, "2", "bad")))
    assert kept.parked == {"public.t"}
    kept.run(*pieces, kept.batch(insert(T, "2", "bad")))
    assert kept.rows("public.u") == [("1", "a")]
