"""Folding any run of changes, cut into any batches, leaves the target as if each change had been applied in turn."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cdc.events import Begin, Change
from cdc.fold import fold
from cdc.schema import Column, Table
from cdc.testing.histories import COLUMNS, FULL_KEY, NO_KEY, ONE_KEY, TEXT, TWO_KEYS, Source
from cdc.testing.memory import MemoryWarehouse

keys = st.sampled_from([b"1", b"2", b"3"])
values = st.sampled_from([None, b"", b"x", b"y"])
rows = st.tuples(keys, keys, values, values)


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
    assert [merge.counts for merge in fold(source.events)] == [{"c": 1, "u": 1, "d": 1, "t": 1, "r": 0}]


def test_a_changed_shape_begins_a_new_merge_and_order_is_kept() -> None:
    wider = Table("public", "one", (*COLUMNS, Column("z", TEXT)), primary_key=(0,), identity=(0,))
    first = Change(ONE_KEY, "c", None, (b"1", b"1", b"x", None), Begin(1, 0, 1), 1, 1, 10)
    second = Change(wider, "u", None, (b"1", b"1", b"x", None, b"z"), Begin(1, 0, 1), 2, 2, 10)
    assert [merge.table for merge in fold([first, second])] == [ONE_KEY, wider]
