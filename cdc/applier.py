"""The applier: batches in, tables kept in sync, rows and position committed together.

Whatever goes wrong, the answer is the same: the warehouse has rolled back to its last checkpoint, the error goes up, and a
new applier starts from `warehouse.state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from cdc.applying import apply, completed_inserts
from cdc.errors import ColumnRefused, ValueRefused
from cdc.events import Begin, Change, Event, Row, Truncate
from cdc.fold import PLAIN, fold
from cdc.interfaces import Batch, Checkpoint, Lookup, Subscriber, Warehouse
from cdc.lsn import Lsn
from cdc.merge import Key, Merge, Shaping
from cdc.progress import Ahead
from cdc.refusals import Refusals
from cdc.schema import Table
from cdc.shadows import Shadows

NO_SHADOWS = Shadows({})
Observe = Callable[[Batch, Sequence[Merge]], None]


def run_applier(
    subscriber: Subscriber,
    warehouse: Warehouse,
    lookup: Lookup,
    applied: Observe,
    running: Callable[[], bool],
    *,
    always_ahead: bool = False,
    shaping: Shaping = PLAIN,
    refusals: Refusals | None = None,
    turns_to: Callable[[str | None], None] = lambda _: None,
) -> None:
    """Apply batches until `running()` says no or the subscriber is closed. `applied` is told of each batch made durable.

    `shaping`: how tables are kept; `always_ahead`: the target may show more than the batches say, whatever the records say.

    `refusals` settles what becomes of values that the warehouse refuses; without, they are raised. `turns_to` is told of each
    table of the source before its rows are applied, of a commit (empty), and of the end of a batch (None).

    Raises what the subscriber, the warehouse or the lookup raises.
    """
    state = warehouse.state()
    subscriber.seek(state.marks)
    ahead = Ahead(state.controls, always=always_ahead)
    shadows = Shadows(state.controls)
    pending = inside = False
    while running():
        batch = subscriber.receive(timeout=0.5)
        if batch is None:
            continue
        merges = apply_batch(
            warehouse, batch, lookup, ahead, shaping, refusals, shadows, whole=not inside, turns_to=turns_to
        )
        inside = batch.checkpoint is None
        pending = pending or bool(merges)
        turns_to("")
        if batch.checkpoint is not None:
            if pending or batch.checkpoint.controls:  # else nothing of ours was in it: not worth a commit
                warehouse.commit(_with(batch.checkpoint, shaping.learned()))
            pending = False
            ahead.learn(batch.checkpoint.controls)
            shadows.learn(batch.checkpoint.controls)
            subscriber.commit(batch)
        applied(batch, merges)
        turns_to(None)
        del batch, merges  # before waiting for the next one: two batches in memory would be one too many


def apply_batch(
    warehouse: Warehouse,
    batch: Batch,
    lookup: Lookup,
    ahead: Ahead,
    shaping: Shaping = PLAIN,
    refusals: Refusals | None = None,
    shadows: Shadows = NO_SHADOWS,
    *,
    whole: bool = True,
    turns_to: Callable[[str | None], None] = lambda _: None,
) -> Sequence[Merge]:
    """Apply a batch's merges, which are returned. `whole`: nothing was applied before it since the last commit."""

    def find(table: Table, keys: Sequence[Key]) -> Iterable[Row]:
        return lookup(table, keys, _xids(batch.events))

    events = completed_inserts(batch.events, find) if ahead.always else batch.events
    merges = fold(events, shaping)
    begun = _first_commit(batch.events)
    todo: Sequence[Merge] = merges
    while True:
        try:
            for merge in todo:
                part = merge
                turns_to(merge.source.full_name)
                if step := shaping.step(merge):
                    warehouse.alter(merge.table, step.aside)
                    for table in shadows.beside(merge):
                        warehouse.alter(table, step.alterations)
                    if step.emptied is not None:
                        warehouse.evolve(step.emptied)
                is_ahead = ahead.covers(merge.source.full_name, begun)
                for part in shadows.spread(merge, shaping):
                    apply(warehouse, part, find, ahead=is_ahead)
            return merges
        except (ValueRefused, ColumnRefused) as error:
            if refusals is None:
                raise
            todo = refusals.settle(error, merge, todo, batch, part=part, whole=whole)


def _with(checkpoint: Checkpoint, controls: Mapping[str, bytes]) -> Checkpoint:
    """With control records of this warehouse alone."""
    return Checkpoint(checkpoint.marks, {**checkpoint.controls, **controls}) if controls else checkpoint


def _first_commit(events: Sequence[Event]) -> Lsn:
    """The commit LSN of a batch's first transaction."""
    first = events[0] if events else None
    if isinstance(first, Begin):
        return first.commit_lsn
    return first.begin.commit_lsn if isinstance(first, Change | Truncate) else 0


def _xids(events: Sequence[Event]) -> set[int]:
    """The transactions of a batch."""
    return {
        event.xid if isinstance(event, Begin) else event.begin.xid
        for event in events
        if isinstance(event, Begin | Change)
    }
