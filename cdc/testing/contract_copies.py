"""A table's rows gathered anew beside it, in a shadow, whose rows then take their place (see `contract.py`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdc.applying import apply
from cdc.errors import ColumnRefused
from cdc.events import UNSENT, Row
from cdc.fold import Merge, Patch
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.testing.targets import (
    BODY,
    ID,
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

ALTERED = (
    (TEXT, LogicalType("bytea")),
    (TEXT, LogicalType("numeric", precision=10, scale=2)),
    (TEXT, LogicalType("bool")),
    (TEXT, LogicalType("char", length=5)),
    (LogicalType("float8"), LogicalType("float4")),
)
"""What columns were, and what they are."""


class CopiesContract:
    """Shadows that are taken."""

    @pytest.mark.parametrize("table", [KEYED, KEYLESS], ids=["keyed", "keyless"])
    def test_the_rows_of_a_shadow_replace_those_of_its_table(self, target: Target, table: Table) -> None:
        """In one transaction, which may be begun again: what was taken is taken once."""
        warehouse = target.open()
        cells = (("1", "a", "b"), ("2", "c", ""), ("3", "", None))
        old, kept, new = (row(*each[-len(table.columns) :]) for each in cells)
        put(warehouse, _whole(table, [old, kept]), _whole(table.shadow, [kept, new]))
        warehouse.evolve(table)
        warehouse.apply(Merge(table, truncate=True, take=table.shadow))
        expect(target, warehouse, table, old, kept)
        warehouse.rollback()
        put(warehouse, Merge(table, truncate=True, take=table.shadow))
        expect(target, warehouse, table, kept, new)
        put(warehouse, Merge(table, take=table.shadow))
        expect(target, warehouse, table, kept, new)
        put(warehouse, Merge(table.shadow))
        expect(target, warehouse, table.shadow)
        warehouse.close()

    def test_the_rows_of_a_shadow_are_upserted_where_nothing_was_truncated(self, target: Target) -> None:
        warehouse = target.open()
        put(warehouse, Merge(PAIR, upserts=[row("a", "1", "old"), row("b", "1", "old")]))
        put(warehouse, Merge(PAIR.shadow, upserts=[row("b", "1", "new"), row("c", "1", None)]))
        put(warehouse, Merge(PAIR, take=PAIR.shadow))
        expect(target, warehouse, PAIR, row("a", "1", "old"), row("b", "1", "new"), row("c", "1", None))
        warehouse.close()

    def test_a_shadow_loads_rows_by_the_types_of_its_table(self, target: Target) -> None:
        """These are wider than the source's since its columns were altered. A cast from the one to the other might write a value
        otherwise than a row of the stream does."""
        warehouse = target.open()
        before, now = (
            replace(KEYED, columns=(ID, *(Column(f"c{n}", kind) for n, kind in enumerate(kinds))))
            for kinds in zip(*ALTERED, strict=True)
        )
        rows: list[Row] = [
            row("1", "\\x00ff5c", "1.50", "t", "ab   ", "0.1"),
            row("2", "\\x", "-0.00", "f", "", "-1e-09"),
        ]
        rows += [row("3", None, None, None, None, None)]
        old = row("1", "old", "old", "old", "old", "1")
        direct = [replace(table, name="direct") for table in (before, now)]
        put(warehouse, Merge(direct[0], upserts=[old]), Merge(direct[1], truncate=True, upserts=rows))
        put(warehouse, Merge(before, upserts=[old]))
        put(warehouse, Merge(now.shadow, upserts=rows), Merge(now, truncate=True, take=now.shadow))
        expect(target, warehouse, before, *target.rows(warehouse, direct[0]))
        texts = replace(before, columns=before.columns[:-1])
        expect(target, warehouse, texts, *(each[:-1] for each in rows))
        warehouse.close()

    def test_rows_that_were_gathered_in_other_types_are_refused_or_not_altered(self, target: Target) -> None:
        """The target's table was altered meanwhile, by hand."""
        warehouse = target.open()
        text, now = (
            replace(PAIR, columns=(*PAIR.columns[:2], Column("b", LogicalType(k)))) for k in ("text", "bytea")
        )
        rows: list[Row] = [row("a", "1", "\\x00ff5c")]
        put(warehouse, Merge(now.shadow, upserts=rows))
        put(warehouse, Merge(text, upserts=[row("b", "1", "old")]))
        try:
            put(warehouse, Merge(now, truncate=True, take=now.shadow))
        except ColumnRefused as error:
            rows = [row("b", "1", "old")] if error.column == "b" else []
        expect(target, warehouse, text, *rows)
        warehouse.close()

    def test_a_shadow_that_was_filled_in_an_older_shape_is_taken_in_the_newer(self, target: Target) -> None:
        warehouse = target.open()
        newer = replace(PAIR, columns=(*PAIR.columns, Column("n", LogicalType("int4"), missing=b"7")))
        put(warehouse, Merge(PAIR, upserts=[row("a", "1", "old")]))
        put(warehouse, Merge(PAIR.shadow, upserts=[row("b", "1", "new")]))
        apply(warehouse, Merge(newer, truncate=True, take=newer.shadow), lambda *_: ())
        warehouse.commit(checkpoint(2))
        expect(target, warehouse, newer, row("b", "1", "new", "7"))
        warehouse.close()

    def test_a_key_that_rows_of_the_target_stand_in_the_way_of(self, target: Target) -> None:
        """The catalog may tell of a key before the stream comes to what made room for it."""
        before = Table("public", "made_room", (NOTE, ID, BODY), replica_identity=FULL, identity=(0, 1, 2))
        after = replace(before, primary_key=(0,), identity=(0, 1, 2))
        warehouse = target.open()
        twice = [row("a", "1", "x"), row("a", "1", "x"), row("b", "2", "y"), row("b", "3", "z")]
        put(warehouse, Merge(before, inserts=[*twice, row("c", "4", "z")]))
        put(warehouse, Merge(after, deletes=[row("a")], upserts=[row("c", "5", "z"), row("d", "6", "z")]))
        put(warehouse, Merge(after, patches=[Patch((b"e", UNSENT, b"moved"), row("d"))], deletes=[row("d")]))
        put(warehouse, chunk(after, "c,7,copied\nf,8,copied\n", 2))
        expect(
            target, warehouse, after,
            row("b", "2", "y"), row("b", "3", "z"), row("c", "7", "copied"), row("e", "6", "moved"), row("f", "8", "copied"),
        )  # fmt: skip
        put(warehouse, chunk(after, "b,9,anew\n", 1, first=True))
        put(warehouse, Merge(after, upserts=[row("b", "10", "z"), row("c", "11", "z")]))
        expect(target, warehouse, after, row("b", "10", "z"), row("c", "11", "z"))
        warehouse.close()


def _whole(table: Table, rows: list[Row]) -> Merge:
    return Merge(table, upserts=rows) if table.key else Merge(table, inserts=rows)
