"""The applier: batches in, tables kept in sync, rows and position committed together.

Whatever goes wrong, the answer is the same: the warehouse has rolled back to its last checkpoint, the error goes up, and a
new applier starts from `warehouse.state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cdc.events import Begin, Change, Event, Row, Truncate
from cdc.fold import Key, Merge, Patch, fold
from cdc.interfaces import Batch, Lookup, Subscriber, Warehouse
from cdc.lsn import Lsn
from cdc.progress import Ahead
from cdc.schema import Table

Observe = Callable[[Batch, Sequence[Merge]], None]
Find = Callable[[Table, Sequence[Key]], Iterable[Row]]


def run_applier(
    subscriber: Subscriber,
    warehouse: Warehouse,
    lookup: Lookup,
    applied: Observe,
    running: Callable[[], bool],
    *,
    always_ahead: bool = False,
) -> None:
    """Apply batches until `running()` says no or the subscriber is closed. `applied` is told of each batch made durable.

    `always_ahead`: the target may show more than the batches say, whatever the control records are.

    Raises what the subscriber, the warehouse or the lookup raises.
    """
    state = warehouse.state()
    subscriber.seek(state.marks)
    ahead = Ahead(state.controls, always=always_ahead)
    pending = False
    while running():
        batch = subscriber.receive(timeout=0.5)
        if batch is None:
            continue
        merges = apply_batch(warehouse, batch, lookup, ahead)
        pending = pending or bool(merges)
        if batch.checkpoint is not None:
            if pending or batch.checkpoint.controls:  # else nothing of ours was in it: not worth a commit
                warehouse.commit(batch.checkpoint)
            pending = False
            ahead.learn(batch.checkpoint.controls)
            subscriber.commit(batch)
        applied(batch, merges)
        del batch, merges  # before waiting for the next one: two batches in memory would be one too many


def apply_batch(warehouse: Warehouse, batch: Batch, lookup: Lookup, ahead: Ahead) -> Sequence[Merge]:
    """Apply a batch's merges, which are returned."""

    def find(table: Table, keys: Sequence[Key]) -> Iterable[Row]:
        return lookup(table, keys, _xids(batch.events))

    merges = fold(batch.events)
    begun = _first_commit(batch.events)
    for merge in merges:
        apply(warehouse, merge, find, ahead=ahead.covers(merge.table.full_name, begun))
    return merges


def apply(warehouse: Warehouse, merge: Merge, find: Find, *, ahead: bool = False) -> None:
    """Apply one merge; partial rows that the target knows nothing of are completed from the source.

    The source shows them as they are now, perhaps newer than the stream, which will bring the same again.

    Where the target is `ahead` of the stream, what it has under a row's old key may be another row that took the key
    since: a partial row whose key has changed is then completed from the source, too.
    """
    warehouse.evolve(merge.table)
    moved: list[Key] = []
    if ahead and merge.patches:
        moved = [key for patch in merge.patches if (key := _key(merge.table, patch)) != patch.origin]
        merge.patches = [patch for patch in merge.patches if _key(merge.table, patch) == patch.origin]
        merge.deletes = [*merge.deletes, *moved]
    missing = [*warehouse.apply(merge), *moved]
    if missing:
        warehouse.apply(Merge(merge.table, upserts=list(find(merge.table, missing))))


def _key(table: Table, patch: Patch) -> Key:
    return tuple([patch.row[index] for index in table.key])


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
