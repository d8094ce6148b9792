"""Mode history: a row per version (slowly changing dimension, type 2), each with the times between which it was the row.

The target's key is the source's with `_cdc_until`: of a current version `now`, of an ended one the position of the change
that ended it. So a change knows the keys of the rows that it concerns without asking the target: the current version is copied to
its new key, with its end written in, and the next one takes its place. One change ends at most one version of a key.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from cdc.events import INSERT, READ, UNSENT, Cell, Change, Row, Truncate
from cdc.fold import key_getter
from cdc.merge import Key, Merge, Patch
from cdc.modes.shape import NOW, Shape
from cdc.modes.stamp import Stamp, position_text

TRUE, FALSE = b"t", b"f"


class History:
    """Folds changes into ended versions and the current ones. `_current[key]` is None once the key is deleted."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        self.table = shape.source
        self._target = shape.target
        self._stamp = stamp
        self._width = shape.width
        self._kept: tuple[Cell, ...] = (UNSENT,) * len(shape.stamped)
        self._single = len(shape.source.key) == 1
        self._key_of = key_getter(shape.source)
        self._done: list[Merge] = []
        self._begin(None)

    def _begin(self, retire: Row | None) -> None:
        self._merge = Merge(self._target, retire=retire, of=self.table)
        self._counts: Counter[str] = Counter()
        self._current: dict[Any, Row | None] = {}
        self._origin: dict[Any, Any] = {}

    def change(self, event: Change) -> None:
        self._counts[event.op] += 1
        stamp = self._stamp.cells(event.begin, event.op)
        time, position = self._stamp.time, position_text(event.begin.commit_lsn, event.ordinal)
        if event.new is None:
            assert event.old is not None
            key = self._key_of(event.old)
            self._end(key, event.old, time, position)
            self._current[key] = None
            self._origin.pop(key, None)
            return
        key = self._key_of(event.new)
        fresh = event.op in (INSERT, READ)
        old_key = key if fresh or event.old is None else self._key_of(event.old)
        before, origin = self._current.get(old_key), self._origin.get(old_key, old_key)
        if not fresh or key in self._current:
            self._end(old_key, event.old if old_key != key else event.new, time, position)
        if old_key != key:
            if key in self._current:
                self._end(key, event.new, time, position)
            self._current[old_key] = None
            self._origin.pop(old_key, None)
        row: Row = (*event.new, time, None, TRUE, event.op.encode(), position, NOW, *stamp)
        if UNSENT in row and before is not None:
            row = [b if cell is UNSENT else cell for cell, b in zip(row, before, strict=True)]
        self._current[key] = row
        if UNSENT in row:
            self._origin[key] = origin
        else:
            self._origin.pop(key, None)

    def _end(self, key: Any, of: Row | None, time: bytes, position: bytes) -> None:
        """End the key's current version, which stands in this fold or else in the target (or nowhere)."""
        width = self._width
        ended = (time, FALSE, UNSENT, UNSENT, position)
        if key not in self._current:
            assert of is not None
            cells: list[Cell] = [UNSENT] * width
            for index in self.table.key:
                cells[index] = of[index]
            row: Row = (*cells, UNSENT, *ended, *self._kept)
            self._merge.patches.append(Patch(row, self._now(key), optional=True))
            return
        current = self._current[key]
        if current is None:
            return
        values = tuple(current)
        row = (
            *values[: width + 1], time, FALSE, *values[width + 3 : width + 5], position, *values[width + 6 :]
        )  # fmt: skip
        if UNSENT in row:
            self._merge.patches.append(Patch(row, self._now(self._origin[key])))
        else:
            self._merge.upserts.append(row)

    def _now(self, key: Any) -> Key:
        return (key, NOW) if self._single else (*key, NOW)

    def truncate(self, event: Truncate) -> None:
        """Versions that were begun in this fold must be in the target before it can end them."""
        self._done += self._folded()
        self._stamp.cells(event.begin, "t")
        position = position_text(event.begin.commit_lsn, event.ordinal)
        self._begin(retired(self._width, self._stamp.time, position, self._kept))
        self._counts["t"] += 1

    def merges(self) -> list[Merge]:
        return [*self._done, *self._folded()]

    def _folded(self) -> list[Merge]:
        if not self._counts:
            return []
        merge = self._merge
        merge.counts = dict(self._counts)
        for key, row in self._current.items():
            if row is None:
                merge.deletes.append(self._now(key))
            elif key in self._origin:
                merge.patches.append(Patch(row, self._now(self._origin[key])))
            else:
                merge.upserts.append(row)
        return [merge]


def retired(width: int, time: bytes, position: bytes, kept: Row) -> Row:
    """The cells that end every current version at once."""
    return (*[UNSENT] * (width + 1), time, FALSE, UNSENT, UNSENT, position, *kept)
