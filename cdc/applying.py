"""One merge applied, with the partial rows that the target cannot complete by itself: those are looked up in the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec

from cdc.events import INSERT, UNSENT, Change, Event, Row
from cdc.interfaces import Warehouse
from cdc.merge import Key, Merge, Patch
from cdc.schema import Table

Find = Callable[[Table, Sequence[Key]], Iterable[Row]]


def apply(warehouse: Warehouse, merge: Merge, find: Find, *, ahead: bool = False) -> None:
    """Apply one merge; partial rows that the target knows nothing of are completed from the source.

    The source shows them as they are now, perhaps newer than the stream, which will bring the same again.

    Where the target is `ahead` of the stream, what it has under a row's old key may be another row that took the key
    since: a partial row whose key has changed is then completed from the source, too.
    """
    warehouse.evolve(merge.table)
    if merge.take is not None:
        warehouse.evolve(merge.take)  # whose last rows may have been of an older shape
    lost: list[Patch] = []
    if ahead and merge.patches:
        merge, lost = _without_moved(merge)
    if missing := warehouse.apply(merge):
        unknown = set(missing)
        lost += [
            patch
            for patch in merge.patches
            if not patch.optional and _cells(patch.row, merge.table.key) in unknown
        ]
    if lost and (rows := list(_completed(merge, lost, find))):
        warehouse.apply(Merge(merge.table, upserts=rows, of=merge.of))


def completed_inserts(events: Sequence[Event], find: Find) -> Sequence[Event]:
    """The events, with inserts whole.

    On a log, a change of key is a delete and an insert, which lacks what was not sent. What the target has under that key,
    or had, is another row's: the source is asked. An insert whose row the source has no more stays as it is.
    """
    partial = [
        index
        for index, event in enumerate(events)
        if type(event) is Change and event.op == INSERT and event.new is not None and UNSENT in event.new
    ]
    if not partial:
        return events
    whole = list(events)
    by_table: dict[Table, list[tuple[int, Change]]] = {}
    for index in partial:
        event = events[index]
        assert isinstance(event, Change)
        by_table.setdefault(event.table, []).append((index, event))
    for table, inserts in by_table.items():
        keys = dict.fromkeys(_cells(event.new or (), table.key) for _, event in inserts)
        found = {_cells(row, table.key): row for row in find(table, list(keys))}
        for index, event in inserts:
            new = event.new or ()
            if (row := found.get(_cells(new, table.key))) is not None:
                cells = tuple([w if cell is UNSENT else cell for cell, w in zip(new, row, strict=True)])
                whole[index] = msgspec.structs.replace(event, new=cells)
    return whole


def _without_moved(merge: Merge) -> tuple[Merge, list[Patch]]:
    """The merge without the patches whose key has changed, and those. The row that the target may have under the new key is
    not theirs: it goes, unless it is one that stays when the source has it no more."""
    key = merge.source.key
    moved = [patch for patch in merge.patches if _cells(patch.row, key) != patch.origin[: len(key)]]
    if not moved:
        return merge, moved
    gone = {id(patch) for patch in moved}
    deletes = [] if merge.table.live else [_cells(patch.row, key) for patch in moved]
    kept = [patch for patch in merge.patches if id(patch) not in gone]
    return replace(merge, patches=kept, deletes=[*merge.deletes, *deletes]), moved


def _completed(merge: Merge, patches: Sequence[Patch], find: Find) -> Iterable[Row]:
    """The whole rows of patches; none of one whose row the source has no more. Where a target has one row per key, it
    becomes the source's; of a version, only what was not sent is taken from there."""
    source, width = merge.source, len(merge.source.columns)
    keys = dict.fromkeys(_cells(patch.row, source.key) for patch in patches)
    found = {_cells(row, source.key): row for row in find(source, list(keys))}
    versions = merge.table.key != source.key
    for patch in patches:
        row = found.get(_cells(patch.row, source.key))
        if row is None:
            continue
        whole = (*row, *patch.row[width:])
        yield (
            tuple([w if cell is UNSENT else cell for cell, w in zip(patch.row, whole, strict=True)])
            if versions
            else whole
        )


def _cells(row: Row, indexes: Sequence[int]) -> Key:
    return tuple([row[index] for index in indexes])
