"""Columns renamed, dropped and added between rows, by a process that dies anywhere: each cell goes to the column that it is of.

The target keeps what was done to its columns; the stream goes back to the last commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from cdc.merge import Alteration, DropColumn, Merge, RenameColumn
from cdc.schema import Column, Table
from cdc.testing.targets import ID, TEXT
from connectors.sql.ahead import Ahead

NAMES = "abcde"
Columns: TypeAlias = dict[str, int]  # names, and numbers that tell which column it is


def table(columns: Columns) -> Table:
    return Table("s", "t", (ID, *(Column(name, TEXT) for name in columns)), primary_key=(0,), identity=(0,))


def done(columns: Columns, alteration: Alteration) -> Columns:
    """The columns after it, in their order."""
    assert isinstance(alteration, RenameColumn | DropColumn)
    if isinstance(alteration, DropColumn):
        return {name: number for name, number in columns.items() if name != alteration.name}
    assert alteration.to not in columns
    return {alteration.to if name == alteration.name else name: n for name, n in columns.items()}


class Target:
    """What is durable."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.notes: dict[str, bytes] = {}

    def note(self, notes: dict[str, bytes]) -> None:
        self.notes = {name: value for name, value in {**self.notes, **notes}.items() if value}


Step: TypeAlias = tuple[Columns, Sequence[Alteration]]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Columns, list[Step]]:
    """Columns, and the shapes that come after them, each with what led to it."""
    start = columns = {name: number for number, name in enumerate(NAMES[: draw(st.integers(1, 3))])}
    steps: list[Step] = [(columns, ())]
    gone: set[str] = (
        set()
    )  # of a name that another column gets after a drop the catalog tells, and the table is copied anew
    for number in range(10, 10 + draw(st.integers(1, 6))):
        free = [name for name in NAMES if name not in columns and name not in gone]
        what = draw(st.sampled_from(("rename", "rename", "drop", "add")))
        if what == "add" and free:
            columns = {**columns, draw(st.sampled_from(free)): number}
            steps.append((columns, ()))
        elif columns and (free or what == "drop"):
            name = draw(st.sampled_from(sorted(columns)))
            each: Alteration = DropColumn(name)
            if what == "drop":
                gone.add(name)
            else:
                each = RenameColumn(name, draw(st.sampled_from(free or [name])))
            if free or what == "drop":
                columns = done(columns, each)
                steps.append((columns, (each,)))
    return start, steps


@given(histories(), st.data())
def test_every_cell_goes_to_its_column(history: tuple[Columns, list[Step]], data: st.DataObject) -> None:
    start, steps = history
    target = Target(start)
    committed = deaths = 0
    while committed < len(steps):
        ahead = Ahead()
        ahead.load(target.notes, lambda _: ["id", *target.columns])
        for place in range(committed, len(steps)):
            columns, alterations = steps[place]
            event = data.draw(st.sampled_from(("", "", "commit", "noted", "altered", "rows")))
            dies = event if deaths < 6 else ""
            if alterations:
                todo = ahead.still(table(columns), alterations)
                for each in todo:
                    target.note(ahead.note(table(columns), each))
                    if dies == "noted":
                        break
                    target.columns = done(target.columns, each)
                else:
                    ahead.passed(table(columns), alterations)
                if dies in ("noted", "altered") and todo:
                    deaths += 1
                    break
            write(ahead, target, columns)
            if dies == "rows":
                deaths += 1
                break
            if event == "commit" or place == len(steps) - 1:
                target.note(ahead.records())
                ahead.committed()
                committed = place + 1
    assert target.columns == steps[-1][0], "no column is left over"
    assert not target.notes


def write(ahead: Ahead, target: Target, columns: Columns) -> None:
    """A row of this shape: its cells are the numbers of its columns."""
    shape = ahead.reached(table(columns))
    for name, number in zip(shape.column_names[1:], shaped(ahead, columns), strict=True):
        assert target.columns.setdefault(name, number) == number  # or it is added


def shaped(ahead: Ahead, columns: Columns) -> list[int]:
    row = (b"0", *(str(number).encode() for number in columns.values()))
    [written] = ahead.merge(Merge(table(columns), upserts=[row])).upserts
    return [int(cell) for cell in written[1:] if isinstance(cell, bytes)]


def test_a_note_of_what_was_never_done_is_taken_back_by_the_next_commit() -> None:
    target = Target({"a": 0, "b": 1})
    target.note(Ahead().note(table(target.columns), DropColumn("b")))
    for columns in (["id", "a", "b"], []):  # it died before the DDL; somebody has dropped the table
        ahead = Ahead()
        ahead.load(target.notes, lambda _, columns=columns: columns)  # type: ignore[misc]
        assert ahead.records() == dict.fromkeys(target.notes, b"")
        ahead.committed()
        assert not ahead.records()
