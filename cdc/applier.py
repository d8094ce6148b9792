"""The applier: batches in, tables kept in sync, rows and position committed together.

Whatever goes wrong, the answer is the same: the warehouse has rolled back to its last checkpoint, the error goes up, and a
new applier starts from `warehouse.state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from cdc.applying import apply, completed_inserts
from cdc.errors import ColumnRefused, ValueRefused
from cdc.events import Begin, Change, Event, Row, Truncate
from cdc.fold import PLAIN
from cdc.interfaces import Batch, Checkpoint, Lookup, Subscriber, Warehouse
from cdc.lsn import Lsn
from cdc.merge import DropTable, Key, Merge, Shaping
from cdc.progress import Ahead
from cdc.refusals import Refusals
from cdc.schema import Table
from cdc.shadows import PREFIX, Beside, Shadows, shadows_of

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
    drop_left(warehouse, shadows)
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
            batch = with_controls(batch, {**shaping.learned(), **shadows.learned()})
            assert batch.checkpoint is not None
            if pending or batch.checkpoint.controls:  # else nothing of ours was in it: not worth a commit
                warehouse.commit(batch.checkpoint)
            pending = False
            ahead.learn(batch.checkpoint.controls)
            shadows.learn(batch.checkpoint.controls)
            subscriber.commit(batch)
            drop_left(warehouse, shadows)
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
    shadows.learn(batch.known)
    shaping.learn(batch.known)
    merges = shadows.fold(events, shaping)
    begun = _first_commit(batch.events)
    todo: Sequence[Merge] = merges
    while True:
        try:
            for merge in todo:
                part = merge
                turns_to(merge.source.full_name)
                if shadows.is_new(merge):
                    warehouse.alter(merge.table.shadow, ())
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


def drop_left(warehouse: Warehouse, shadows: Shadows) -> None:
    """Drop tables in which rows of a copy were gathered that was given up. Nothing is being applied."""
    if left := shadows.left():
        _drop(warehouse, left.values())
        dropped = dict.fromkeys(left, b"")
        warehouse.commit(Checkpoint({}, dropped))
        shadows.learn(dropped)


def drop_shadows(warehouse: Warehouse) -> None:
    """Drop all that copies have gathered beside their tables, and forget it. Nothing is being applied."""
    if made := shadows_of(warehouse.state().controls):
        _drop(warehouse, made.values())
        warehouse.commit(Checkpoint({}, {PREFIX + name: b"" for name in made}))


def _drop(warehouse: Warehouse, shadows: Iterable[Beside]) -> None:
    for each in shadows:
        warehouse.alter(Table(each.schema, each.name, ()), [DropTable()])


def with_controls(batch: Batch, controls: Mapping[str, bytes]) -> Batch:
    """With control records of this warehouse alone."""
    if not controls or batch.checkpoint is None:
        return batch
    marks, before = batch.checkpoint.marks, batch.checkpoint.controls
    return msgspec.structs.replace(batch, checkpoint=Checkpoint(marks, {**before, **controls}))


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
