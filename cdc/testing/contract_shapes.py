"""What modes and changes of shape ask of a warehouse: live and past rows, columns renamed and dropped (see `contract.py`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdc.errors import ColumnRefused
from cdc.events import UNSENT, Row
from cdc.fold import Merge, Patch
from cdc.interfaces import DropColumn, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, LogicalType, Table
from cdc.testing.targets import (
    BODY,
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

GONE = Column("_cdc_gone", LogicalType("timestamptz"))
SOFT = Table("public", "soft", (ID, NOTE, GONE), primary_key=(0,), identity=(0,), live="_cdc_gone")
SOFT_KEYLESS = Table("public", "soft keyless", (NOTE, GONE), live="_cdc_gone")
UNTIL = Column("_cdc_until", TEXT, nullable=False)
VERSIONS = Table("public", "versions", (ID, NOTE, UNTIL, GONE), primary_key=(0, 2), live="_cdc_gone")
FILLED = (Column("later", TEXT, missing="it's {x} 50% \\ é:é".encode()), Column("n", INT, missing=b"-7"))
SHOWN = ("it's {x} 50% \\ é:é", "-7")
THEN, NOW = "2024-02-29 12:00:00.123456+00", "2024-03-01 00:00:00+00"


class ShapesContract:
    """Rows that are past but stay, versions of rows, altered columns, rolling back."""

    def test_live_rows_are_retired(self, target: Target) -> None:
        warehouse = target.open()
        put(
            warehouse,
            Merge(SOFT, upserts=[row("1", "a", None), row("2", "it's", THEN), row("3", None, None)]),
        )
        put(warehouse, Merge(SOFT, retire=(UNSENT, UNSENT, NOW.encode()), upserts=[row("3", "back", None)]))
        expect(target, warehouse, SOFT, row("1", "a", NOW), row("2", "it's", THEN), row("3", "back", None))
        put(warehouse, Merge(SOFT_KEYLESS, inserts=[row("a", None), row("a", None), row("b", THEN)]))
        put(warehouse, Merge(SOFT_KEYLESS, retire=(UNSENT, NOW.encode())))
        expect(target, warehouse, SOFT_KEYLESS, row("a", NOW), row("a", NOW), row("b", THEN))
        warehouse.close()

    def test_retired_versions_have_another_key(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(VERSIONS, upserts=[row("1", "a", "now", None), row("1", "b", "00", THEN)]))
        put(warehouse, Merge(VERSIONS, retire=(UNSENT, UNSENT, b"07", NOW.encode())))
        expect(target, warehouse, VERSIONS, row("1", "a", "07", NOW), row("1", "b", "00", THEN))
        warehouse.close()

    def test_retiring_an_empty_table_and_before_a_chunk(self, target: Target) -> None:
        warehouse = target.open()
        merge = chunk(SOFT, "1,a,\n", 1)
        merge.retire = (UNSENT, UNSENT, NOW.encode())
        put(warehouse, merge)
        merge = chunk(SOFT, "2,b,\n", 1)
        merge.retire = (UNSENT, UNSENT, NOW.encode())
        put(warehouse, merge)
        expect(target, warehouse, SOFT, row("1", "a", NOW), row("2", "b", None))
        warehouse.close()

    def test_a_version_ends_and_the_next_begins_from_it(self, target: Target) -> None:
        """Two patches take from one row: the ended version gets another key, the next one its place."""
        warehouse = target.open()
        put(warehouse, Merge(VERSIONS, upserts=[row("1", "a", "now", None), row("2", "b", "now", None)]))
        ended = Patch((b"1", UNSENT, b"05", NOW.encode()), row("1", "now"), optional=True)
        begun = Patch((b"1", UNSENT, b"now", None), row("1", "now"))
        gone = Patch((b"2", UNSENT, b"06", NOW.encode()), row("2", "now"), optional=True)
        unknown = Patch((b"3", UNSENT, b"06", NOW.encode()), row("3", "now"), optional=True)
        merge = Merge(VERSIONS, patches=[ended, begun, gone, unknown], deletes=[row("2", "now")])
        assert put(warehouse, merge) == [[row("3", "06")]]
        expected = [row("1", "a", "05", NOW), row("1", "a", "now", None), row("2", "b", "06", NOW)]
        expect(target, warehouse, VERSIONS, *expected)
        warehouse.close()

    def test_rows_without_key_are_removed_by_some_of_their_columns(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYLESS, inserts=[row("a", "1"), row("a", "2"), row("b", "3")]))
        narrow = replace(KEYLESS, columns=(NOTE,), identity=(0,))
        put(warehouse, Merge(narrow, removals={row("b"): 1}), Merge(KEYLESS, inserts=[row("c", "4")]))
        expect(target, warehouse, KEYLESS, row("a", "1"), row("a", "2"), row("c", "4"))
        warehouse.close()

    # Columns.

    def test_a_renamed_column_keeps_its_values(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        renamed = replace(KEYED, columns=(ID, replace(NOTE, name='no"te'), BODY))
        for _ in range(2):  # as after a crash, where the target cannot take it back
            warehouse.alter(renamed, [RenameColumn("note", 'no"te'), RenameColumn("never", "there")])
            put(warehouse, Merge(renamed, upserts=[row("2", "c", "d")]))
        expect(target, warehouse, renamed, row("1", "a", "b"), row("2", "c", "d"))
        warehouse.close()

    def test_rows_before_a_rename_and_behind_it_are_of_one_transaction(self, target: Target) -> None:
        """Also once it was taken back, which leaves some targets with the new name."""
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        renamed = replace(KEYED, columns=(ID, replace(NOTE, name="said"), BODY))
        for taken_back in (True, False):
            warehouse.evolve(KEYED)
            warehouse.apply(Merge(KEYED, upserts=[row("2", "c", "d")]))
            warehouse.alter(renamed, [RenameColumn("note", "said")])
            warehouse.evolve(renamed)
            warehouse.apply(Merge(renamed, patches=[Patch((b"2", b"x", UNSENT), row("2"))]))
            if taken_back:
                warehouse.rollback()
                warehouse.state()
        warehouse.commit(checkpoint(2))
        expect(target, warehouse, renamed, row("1", "a", "b"), row("2", "x", "d"))
        warehouse.close()

    def test_columns_swap_their_names(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        aside = [RenameColumn("note", "aside"), RenameColumn("body", "note"), RenameColumn("aside", "body")]
        warehouse.alter(KEYED, aside)
        put(warehouse, Merge(KEYED, upserts=[row("2", "c", "d")]))
        expect(target, warehouse, KEYED, row("1", "b", "a"), row("2", "c", "d"))
        warehouse.close()

    def test_a_rename_to_a_name_that_is_taken_is_refused(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        with pytest.raises(ColumnRefused) as raised:
            warehouse.alter(KEYED, [RenameColumn("note", "body")])
        assert raised.value.column == "body"
        expect(target, warehouse, KEYED, row("1", "a", "b"))
        warehouse.close()

    def test_a_dropped_column_is_gone(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        warehouse.alter(KEYED, [DropColumn("note"), DropColumn("note")])
        narrow = replace(KEYED, columns=(ID, BODY))
        put(warehouse, Merge(narrow, upserts=[row("2", "d")]))
        put(warehouse, Merge(KEYED, patches=[Patch((b"1", UNSENT, b"new"), row("1"))]))
        expect(target, warehouse, KEYED, row("1", None, "new"), row("2", None, "d"))
        warehouse.close()

    @pytest.mark.parametrize("created", [False, True])
    def test_rows_of_an_older_shape_show_what_the_source_shows(self, target: Target, created: bool) -> None:
        """The target has the newer shape: it was added, or is there from the beginning, as after a copy."""
        for narrow in (KEYED, KEYLESS):
            warehouse = target.open()
            wide = replace(narrow, columns=(*narrow.columns, *FILLED))
            texts = {each: (each, "a", "b") if narrow.key else (each, "b") for each in "123456"}
            put(warehouse, *[] if created else [Merge(narrow)], Merge(wide))
            put(warehouse, *_added(wide, row(*texts["1"], None, "1")))
            put(warehouse, *_added(narrow, row(*texts["1"]), row(*texts["2"])))
            csv = "".join(",".join(texts[each]) + "\n" for each in "34")
            put(warehouse, chunk(narrow, csv, 2), chunk(narrow, ",".join(texts["5"]) + "\n", 1, fresh=True))
            again = [] if narrow.key else [row(*texts["1"], *SHOWN)]
            shown = [row(*texts[each], *SHOWN) for each in "2345"]
            expect(target, warehouse, wide, row(*texts["1"], None, "1"), *again, *shown)
            emptied = _added(narrow, row(*texts["1"]))
            emptied[0].truncate = True
            put(warehouse, *emptied)
            put(warehouse, *_added(wide, row(*texts["6"], "x", None)))
            expect(target, warehouse, wide, row(*texts["1"], *SHOWN), row(*texts["6"], "x", None))
            warehouse.close()

    def test_a_column_that_grows_keeps_what_older_rows_show(self, target: Target) -> None:
        small = Column("n", LogicalType("int2"), missing=b"-7")
        tables = [replace(KEYED, columns=(*KEYED.columns, replace(small, type=t))) for t in (small.type, INT)]
        warehouse = target.open()
        put(warehouse, Merge(KEYED), Merge(tables[0], upserts=[row("1", "a", "b", "3")]))
        tables[1] = replace(tables[1], columns=(*KEYED.columns, replace(small, type=INT, missing=None)))
        try:
            put(warehouse, Merge(tables[1], upserts=[row("2", "a", "b", "3")]))
        except ColumnRefused:
            pytest.skip("this target alters no types")
        put(warehouse, Merge(KEYED, upserts=[row("3", "a", "b")]))
        expected = [row("1", "a", "b", "3"), row("2", "a", "b", "3"), row("3", "a", "b", "-7")]
        expect(target, warehouse, tables[1], *expected)
        warehouse.close()

    def test_a_column_without_its_default_is_null_in_new_rows(self, target: Target) -> None:
        """The source has dropped it. Also for a column that has none, one that is not there, and again after a crash."""
        for narrow in (KEYED, KEYLESS):
            warehouse = target.open()
            wide = replace(narrow, columns=(*narrow.columns, *FILLED))
            texts = {each: (each, "a", "b") if narrow.key else (each, "b") for each in "123"}
            put(warehouse, *_added(narrow, row(*texts["1"])))
            put(warehouse, *_added(wide, row(*texts["2"], None, "2")))
            for _ in range(2):
                warehouse.alter(wide, [DropDefault(name) for name in ("later", "n", "body", "never")])
                put(warehouse, Merge(narrow))
            put(warehouse, *_added(narrow, row(*texts["3"])))
            expected = [row(*texts["1"], *SHOWN), row(*texts["2"], None, "2"), row(*texts["3"], None, None)]
            expect(target, warehouse, wide, *expected)
            put(warehouse, *_added(narrow, row(*texts["1"])))
            again = [] if narrow.key else [row(*texts["1"], None, None)]
            expect(target, warehouse, wide, *expected, *again)
            warehouse.close()

    def test_a_table_is_dropped_and_made_again(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED.shadow, upserts=[row("1", "a", "b")]), Merge(KEYED))
        for _ in range(2):
            warehouse.alter(Table("public", KEYED.shadow.name, ()), [DropTable()])
            warehouse.commit(checkpoint(2))
        put(warehouse, Merge(KEYED.shadow, upserts=[row("2", "a", "b")]))
        expect(target, warehouse, KEYED.shadow, row("2", "a", "b"))
        warehouse.close()

    def test_a_table_that_is_not_there_has_no_columns_to_alter(self, target: Target) -> None:
        warehouse = target.open()
        warehouse.alter(KEYED, [DropColumn("note"), RenameColumn("body", "b")])
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        expect(target, warehouse, KEYED, row("1", "a", "b"))
        warehouse.close()

    def test_what_is_rolled_back_can_be_done_again(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(KEYED, upserts=[row("1", "a", "b")]))
        for _ in range(2):
            warehouse.evolve(KEYED)
            warehouse.apply(Merge(KEYED, truncate=True, upserts=[row("2", "c", "d")]))
            warehouse.rollback()
        warehouse.rollback()
        assert warehouse.state() == checkpoint(1)
        put(warehouse, Merge(KEYED, patches=[Patch((b"1", b"x", UNSENT), row("1"))]), lsn=2)
        expect(target, warehouse, KEYED, row("1", "x", "b"))
        assert warehouse.state() == checkpoint(2)
        warehouse.close()


def _added(table: Table, *rows: Row) -> list[Merge]:
    """Rows as whole ones, of a table with a key or without."""
    return [Merge(table, upserts=list(rows)) if table.key else Merge(table, inserts=list(rows))]
