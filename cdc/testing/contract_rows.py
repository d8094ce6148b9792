"""What a merge does to the rows of a warehouse: the larger half of the contract (see `contract.py`)."""

from __future__ import annotations

from cdc.events import UNSENT
from cdc.fold import Merge, Patch
from cdc.interfaces import Checkpoint, Mark
from cdc.lsn import Position
from cdc.testing.targets import (
    KEYED,
    KEYLESS,
    PAIR,
    Target,
    checkpoint,
    chunk,
    expect,
    put,
    row,
    sorted_rows,
)


class RowsContract:
    """Whole rows, partial rows, rows without a key, chunks."""

    def test_upserts_and_deletes(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", ""), row("2", None, "b"), row("3", "c", "c")]))
        put(warehouse, Merge(KEYED, upserts=[row("2", "", None)], deletes=[row("3"), row("4")]))
        expect(target, warehouse, KEYED, row("1", "a", ""), row("2", "", None))
        warehouse.close()

    def test_a_replay_changes_nothing(self, target: Target) -> None:
        warehouse = target.open()
        merges = [
            Merge(KEYED, upserts=[row("1", "a", "b"), row("2", "a", "b")], deletes=[row("3")]),
            Merge(KEYED, patches=[Patch((b"1", b"x", UNSENT), row("1"))], deletes=[row("2")]),
            chunk(KEYED, '7,"",x\n8,,\n', 2),
        ]
        put(warehouse, *merges)
        put(warehouse, *merges)
        expect(target, warehouse, KEYED, row("1", "x", "b"), row("7", "", "x"), row("8", None, None))
        warehouse.close()

    def test_an_empty_merge_does_nothing(self, target: Target) -> None:
        warehouse = target.open()
        assert not put(warehouse, Merge(KEYED), Merge(KEYLESS), chunk(KEYED, "", 0))[0]
        expect(target, warehouse, KEYED)
        warehouse.close()

    def test_truncate_comes_first(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]), Merge(KEYLESS, inserts=[row("a", "b")]))
        put(
            warehouse,
            Merge(KEYED, truncate=True, upserts=[row("2", "a", "b")]),
            Merge(KEYLESS, truncate=True, inserts=[row("c", "d")]),
        )
        expect(target, warehouse, KEYED, row("2", "a", "b"))
        expect(target, warehouse, KEYLESS, row("c", "d"))
        put(warehouse, Merge(KEYED, truncate=True))
        expect(target, warehouse, KEYED)
        warehouse.close()

    def test_keys_of_several_columns_and_their_order(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(PAIR, upserts=[row("a", "1", "x"), row("b", "1", "x"), row("a", "2", "x")]))
        put(warehouse, Merge(PAIR, upserts=[row("a", "1", "y")], deletes=[row("1", "b")]))
        expect(target, warehouse, PAIR, row("a", "1", "y"), row("a", "2", "x"))
        warehouse.close()

    def test_rows_of_one_transaction_see_those_before(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.evolve(KEYED)
        for n in range(3):
            warehouse.apply(Merge(KEYED, upserts=[row("1", "a", str(n))], deletes=[row("2")]))
            warehouse.apply(Merge(KEYED, upserts=[row("2", "b", str(n))], deletes=[row("3")]))
        warehouse.commit(checkpoint(1))
        expect(target, warehouse, KEYED, row("1", "a", "2"), row("2", "b", "2"))
        warehouse.close()

    # Partial rows.

    def test_unsent_cells_keep_the_targets_value(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "long"), row("2", "b", None)]))
        patches = [Patch((b"1", None, UNSENT), row("1")), Patch((b"2", UNSENT, b"new"), row("2"))]
        assert not any(put(warehouse, Merge(KEYED, patches=patches)))
        expect(target, warehouse, KEYED, row("1", None, "long"), row("2", "b", "new"))
        warehouse.close()

    def test_origins_are_read_before_anything_changes(self, target: Target) -> None:
        """Two rows swap keys, a third takes the place of a deleted one; their large columns were not sent."""
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row(n, "", f"body {n}") for n in "1234"]))
        patches = [
            Patch((b"%d" % to, b"new", UNSENT), row(str(origin))) for to, origin in ((1, 2), (2, 1), (4, 3))
        ]
        assert not any(put(warehouse, Merge(KEYED, patches=patches, deletes=[row("3")])))
        moved = [row("1", "new", "body 2"), row("2", "new", "body 1"), row("4", "new", "body 3")]
        expect(target, warehouse, KEYED, *moved)
        warehouse.close()

    def test_a_patch_takes_from_a_row_that_is_replaced(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "body")]))
        merge = Merge(KEYED, upserts=[row("1", "b", "b")], patches=[Patch((b"2", UNSENT, UNSENT), row("1"))])
        assert not any(put(warehouse, merge))
        expect(target, warehouse, KEYED, row("1", "b", "b"), row("2", "a", "body"))
        warehouse.close()

    def test_patches_of_unknown_rows_are_left_out_and_told(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "body")]))
        patches = [
            Patch((b"%d" % n, b"x", UNSENT), (b"%d" % origin,)) for n, origin in ((5, 5), (1, 1), (6, 9))
        ]
        missing = put(warehouse, Merge(KEYED, patches=patches))[0]
        assert sorted_rows(missing) == [row("5"), row("6")]
        expect(target, warehouse, KEYED, row("1", "x", "body"))
        warehouse.close()

    # Without a key.

    def test_equal_rows_are_counted(self, target: Target) -> None:
        warehouse = target.open()
        a, b, null = row("a", "x"), row("b", ""), row(None, None)
        put(warehouse, Merge(KEYLESS, inserts=[a, a, a, b, null, null]))
        put(warehouse, Merge(KEYLESS, inserts=[b], removals={a: 2, null: 1}))
        expect(target, warehouse, KEYLESS, a, b, b, null)
        put(warehouse, Merge(KEYLESS, removals={a: 7, row("never", None): 1}))
        expect(target, warehouse, KEYLESS, b, b, null)
        warehouse.close()

    # A snapshot's chunks.

    def test_a_chunk_is_upserted(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("2", "old", "old"), row("9", "a", "b")]))
        put(warehouse, chunk(KEYED, '1,"",\n2,"a ""b"", \nc",\\.\n', 2), chunk(KEYED, "3,NULL,\\N\n", 1))
        rows = [
            row("1", "", None),
            row("2", 'a "b", \nc', "\\."),
            row("3", "NULL", "\\N"),
            row("9", "a", "b"),
        ]
        expect(target, warehouse, KEYED, *rows)
        warehouse.close()

    def test_a_fresh_chunk_is_added(self, target: Target) -> None:
        """Its keys are not in the target, which therefore need not look for them."""
        warehouse = target.open()
        put(warehouse, chunk(KEYED, "1,a,\n", 1, first=True), chunk(KEYED, "2,b,\n3,c,\n", 2, fresh=True))
        put(warehouse, chunk(KEYED, '4,"",\n', 1, fresh=True), Merge(KEYED, upserts=[row("2", "x", "y")]))
        rows = [row("1", "a", None), row("2", "x", "y"), row("3", "c", None), row("4", "", None)]
        expect(target, warehouse, KEYED, *rows)
        warehouse.close()

    def test_a_chunk_without_key_is_added_and_the_first_replaces(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYLESS, inserts=[row("old", "old")]))
        put(warehouse, chunk(KEYLESS, "a,b\n", 1, first=True), chunk(KEYLESS, "a,b\n,\n", 2))
        expect(target, warehouse, KEYLESS, row("a", "b"), row("a", "b"), row(None, None))
        warehouse.close()

    def test_what_is_forgotten_is_as_if_it_had_never_been(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]), lsn=9)
        warehouse.commit(Checkpoint({"a": Mark(Position(7, 3), 9)}, {"k": b"v"}))
        warehouse.forget()
        assert warehouse.state() == Checkpoint()
        put(warehouse, Merge(KEYED, upserts=[row("2", "a", "b")]), lsn=1)
        warehouse.close()
        again = target.open()
        assert again.state() == checkpoint(1)
        expect(target, again, KEYED, row("1", "a", "b"), row("2", "a", "b"))
        again.close()
