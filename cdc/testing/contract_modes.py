"""The modes of `cdc.modes` on a warehouse: random histories, cut into batches and taken back, against a truth kept row by row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cdc.applying import apply
from cdc.config import WarehouseSettings
from cdc.dead_letters import letters, without_refused
from cdc.events import Cell, Event, Row
from cdc.fold import fold
from cdc.interfaces import Warehouse
from cdc.merge import Merge, Patch
from cdc.modes.letters import answered, in_table, letters_table
from cdc.modes.settings import Metadata, Mode
from cdc.modes.shaping import Modes
from cdc.schema import Column, Table
from cdc.testing.histories import FULL_KEY, NO_KEY, ONE_KEY, TWO_KEYS, Truth, history, steps
from cdc.testing.targets import ID, Target, checkpoint, expect, put, row, sorted_rows

METADATA: list[Metadata] = ["op", "commit_lsn", "commit_ts", "synced_at"]
BOOLEANS: dict[Cell, Cell] = {b"true": b"t", b"false": b"f"}
"""What a cast to text makes of them."""
MODES: tuple[Mode, ...] = ("upsert", "soft_delete", "history", "append")
CASES = [(mode, table) for mode in MODES for table in (ONE_KEY, TWO_KEYS, FULL_KEY, NO_KEY)]
CASES.remove(("history", NO_KEY))
PUT_TO_TARGETS = [case for case in CASES if case[1] is not ONE_KEY]


def nothing_to_look_up(table: Table, _keys: object) -> list[tuple[()]]:
    raise AssertionError(f"{table.full_name}: every partial row has its other half in the target")


def apply_all(warehouse: Warehouse, modes: Modes, events: Sequence[Event]) -> None:
    for merge in fold(events, modes):
        apply(warehouse, merge, nothing_to_look_up)


class ModesContract:
    """Everything that a mode needs is in the rest of the contract; here is the proof that it is enough."""

    def test_rows_that_are_refused_are_found_among_others(self, target: Target) -> None:
        if target.refused is None:
            pytest.skip("this target refuses no value")
        kind, value = target.refused
        table = Table("public", "strict", (ID, Column("v", kind)), primary_key=(0,), identity=(0,))
        warehouse = target.open()
        put(warehouse, Merge(table, upserts=[row(str(n), None) for n in range(5)]))
        upserts: list[Row] = [(b"%d" % n, value if n in (13, 17) else None) for n in range(10, 20)]
        patches = [Patch((b"3", value), (b"3",)), Patch((b"4", None), (b"4",))]
        merge = Merge(table, upserts=upserts, patches=patches, deletes=[(b"0",)])
        good, refused = without_refused(warehouse, merge)
        assert sorted((key for (key, *_), _ in refused), key=repr) == [b"13", b"17", b"3"]
        assert value.decode() not in "".join(str(error) for _, error in refused)
        expect(target, warehouse, table, *[row(str(n), None) for n in range(5)])
        put(warehouse, good, lsn=2)
        expect(
            target,
            warehouse,
            table,
            *[row(str(n), None) for n in [*range(1, 5), *range(10, 20)] if n not in (13, 17)],
        )
        put(warehouse, in_table("public", letters(merge, refused, (), 0, "key")), lsn=3)
        told = [letter[1] for letter in target.rows(warehouse, letters_table("public"))]
        assert sorted(told, key=repr) == [b'{"id": "13"}', b'{"id": "17"}', b'{"id": "3"}']
        elsewhere = Merge(replace(table, name="other"))
        other = in_table("public", letters(elsewhere, refused[:1], (), 0, "key"))
        put(warehouse, other, *answered("public", "public.strict"), lsn=4)
        assert [letter[0] for letter in target.rows(warehouse, letters_table("public"))] == [b"public.other"]
        warehouse.close()

    @pytest.mark.parametrize(
        ("mode", "table"),
        [case for case in CASES if case[1] is not ONE_KEY],
        ids=lambda case: getattr(case, "name", case),
    )
    def test_a_mode_tells_the_truth(self, target: Target, mode: Mode, table: Table) -> None:
        warehouse = target.open()
        metadata = METADATA if table in (FULL_KEY, NO_KEY) else []
        settings = WarehouseSettings(kind="any", mode=mode, metadata=metadata)
        modes = Modes(settings, {}, lambda: 1_700_000_000_000_000)
        chance = random.Random(f"{mode} {table.name}")
        events, truth = history(table, steps(chance, target.steps), 3), Truth(table)
        start = 0
        while start < len(events):
            end = start + chance.randrange(1, 12)
            apply_all(warehouse, modes, events[start : (start + end) // 2])
            warehouse.rollback()
            apply_all(warehouse, modes, events[start:end])
            warehouse.commit(checkpoint(end))
            start = end
        for event in events:
            truth.see(event)
        shape = modes.shape(table)
        width = len(shape.target.columns) - len(shape.stamped)
        found = [
            tuple([BOOLEANS.get(cell, cell) for cell in row[:width]])
            for row in target.rows(warehouse, shape.target)
        ]
        warehouse.close()
        wanted = truth.of_mode(mode)
        assert sorted_rows(found) == sorted_rows(wanted), f"{sorted_rows(found)} is not {sorted_rows(wanted)}"
