"""Columns that are renamed or dropped: what is done, what is left alone in doubt, and what of it a restart remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cdc.merge import Merge
from cdc.modes.settings import Dropped
from cdc.modes.shaping import Modes
from cdc.reshape import Made, reason_to_copy, strange_columns
from cdc.schema import Column, LogicalType, Table
from cdc.testing.memory import MemoryWarehouse
from cdc.testing.targets import checkpoint
from tests.unit.test_modes import settings

TEXT = LogicalType("text")


def table(**numbers: int) -> Table:
    """A table `t` with these columns and their attribute numbers, as the catalog has it, too."""
    columns = tuple(Column(name, TEXT, attnum=number) for name, number in numbers.items())
    catalog = (*numbers.values(), *(-number for number in (2, 3) if number not in numbers.values()))
    return Table("public", "t", columns, primary_key=(0,), identity=(0,), catalog=catalog)


class Kept:
    """A warehouse whose table goes through shapes."""

    def __init__(self, **values: Any) -> None:
        self.warehouse = MemoryWarehouse()
        self.settings = settings(**values)
        self.notes: list[str] = []
        self.restart()

    def restart(self) -> None:
        controls = self.warehouse.state().controls
        self.modes = Modes(self.settings, controls, lambda: 0, lambda _, note: self.notes.append(note))

    def put(self, shape: Table, *row: str) -> None:
        target = self.modes.shape(shape).target
        merge = Merge(target, upserts=[tuple(cell.encode() for cell in row)], of=shape)
        if step := self.modes.step(merge):
            self.warehouse.alter(target, step.alterations)
            if step.emptied:
                self.warehouse.evolve(step.emptied)
        self.warehouse.evolve(target)
        self.warehouse.apply(merge)
        self.warehouse.commit(checkpoint(1, **self.modes.learned()))

    def rows(self) -> list[dict[str, str | None]]:
        (stored,) = self.warehouse.tables.values()
        return [
            {name: cell.decode() if isinstance(cell, bytes) else None for name, cell in row.items()}
            for _, row in sorted(stored.rows.items(), key=repr)
        ]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_renamed_column_takes_its_values_along(restarted: bool) -> None:
    kept = Kept(case="upper")
    kept.put(table(id=1, v=2), "1", "a")
    if restarted:
        kept.restart()
    kept.put(table(id=1, w=2), "2", "b")
    assert kept.rows() == [{"ID": "1", "W": "a"}, {"ID": "2", "W": "b"}]
    assert kept.notes == ["column v is now called w: it was renamed"]


@pytest.mark.parametrize(("policy", "value"), [("keep", {"v": "a"}), ("null", {"v": None}), ("drop", {})])
def test_a_dropped_column(policy: Dropped, value: dict[str, str | None]) -> None:
    kept = Kept(dropped_columns=policy)
    kept.put(table(id=1, v=2), "1", "a")
    kept.put(table(id=1), "1")
    kept.put(replace(table(id=1)), "1")
    assert kept.rows() == [{"id": "1", **value}]
    assert len(kept.notes) == 1


def test_the_default_of_a_column_that_the_source_dropped_is_not_for_new_rows() -> None:
    """But for rows that are older than the column, as long as the source has it."""
    kept = Kept()
    added = replace(
        table(id=1, v=2), columns=(Column("id", TEXT, attnum=1), Column("v", TEXT, attnum=2, missing=b"7"))
    )
    kept.put(added, "1", "a")
    kept.put(replace(table(id=1), catalog=(1, 2)), "2")
    kept.put(table(id=1), "3")
    kept.restart()
    kept.put(table(id=1), "4")
    assert [row["v"] for row in kept.rows()] == ["a", "7", None, None]


def test_a_column_that_is_only_not_sent_any_more_is_not_dropped() -> None:
    """It is left out by settings, or the shape is older than the catalog, or the column is newer: the source has it."""
    kept = Kept(dropped_columns="drop")
    kept.put(table(id=1, v=2), "1", "a")
    kept.put(replace(table(id=1), catalog=(1, 2)), "1")
    kept.put(replace(table(id=1), catalog=()), "1")
    kept.put(replace(table(id=1), catalog=(1,)), "1")
    assert kept.rows() == [{"id": "1", "v": "a"}]
    kept.put(table(id=1), "1")
    assert kept.rows() == [{"id": "1"}]


def test_nothing_is_renamed_in_doubt() -> None:
    """Names that were exchanged, one whose column nobody knows, one that is another column's already."""
    for shape in (table(id=1, a=3, b=2), table(id=1, x=0, b=3), table(id=1, a=0, b=0)):
        kept = Kept()
        kept.put(table(id=1, a=2, b=3), "1", "A", "B")
        kept.put(shape, "2", "C", "D")
        assert not kept.notes
        assert {name: cell for name, cell in kept.rows()[0].items() if cell} == {
            "id": "1",
            "a": "A",
            "b": "B",
        }


def test_a_number_that_was_not_known_is_learned() -> None:
    kept = Kept()
    kept.put(table(id=1, v=0), "1", "a")
    kept.put(table(id=1, v=2), "1", "a")
    kept.put(table(id=1, w=2), "1", "b")
    assert kept.rows() == [{"id": "1", "w": "b"}]


def made(*, oid: int = 1, files: str = "f", versions: str = "v", keyed: bool = True, **columns: int) -> Made:
    return Made(oid=oid, files=files, versions=versions, columns=columns, keyed=keyed)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (made(a=1, b=2), ""),
        (made(a=1, b=2, files="g"), ""),
        (made(a=1, b=2, versions="w"), ""),
        (made(a=1, c=3, versions="w"), ""),
        (made(a=1, c=2, versions="w"), ""),
        (made(oid=2, a=5, files="g", versions="w"), ""),
        (made(a=1, b=2, files="g", versions="w"), "written anew"),
        (made(a=1, b=3, versions="w"), "column b is not the one"),
        (made(a=2, b=1, versions="w"), "column a is not the one"),
    ],
)
def test_when_a_table_is_copied_anew(now: Made, reason: str) -> None:
    assert reason in reason_to_copy(made(a=1, b=2), now)
    assert bool(reason) == bool(reason_to_copy(made(a=1, b=2), now))
    assert not reason_to_copy(None, now)


def test_a_key_that_came_later() -> None:
    assert "without a key" in reason_to_copy(made(keyed=False, a=1), made(a=1))
    assert not reason_to_copy(made(a=1), made(keyed=False, a=1))


def test_names_that_columns_had_only_for_a_while() -> None:
    known = made(a=1, b=2)
    assert strange_columns(known, table(a=1, w=0)) == ["w"]
    assert strange_columns(known, table(a=1, b=0)) == []
    assert strange_columns(known, table(a=1, c=2)) == []
