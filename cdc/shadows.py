"""A table that is copied again while it is in use: its rows are gathered in a shadow, which in the end replaces them.

    chunk, first     → the shadow is made, or emptied
    chunk            → the shadow
    streamed changes → the table, and the shadow
    chunk, last      → the shadow; then the table is emptied and takes the shadow's rows, in one transaction

So the table follows the stream all the time, is never empty, and loses what the source no longer has at once. A shadow is filled
as any table is that is copied for the first time, so whatever makes that exact makes this exact. Modes that keep what was
before (history, append) have no use for one: to them a copy is a copy.

Over a log a copy's rows come as changes. There `Gathering` tells of its beginning and its end, and what is between follows from
a control record of the warehouse, so every applier of a table knows the same. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from cdc.events import READ, Begin, Change, Chunk, Control, Event, Gathering, Truncate
from cdc.fold import fold
from cdc.merge import Merge, Place, Shaping
from cdc.modes.shape import POSITION
from cdc.progress import CONTROL_PREFIX, Progress, decode_progress
from cdc.schema import Table

PREFIX = "beside:"


class Beside(msgspec.Struct, frozen=True):
    """The value of the control record `beside:<schema>.<table>`: there is a shadow, of this name. `open`: a log fills it."""

    schema: str
    name: str
    open: bool = False


def shadows_of(controls: Mapping[str, bytes]) -> dict[str, Beside]:
    """The shadows that a warehouse has, by the full names of their sources."""
    return {
        key.removeprefix(PREFIX): msgspec.json.decode(value, type=Beside)
        for key, value in controls.items()
        if key.startswith(PREFIX) and value
    }


class Shadows:
    """Knows from the control records of copies which tables have a shadow."""

    def __init__(self, controls: Mapping[str, bytes]) -> None:
        self._tables: set[str] = set()
        self._made: dict[str, Beside] = {}
        self._changed: dict[str, bytes] = {}
        self._unknown: set[str] = set()
        self.learn(controls)

    def learn(self, controls: Mapping[str, bytes]) -> None:
        """Control records, as they come with checkpoints."""
        for key, value in controls.items():
            if key.startswith(CONTROL_PREFIX):
                table = key.removeprefix(CONTROL_PREFIX)
                if _is_gathering(decode_progress(controls, table)):
                    self._tables.add(table)
                else:
                    self._tables.discard(table)
            elif key.startswith(PREFIX):
                table = key.removeprefix(PREFIX)
                if not value:
                    self._made.pop(table, None)
                    continue
                made = msgspec.json.decode(value, type=Beside)
                if self._made.get(table) != made:
                    self._unknown.add(table)
                self._made[table] = made

    def learned(self) -> dict[str, bytes]:
        """Control records to be committed with what was applied since this was last asked."""
        changed, self._changed = self._changed, {}
        return changed

    def left(self) -> dict[str, Beside]:
        """Shadows that nothing will fill or take any more, by the names of the records that tell of them."""
        return {
            PREFIX + name: made
            for name, made in self._made.items()
            if not made.open and name not in self._tables and PREFIX + name not in self._changed
        }

    def is_new(self, merge: Merge) -> bool:
        """Has another applier made this table's shadow, since this was last asked?"""
        name = merge.source.full_name
        if name not in self._unknown:
            return False
        self._unknown.discard(name)
        return True

    def beside(self, merge: Merge) -> list[Table]:
        """The merge's table, and its shadow if it has one."""
        has = merge.place in ("begin", "shadow", "both") or merge.source.full_name in self._tables
        return [merge.table, *[merge.table.shadow] * has]

    def fold(self, events: Sequence[Event], shaping: Shaping) -> list[Merge]:
        """The merges of a batch, each with its place."""
        is_open = {name for name, made in self._made.items() if made.open}
        if not is_open and not any(type(event) is Gathering for event in events):
            return fold(events, shaping)
        merges: list[Merge] = []
        for place, run in _runs(events, is_open):
            if place is None:
                assert isinstance(run[0], Gathering)
                merges += self._turn(run[0], shaping, is_open)
            else:
                merges += (replace(merge, place=place) for merge in fold(run, shaping))
        return merges

    def _turn(self, event: Gathering, shaping: Shaping, is_open: set[str]) -> list[Merge]:
        table, name = event.table, event.table.full_name
        was_open, may = name in is_open, shaping.may_gather(table)
        is_open.discard(name)
        if event.step == "begin" and may:
            is_open.add(name)
            merge = replace(_nothing(event, table, shaping), place="begin")
            self._make(name, merge.table.shadow, is_open=True)
            return [*(replace(each, place="table") for each in shaping.anew(table)), merge]
        if was_open:
            self._change(name, msgspec.structs.replace(self._made[name], open=False))
        if event.step == "begin":
            begin = Begin(event.position.commit_lsn, 0, 0)
            emptied = Truncate(table, begin, event.position.ordinal, begin.commit_lsn)
            merges = [*shaping.anew(table), *fold([emptied], shaping)]
            return [replace(merge, place="table") for merge in merges]
        if event.step == "leave" or not was_open or not may:
            return []
        emptying = _nothing(event, table, shaping, first=True)
        self._change(name, None)
        return [replace(emptying, take=emptying.table.shadow, place="table")]

    def _make(self, name: str, shadow: Table, *, is_open: bool) -> None:
        self._change(name, Beside(shadow.schema, shadow.name, is_open))

    def _change(self, name: str, made: Beside | None) -> None:
        """For this applier's own work it counts at once, for the others with the commit."""
        if made is None:
            self._made.pop(name, None)
        else:
            self._made[name] = made
        self._changed[PREFIX + name] = msgspec.json.encode(made) if made else b""

    def spread(self, merge: Merge, shaping: Shaping) -> Iterator[Merge]:
        """What is to be applied for a merge, in this order. A merge given may be altered before the next is asked for."""
        shadowed = POSITION.name not in merge.table.column_names
        gathered = merge.source.full_name in self._tables
        if merge.place in ("begin", "shadow"):
            yield replace(merge, table=merge.table.shadow, of=merge.source, truncate=merge.place == "begin")
        elif merge.chunk is not None and merge.chunk.shadow and shadowed:
            yield from self._gather(merge, merge.chunk, shaping)
        elif merge.place == "table" or shaping.is_mending(merge.source):
            yield merge
        elif merge.place == "both" or (merge.chunk is None and shadowed and gathered):
            other = replace(
                merge, table=merge.table.shadow, of=merge.source,
                patches=list(merge.patches), deletes=list(merge.deletes), counts={},
            )  # fmt: skip
            yield merge
            yield other
        else:
            yield merge

    def _gather(self, merge: Merge, chunk: Chunk, shaping: Shaping) -> Iterator[Merge]:
        shadow = merge.table.shadow
        theirs = msgspec.structs.replace(chunk, table=shadow)
        if chunk.first:
            self._make(merge.source.full_name, shadow, is_open=False)
        yield replace(merge, table=shadow, of=merge.source, truncate=chunk.first, retire=None, chunk=theirs)
        if chunk.last:
            emptying = _nothing(chunk, merge.source, shaping, first=True)
            self._change(merge.source.full_name, None)
            yield replace(emptying, take=shadow)


def _nothing(event: Gathering | Chunk, table: Table, shaping: Shaping, *, first: bool = False) -> Merge:
    """What a copy without rows, which is no copy (without a control record), would do to the table."""
    chunk = Chunk(table, b"", 0, event.position, Control("", b""), first=first)
    *_, merge = shaping.chunk(chunk)
    return replace(merge, chunk=None, counts={})


def _runs(
    events: Iterable[Event], is_open: Collection[str]
) -> Iterator[tuple[Place | None, Sequence[Event]]]:
    """Events that have one place, each run behind the other; None: one event that changes which tables are gathered."""
    run: list[Event] = []
    place: Place = "table"
    for event in events:
        if isinstance(event, Gathering):
            yield place, run
            run = []
            yield None, [event]
            continue
        if isinstance(event, Change | Truncate):
            now: Place = "table"
            if event.table.full_name in is_open:
                now = "shadow" if isinstance(event, Change) and event.op == READ else "both"
            if now != place:
                yield place, run
                run, place = [], now
        run.append(event)
    yield place, run


def _is_gathering(progress: Progress) -> bool:
    """With the first chunk the oid comes to be known."""
    return progress.shadow and not progress.done and progress.oid != 0
