"""The promises of `cdc.interfaces.Warehouse`, as tests that any implementation can be put to.

    class TestMine(WarehouseContract):
        @pytest.fixture
        def target(self, tmp_path: Path) -> Target:
            return MyTarget(tmp_path)

A `Target` (see `targets.py`) opens the warehouse and reads its tables. Needs pytest, which
collects the inherited tests; a target cannot be asked for what it is not: such a test is skipped, with the reason.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdc.errors import Overtaken, TargetError, TargetUnavailable
from cdc.events import UNSENT
from cdc.fold import Merge, Patch
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.schema import Column, Table
from cdc.testing.contract_copies import CopiesContract
from cdc.testing.contract_modes import ModesContract
from cdc.testing.contract_rows import RowsContract
from cdc.testing.contract_shapes import ShapesContract
from cdc.testing.targets import (
    ID,
    INT,
    KEYED,
    KEYLESS,
    NOTE,
    PAIR,
    TEXT,
    Target,
    checkpoint,
    chunk,
    expect,
    put,
    row,
)

ODD = (
    "select",
    'quo"te',
    "sp ace",
    "Größe",
    "semi;colon--",
    "per%cent {x}",
    "back\\slash",
    "'",
    "UPPER",
    ".",
    "n",
    "c0",
    "t",
)


class WarehouseContract(RowsContract, CopiesContract, ShapesContract, ModesContract):
    """Subclass it and give the fixture `target`. Here: what lasts, what is rolled back, how tables change."""

    def test_a_new_target_has_no_state(self, target: Target) -> None:
        warehouse = target.open()
        assert warehouse.state() == Checkpoint()
        warehouse.close()

    def test_state_survives(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.commit(Checkpoint({"a": Mark(Position(7, 3), 9), "b": Mark()}, {"k": b"\x00\xff", "": b""}))
        warehouse.commit(Checkpoint({"a": Mark(Position(1 << 63, 1 << 62), 10)}, {"k": b"v"}))
        expected = Checkpoint({"a": Mark(Position(1 << 63, 1 << 62), 10), "b": Mark()}, {"k": b"v", "": b""})
        assert warehouse.state() == expected
        warehouse.close()
        again = target.open()
        assert again.state() == expected
        again.close()

    def test_marks_never_move_backward(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.commit(checkpoint(5))
        warehouse.commit(checkpoint(4, k=b"1"))
        assert warehouse.state() == checkpoint(5, k=b"1")
        warehouse.close()

    def test_a_commit_that_comes_too_late_is_refused(self, target: Target) -> None:
        """Two appliers of one partition: one of them has lost it, and does not know."""
        late = target.open()
        put(late, Merge(KEYED), Merge(PAIR))
        other = target.open()
        for lsn, begun_before in ((5, True), (9, False)):
            if begun_before:
                late.evolve(KEYED)
                late.apply(Merge(KEYED, upserts=[row(str(lsn), "late", "")]))
            if begun_before and target.one_writer:  # the other cannot even begin
                with pytest.raises(TargetUnavailable):
                    put(other, Merge(PAIR, upserts=[row("a", str(lsn), "")]), lsn=lsn)
                late.rollback()
            put(other, Merge(PAIR, upserts=[row("a", str(lsn), "")]), lsn=lsn)
            if not begun_before:
                late.evolve(KEYED)
                late.apply(Merge(KEYED, upserts=[row(str(lsn), "late", "")]))
            with pytest.raises(Overtaken):
                late.commit(checkpoint(lsn + 1))
            assert late.state() == checkpoint(lsn)
            expect(target, late, KEYED)
        put(late, Merge(KEYED, upserts=[row("1", "a", "b")]), lsn=11)
        with pytest.raises(Overtaken):
            put(other, Merge(KEYED, upserts=[row("2", "a", "b")]), lsn=12)
        assert other.state() == checkpoint(11)
        expect(target, late, KEYED, row("1", "a", "b"))
        expect(target, late, PAIR, row("a", "5", ""), row("a", "9", ""))
        late.close()
        other.close()

    def test_two_appliers_of_different_partitions_do_not_mind_each_other(self, target: Target) -> None:
        one, two = target.open(), target.open()
        put(one, Merge(KEYED), Merge(PAIR))
        two.state()
        for lsn in (2, 3):
            for warehouse, table, name in ((one, KEYED, "one"), (two, PAIR, "two")):
                cells = row(str(lsn), "a", "b") if table is KEYED else row("a", str(lsn), "b")
                warehouse.evolve(table)
                warehouse.apply(Merge(table, upserts=[cells]))
                warehouse.commit(Checkpoint({name: Mark(Position(lsn, 1), lsn)}, {name: b"%d" % lsn}))
        marks = {**checkpoint(1).marks, **{name: Mark(Position(3, 1), 3) for name in ("one", "two")}}
        assert one.state() == two.state() == Checkpoint(marks, {"one": b"3", "two": b"3"})
        one.close()
        two.close()

    def test_the_offset_says_which_mark_is_ahead(self, target: Target) -> None:
        """What a reader publishes anew has positions that were there before."""
        warehouse = target.open()
        for mark in (Mark(Position(9, 1), 5), Mark(Position(4, 1), 6), Mark(Position(8, 1), 5)):
            warehouse.commit(Checkpoint({"a": mark}))
        assert warehouse.state() == Checkpoint({"a": Mark(Position(4, 1), 6)})
        warehouse.close()

    def test_what_is_not_committed_is_gone(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]), Merge(KEYLESS, inserts=[row("a", "b")]))
        for table in (KEYED, KEYLESS):
            warehouse.evolve(table)
        warehouse.apply(Merge(KEYED, truncate=True, upserts=[row("2", "a", "b")]))
        warehouse.apply(Merge(KEYLESS, inserts=[row("c", "d")], removals={row("a", "b"): 1}))
        expect(target, warehouse, KEYED, row("1", "a", "b"))
        warehouse.close()
        warehouse.close()
        again = target.open()
        assert again.state() == checkpoint(1)
        expect(target, again, KEYED, row("1", "a", "b"))
        expect(target, again, KEYLESS, row("a", "b"))
        again.close()

    def test_after_a_failure_nothing_is_kept_and_all_can_be_done_again(self, target: Target) -> None:
        if target.refused is None:
            pytest.skip("this target refuses no value")
        kind, value = target.refused
        strict = Table("public", "strict", (ID, Column("v", kind)), primary_key=(0,), identity=(0,))
        warehouse = target.open()
        first = [Merge(KEYED, upserts=[row("1", "a", "b")]), Merge(strict, upserts=[row("1", None)])]
        put(warehouse, *first)
        for bad in (
            Merge(strict, upserts=[(b"2", value)]),
            Merge(strict, patches=[Patch((b"1", value), (b"1",))]),
        ):
            warehouse.evolve(KEYED)
            warehouse.apply(Merge(KEYED, truncate=True, upserts=[row("2", "c", "d")]))
            with pytest.raises(TargetError) as raised:
                put(warehouse, bad, lsn=2)
            assert value.decode() not in str(raised.value)
            assert warehouse.state() == checkpoint(1)
            expect(target, warehouse, KEYED, row("1", "a", "b"))
            expect(target, warehouse, strict, row("1", None))
        put(warehouse, Merge(KEYED, deletes=[row("1")]), Merge(strict, upserts=[row("2", None)]), lsn=2)
        assert warehouse.state() == checkpoint(2)
        expect(target, warehouse, KEYED)
        expect(target, warehouse, strict, row("1", None), row("2", None))
        warehouse.close()

    def test_an_added_column_shows_what_the_source_shows(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        added = (
            Column("plain", INT),
            Column("filled", TEXT, missing="it's {x} \\ é".encode()),
            Column("n", INT, missing=b"-7"),
        )
        wider = replace(KEYED, columns=(*KEYED.columns, *added))
        put(warehouse, Merge(wider, upserts=[row("2", "c", "d", "5", None, None)]))
        put(warehouse, Merge(wider))
        old = row("1", "a", "b", None, "it's {x} \\ é", "-7")
        expect(target, warehouse, wider, old, row("2", "c", "d", "5", None, None))
        warehouse.close()

    def test_an_added_column_is_taken_back_with_its_transaction(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        wider = replace(KEYED, columns=(*KEYED.columns, Column("later", INT, missing=b"1")))
        warehouse.evolve(wider)
        warehouse.apply(Merge(wider, upserts=[row("1", "c", "d", "2")]))
        warehouse.close()
        again = target.open()
        expect(target, again, KEYED, row("1", "a", "b"))
        put(again, Merge(wider, upserts=[row("2", "c", "d", "2")]))
        expect(target, again, wider, row("1", "a", "b", "1"), row("2", "c", "d", "2"))
        again.close()

    def test_rows_of_a_shape_with_fewer_columns_keep_the_others(self, target: Target) -> None:
        """An older shape that is still in the stream, a column dropped in the source, or one that only the target has."""
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row(n, "a", f"body {n}") for n in "1234"]))
        narrow = replace(KEYED, columns=(NOTE, ID), primary_key=(1,), identity=(1,))
        patches = [
            Patch((UNSENT, b"2"), (b"2",)),
            Patch((b"moved", b"6"), (b"3",)),
            Patch((UNSENT, b"8"), (b"8",)),
        ]
        merge = Merge(narrow, upserts=[row("x", "1"), row("y", "7")], patches=patches, deletes=[row("3")])
        assert put(warehouse, merge) == [[row("8")]]
        put(warehouse, chunk(narrow, "z,4\nz,9\n", 2))
        expected = [("1", "x", "body 1"), ("2", "a", "body 2"), ("6", "moved", "body 3"), ("7", "y", None)]
        expect(
            target, warehouse, KEYED, *[row(*r) for r in [*expected, ("4", "z", "body 4"), ("9", "z", None)]]
        )
        warehouse.close()

    def test_names_are_kept_as_they_are(self, target: Target) -> None:
        warehouse = target.open()
        names = tuple(name for name in ODD if name not in target.unnameable)
        columns = tuple(Column(name, TEXT) for name in names)
        key = (1, len(names) - 1)
        for schema, name in zip(names, reversed(names), strict=True):
            table = Table(schema, name, columns, primary_key=key, identity=key)
            old, new = row(*names), row("new", *names[1:])
            put(warehouse, Merge(table, upserts=[old, row(*reversed(names))]))
            partial = tuple(c if i in (0, *key) else UNSENT for i, c in enumerate(new))
            put(warehouse, Merge(table, patches=[Patch(partial, tuple(old[i] for i in key))]))
            expect(target, warehouse, table, new, row(*reversed(names)))
            keyless = replace(table, name=f"{name} keyless", primary_key=(), identity=())
            put(warehouse, Merge(keyless, inserts=[old, old, new]), Merge(keyless, removals={old: 1}))
            expect(target, warehouse, keyless, old, new)
        warehouse.close()

    def test_closing_twice(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.close()
        warehouse.close()
