"""Each mode, for any history in any batches, taken back and applied again anywhere, leaves what a truth kept row by row says."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cdc.applying import apply
from cdc.config import WarehouseSettings
from cdc.fold import fold
from cdc.modes.settings import Metadata, Mode
from cdc.modes.shaping import Modes
from cdc.schema import Table
from cdc.testing.contract_modes import CASES, METADATA, apply_all, nothing_to_look_up
from cdc.testing.histories import KEYS, VALUES, Truth, history
from cdc.testing.memory import MemoryWarehouse
from cdc.testing.targets import checkpoint, sorted_rows

keys, values = st.sampled_from(KEYS), st.sampled_from(VALUES)
rows = st.tuples(keys, keys, values, values)
picks = st.integers(0, 9)
step = st.one_of(
    st.tuples(st.just("insert"), st.tuples(rows)),
    st.tuples(st.just("update"), st.tuples(picks, rows, st.booleans())),
    st.tuples(st.just("update"), st.tuples(picks, rows, st.booleans())),
    st.tuples(st.just("delete"), st.tuples(picks)),
    st.tuples(st.just("truncate"), st.just(())),
)


@given(
    st.sampled_from(CASES),
    st.lists(step, max_size=30),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6),
    st.sampled_from([[], METADATA]),
)
def test_any_history_in_any_batches(
    case: tuple[Mode, Table],
    steps: list[tuple[str, tuple[object, ...]]],
    width: int,
    cuts: list[tuple[int, bool]],
    metadata: list[Metadata],
) -> None:
    mode, table = case
    events, truth = history(table, steps, width), Truth(table)
    warehouse = MemoryWarehouse()
    modes = Modes(WarehouseSettings(kind="any", mode=mode, metadata=metadata), {}, lambda: 0)
    shape = modes.shape(table)
    warehouse.evolve(shape.target)
    bounds = [
        (0, False),
        *sorted((min(cut, len(events)), again) for cut, again in cuts),
        (len(events), False),
    ]
    for (start, again), (end, _) in pairwise(bounds):
        if again:  # it dies with something applied and nothing committed
            apply_all(warehouse, modes, events[start : (start + end) // 2])
            warehouse.rollback()
        for merge in fold(events[start:end], modes):
            apply(warehouse, merge, nothing_to_look_up)
        warehouse.commit(checkpoint(end))
    for event in events:
        truth.see(event)
    width = len(shape.target.columns) - len(shape.stamped)
    found = [row[:width] for row in warehouse.rows(shape.target.full_name)]
    assert sorted_rows(found) == sorted_rows(truth.of_mode(mode))
