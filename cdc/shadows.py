"""A table that is copied again while it is in use: its rows are gathered in a shadow, which in the end replaces them.

    chunk, first     → the shadow is made, or emptied
    chunk            → the shadow
    streamed changes → the table, and the shadow
    chunk, last      → the shadow; then the table is emptied and takes the shadow's rows, in one transaction

So the table follows the stream all the time, is never empty, and loses what the source no longer has at once. A shadow is filled
as any table is that is copied for the first time, so whatever makes that exact makes this exact. Modes that keep what was
before (history, append) have no use for one: to them a copy is a copy. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec

from cdc.events import Chunk
from cdc.merge import Merge, Shaping
from cdc.modes.shape import POSITION
from cdc.progress import CONTROL_PREFIX, Progress, decode_progress
from cdc.schema import Table


class Shadows:
    """Knows from the control records of copies which tables have a shadow."""

    def __init__(self, controls: Mapping[str, bytes]) -> None:
        self._tables: set[str] = set()
        self.learn(controls)

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """Control records, as they come with checkpoints."""
        for key in controls:
            if key.startswith(CONTROL_PREFIX):
                table = key.removeprefix(CONTROL_PREFIX)
                if _is_gathering(decode_progress(controls, table)):
                    self._tables.add(table)
                else:
                    self._tables.discard(table)

    def beside(self, merge: Merge) -> list[Table]:
        """The merge's table, and its shadow if it has one."""
        return [merge.table, *[merge.table.shadow] * (merge.source.full_name in self._tables)]

    def spread(self, merge: Merge, shaping: Shaping) -> Iterator[Merge]:
        """What is to be applied for a merge, in this order. A merge given may be altered before the next is asked for."""
        shadowed = POSITION.name not in merge.table.column_names
        if merge.chunk is not None and merge.chunk.shadow and shadowed:
            yield from _gather(merge, merge.chunk, shaping)
        elif shaping.is_mending(merge.source):
            yield merge
        elif merge.chunk is None and shadowed and merge.source.full_name in self._tables:
            other = replace(
                merge, table=merge.table.shadow, of=merge.source,
                patches=list(merge.patches), deletes=list(merge.deletes), counts={},
            )  # fmt: skip
            yield merge
            yield other
        else:
            yield merge


def _gather(merge: Merge, chunk: Chunk, shaping: Shaping) -> Iterator[Merge]:
    shadow = merge.table.shadow
    theirs = msgspec.structs.replace(chunk, table=shadow)
    yield replace(merge, table=shadow, of=merge.source, truncate=chunk.first, retire=None, chunk=theirs)
    if chunk.last:
        nothing = msgspec.structs.replace(chunk, table=merge.source, csv=b"", rows=0, first=True)
        *_, emptying = shaping.chunk(nothing)
        yield replace(emptying, chunk=None, counts={}, take=shadow)


def _is_gathering(progress: Progress) -> bool:
    """With the first chunk the oid comes to be known."""
    return progress.shadow and not progress.done and progress.oid != 0
