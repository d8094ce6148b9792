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

from cdc.errors import TargetError
from cdc.events import UNSENT
from cdc.fold import Merge, Patch
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.schema import Column, Table
from cdc.testing.contract_rows import RowsContract
from cdc.testing.targets import (
    ID,
    INT,
    KEYED,
    KEYLESS,
    NOTE,
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


class WarehouseContract(RowsContract):
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
        columns = tuple(Column(name, TEXT) for name in ODD)
        key = (1, len(ODD) - 1)
        for schema, name in zip(ODD, reversed(ODD), strict=True):
            table = Table(schema, name, columns, primary_key=key, identity=key)
            old, new = row(*ODD), row("new", *ODD[1:])
            put(warehouse, Merge(table, upserts=[old, row(*reversed(ODD))]))
            partial = tuple(c if i in (0, *key) else UNSENT for i, c in enumerate(new))
            put(warehouse, Merge(table, patches=[Patch(partial, tuple(old[i] for i in key))]))
            expect(target, warehouse, table, new, row(*reversed(ODD)))
            keyless = replace(table, name=f"{name} keyless", primary_key=(), identity=())
            put(warehouse, Merge(keyless, inserts=[old, old, new]), Merge(keyless, removals={old: 1}))
            expect(target, warehouse, keyless, old, new)
        warehouse.close()

    def test_closing_twice(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.close()
        warehouse.close()
