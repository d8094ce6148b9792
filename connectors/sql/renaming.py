"""A table's shape, and what is to be merged into it, under other names of columns and without some. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from cdc.events import Row
from cdc.merge import Merge, Patch
from cdc.schema import Table
from cdc.wire.csv_rows import read_rows

Names = Sequence[str | None]
"""What each column is called; None: it is left out, and not part of a key."""


def renamed_table(table: Table, names: Names) -> Table:
    """The shape under these names."""
    kept = _kept(names)
    columns = tuple(replace(table.columns[i], name=name) for i, name in enumerate(names) if name is not None)
    parts = [table.primary_key, table.identity, table.unique_key]
    primary_key, identity, unique_key = (tuple(kept.index(i) for i in part if i in kept) for part in parts)
    return replace(table, columns=columns, primary_key=primary_key, identity=identity, unique_key=unique_key)


def renamed(merge: Merge, names: Names) -> Merge:
    """The merge under these names."""
    table, kept = renamed_table(merge.table, names), _kept(names)
    if len(kept) == len(names):
        return replace(merge, table=table)

    def cut(row: Row) -> Row:
        return tuple([row[index] for index in kept])

    chunk = read_rows(merge.chunk.csv) if merge.chunk is not None else ()
    rows = [*map(cut, chunk), *map(cut, merge.upserts), *map(cut, merge.inserts)]
    removals: Counter[Row] = Counter()
    for row, copies in merge.removals.items():
        removals[cut(row)] += copies
    return replace(
        merge,
        table=table,
        upserts=rows if table.key else [],
        inserts=[] if table.key else rows,
        patches=[Patch(cut(each.row), each.origin, each.optional) for each in merge.patches],
        removals=dict(removals),
        chunk=None,
        retire=merge.retire and cut(merge.retire),
        clear=merge.clear and (kept.index(merge.clear[0]), merge.clear[1]),
    )


def _kept(names: Names) -> list[int]:
    return [index for index, name in enumerate(names) if name is not None]
