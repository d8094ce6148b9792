"""The applier: batches in, tables kept in sync, rows and position committed together.

Whatever goes wrong, the answer is the same: the warehouse has rolled back to its last checkpoint, the error goes up, and a
new applier starts from `warehouse.state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdc.fold import Merge, fold
from cdc.interfaces import Batch, Lookup, Subscriber, Warehouse

Observe = Callable[[Batch, Sequence[Merge]], None]


def run_applier(
    subscriber: Subscriber,
    warehouse: Warehouse,
    lookup: Lookup,
    applied: Observe,
    running: Callable[[], bool],
) -> None:
    """Apply batches until `running()` says no or the subscriber is closed. `applied` is told of each batch made durable.

    Raises what the subscriber, the warehouse or the lookup raises.
    """
    subscriber.seek(warehouse.state().marks)
    pending = False
    while running():
        batch = subscriber.receive(timeout=0.5)
        if batch is None:
            continue
        merges = fold(batch.events)
        for merge in merges:
            apply(warehouse, merge, lookup)
        pending = pending or bool(merges)
        if batch.checkpoint is not None:
            if pending or batch.checkpoint.controls:  # else nothing of ours was in it: not worth a commit
                warehouse.commit(batch.checkpoint)
            pending = False
            subscriber.commit(batch)
        applied(batch, merges)
        del batch, merges  # before waiting for the next one: two batches in memory would be one too many


def apply(warehouse: Warehouse, merge: Merge, lookup: Lookup) -> None:
    """Apply one merge; partial rows that the target knows nothing of are completed from the source.

    The source shows them as they are now, perhaps newer than the stream, which will bring the same again.
    """
    warehouse.evolve(merge.table)
    missing = warehouse.apply(merge)
    if missing:
        warehouse.apply(Merge(merge.table, upserts=list(lookup(merge.table, missing))))
