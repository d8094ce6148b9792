"""Folding any run of changes, cut into any batches, leaves the target as if each change had been applied in turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cdc.events import UNSENT, Begin, Change, Event, Row, Truncate
from cdc.fold import fold
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.testing.memory import MemoryWarehouse

TEXT = LogicalType("text")
COLUMNS = tuple(Column(name, TEXT) for name in ("a", "b", "v", "w"))
ONE_KEY = Table("public", "one", COLUMNS, primary_key=(0,), identity=(0,))
TWO_KEYS = Table("public", "two", COLUMNS, primary_key=(1, 0), identity=(1, 0))
FULL_KEY = Table("public", "full", COLUMNS, primary_key=(0,), replica_identity=FULL, identity=(0, 1, 2, 3))
NO_KEY = Table("public", "none", COLUMNS, replica_identity=FULL, identity=(0, 1, 2, 3))

keys = st.sampled_from([b"1", b"2", b"3"])
values = st.sampled_from([None, b"", b"x", b"y"])
rows = st.tuples(keys, keys, values, values)


@dataclass
class Source:
    """A table as PostgreSQL would keep it, which says of each change what PostgreSQL would send."""

    table: Table
    rows: dict[object, Row] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    serial: int = 0

    def key(self, row: Row) -> object:
        self.serial += not self.table.key
        return tuple(row[i] for i in self.table.key) if self.table.key else self.serial

    def event(self, op: str, old: Row | None, new: Row | None) -> None:
        ordinal = len(self.events) + 1
        self.events.append(Change(self.table, op, old, new, Begin(1, 0, 1), ordinal, ordinal, 10))

    def old_image(self, row: Row) -> Row:
        known = self.table.identity
        return tuple(cell if i in known else UNSENT for i, cell in enumerate(row))

    def insert(self, row: Row) -> None:
        key = self.key(row)
        if key not in self.rows:
            self.rows[key] = row
            self.event("c", None, row)

    def delete(self, pick: int) -> None:
        if self.rows:
            key = sorted(self.rows, key=repr)[pick % len(self.rows)]
            self.event("d", self.old_image(self.rows.pop(key)), None)

    def update(self, pick: int, row: Row, toast: bool) -> None:
        if not self.rows:
            return
        old_key = sorted(self.rows, key=repr)[pick % len(self.rows)]
        old = self.rows[old_key]
        row = (*row[:3], old[3] if toast else row[3])
        key = self.key(row) if self.table.key else old_key
        if key != old_key and key in self.rows:
            return
        del self.rows[old_key]
        self.rows[key] = row
        full = self.table.replica_identity == FULL
        image = self.old_image(old) if full or key != old_key else None
        self.event("u", image, (*row[:3], UNSENT) if toast and not full else row)

    def truncate(self) -> None:
        self.rows.clear()
        self.events.append(Truncate(self.table, Begin(1, 0, 1), len(self.events) + 1, 1))


step = st.one_of(
    st.tuples(st.just("insert"), rows),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("update"), st.integers(0, 9), rows, st.booleans()),
    st.tuples(st.just("truncate")),
)


@given(
    st.sampled_from([ONE_KEY, TWO_KEYS, FULL_KEY, NO_KEY]),
    st.lists(st.one_of(step, step, step), max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_any_batching_of_any_history_leaves_the_target_equal_to_the_source(
    table: Table, steps: list[tuple[object, ...]], cuts: list[int]
) -> None:
    source, target = Source(table), MemoryWarehouse()
    for name, *arguments in steps:
        getattr(source, str(name))(*arguments)
    target.evolve(table)
    bounds = [0, *sorted(min(cut, len(source.events)) for cut in cuts), len(source.events)]
    for start, end in pairwise(bounds):
        for merge in fold(source.events[start:end]):
            missing = target.apply(merge)
            assert not missing, "every partial row has its other half in the target"
    stored = target._open[table.full_name]
    assert Counter(tuple(r.values()) for r in stored.rows.values()) == Counter(
        map(tuple, source.rows.values())
    )


def test_counts_say_how_many_events_of_each_operation_went_in() -> None:
    source = Source(ONE_KEY)
    source.insert((b"1", b"1", b"x", None))
    source.update(0, (b"2", b"1", b"y", None), False)
    source.delete(0)
    source.truncate()
    assert [merge.counts for merge in fold(source.events)] == [{"c": 1, "u": 1, "d": 1, "t": 1}]


def test_a_changed_shape_begins_a_new_merge_and_order_is_kept() -> None:
    wider = Table("public", "one", (*COLUMNS, Column("z", TEXT)), primary_key=(0,), identity=(0,))
    first = Change(ONE_KEY, "c", None, (b"1", b"1", b"x", None), Begin(1, 0, 1), 1, 1, 10)
    second = Change(wider, "u", None, (b"1", b"1", b"x", None, b"z"), Begin(1, 0, 1), 2, 2, 10)
    assert [merge.table for merge in fold([first, second])] == [ONE_KEY, wider]
