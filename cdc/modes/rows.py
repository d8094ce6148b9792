"""Folds of the modes that keep one row per key or per copy: with metadata, and with rows that are deleted softly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from cdc.events import DELETE, INSERT, READ, UNSENT, Cell, Change, Row, Truncate
from cdc.fold import Keyed, Keyless
from cdc.merge import Merge, Patch
from cdc.modes.shape import Shape
from cdc.modes.stamp import Stamp


class Stamped(Keyed):
    """As the source, each row with its metadata."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        super().__init__(shape.source, shape.target)
        self._stamp = stamp

    def change(self, event: Change) -> None:
        if event.new is not None:
            new = (*event.new, *self._stamp.cells(event.begin, event.op))
            event = replace_new(event, new)
        super().change(event)


def replace_new(event: Change, new: Row) -> Change:
    return Change(event.table, event.op, event.old, new, event.begin, event.ordinal, event.lsn, event.size)


class InParts:
    """A fold that is cut where the table is emptied: `_done` is what comes before, `_part` makes the merges of the rest."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        self.table = shape.source
        self._target = shape.target
        self._stamp = stamp
        self._done: list[Merge] = []
        self._counts: Counter[str] = Counter()

    def merges(self) -> list[Merge]:
        return [*self._done, *self._folded()]

    def _folded(self) -> list[Merge]:
        """What has come since the last cut."""
        if not self._counts:
            return []
        return self._part(Merge(self._target, counts=dict(self._counts), of=self.table))

    def _part(self, merge: Merge) -> list[Merge]:
        raise NotImplementedError


class SoftKeyed(InParts):
    """Every key's last row; a deleted one has the time of its deletion. A change of key deletes the old one."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        super().__init__(shape, stamp)
        self._width = shape.width
        self._single = len(shape.source.key) == 1
        keyed = Keyed(shape.source)
        self._key_of = keyed.key_of
        self._begin(None)

    def _begin(self, retire: Row | None) -> None:
        self._retire = retire
        self._counts = Counter()
        self._rows: dict[Any, Row] = {}
        self._origin: dict[Any, Any] = {}

    def change(self, event: Change) -> None:
        self._counts[event.op] += 1
        stamp = self._stamp.cells(event.begin, event.op)
        old_key = self._key_of(event.old) if event.old is not None and event.op != INSERT else None
        if event.new is None:
            assert event.old is not None
            self._put(old_key, old_key, (*event.old, self._stamp.time, *stamp))
            return
        key = self._key_of(event.new)
        moved = old_key is not None and old_key != key
        before = self._rows.get(old_key), self._origin.get(old_key, old_key)
        if moved:
            assert event.old is not None
            blank: list[Cell] = [UNSENT] * self._width
            for index in self.table.key:
                blank[index] = event.old[index]
            self._put(old_key, old_key, (*blank, self._stamp.time, *stamp))
        row = (*event.new, None, *stamp)
        self._put(key, old_key if moved else key, row, before if moved else None)

    def _put(self, key: Any, origin: Any, row: Row, before: tuple[Row | None, Any] | None = None) -> None:
        """The key's row from now on; what is unsent in it is that of `origin`, which stands in this fold or in the target."""
        if UNSENT in row:
            known, of = before or (self._rows.get(origin), self._origin.get(origin, origin))
            if known is not None:
                row = [k if cell is UNSENT else cell for cell, k in zip(row, known, strict=True)]
            if UNSENT in row:
                self._origin[key] = of
            else:
                self._origin.pop(key, None)
        else:
            self._origin.pop(key, None)
        self._rows[key] = row

    def truncate(self, event: Truncate) -> None:
        self._done += self._folded()
        stamp = self._stamp.cells(event.begin, "t")
        self._begin((*[UNSENT] * self._width, self._stamp.time, *stamp))
        self._counts["t"] += 1

    def _part(self, merge: Merge) -> list[Merge]:
        merge.retire = self._retire
        for key, row in self._rows.items():
            if key in self._origin:
                origin = self._origin[key]
                # of a row that is past and that the target does not have, nothing needs to be known
                optional = row[self._width] is not None
                merge.patches.append(Patch(row, (origin,) if self._single else origin, optional))
            else:
                merge.upserts.append(row)
        return [merge]


class OurKeyless(InParts):
    """Copies of rows, with metadata or deleted softly. They are found by the source's columns (and as live ones)."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        super().__init__(shape, stamp)
        self._soft = bool(shape.target.live)
        found_by = shape.width + self._soft
        self._narrow = (
            shape.target
            if found_by == len(shape.target.columns)
            else replace(shape.target, columns=shape.target.columns[:found_by])
        )
        self._whole = Keyless(shape.source).whole
        self._begin()

    def _begin(self, retire: Row | None = None, *, truncate: bool = False) -> None:
        self._retire, self._truncate = retire, truncate
        self._counts = Counter()
        self._added: dict[Row, list[Row]] = {}
        self._past: list[Row] = []
        self._removed: Counter[Row] = Counter()

    def change(self, event: Change) -> None:
        self._counts[event.op] += 1
        stamp = self._stamp.cells(event.begin, event.op)
        if event.op not in (INSERT, READ):
            self._remove(self._whole(event.old or event.new or ()), stamp)
        if event.op != DELETE and event.new is not None:
            row = self._whole(event.new)
            live = (None,) if self._soft else ()
            self._added.setdefault(row, []).append((*row, *live, *stamp))

    def _remove(self, row: Row, stamp: Row) -> None:
        if added := self._added.get(row):
            added.pop()
        else:
            self._removed[(*row, None) if self._soft else row] += 1
        if self._soft:
            self._past.append((*row, self._stamp.time, *stamp))

    def truncate(self, event: Truncate) -> None:
        stamp = self._stamp.cells(event.begin, "t")
        if self._soft:
            self._done += self._folded()
            width = len(self.table.columns)
            self._begin((*[UNSENT] * width, self._stamp.time, *stamp))
        else:
            counts = self._counts
            self._begin(truncate=True)
            self._counts = counts
        self._counts["t"] += 1

    def _part(self, merge: Merge) -> list[Merge]:
        first: list[Merge] = []
        main = merge
        main.truncate, main.retire = self._truncate, self._retire
        if self._removed and self._retire is not None:
            first, main = [main], Merge(self._target, of=self.table)  # retired before, removed after
        if self._removed:
            first.append(Merge(self._narrow, removals=dict(self._removed), of=self.table))
        main.inserts = [*self._past, *(row for rows in self._added.values() for row in rows)]
        return [*first, main]
