"""Mode append: a row per change, never altered. A value that was not sent is NULL, and `_cdc_unsent` names its column."""

from __future__ import annotations

import json
from collections import Counter

from cdc.events import DELETE, INSERT, READ, UNSENT, Cell, Change, Row, Truncate
from cdc.fold import key_getter
from cdc.merge import Merge
from cdc.modes.shape import Shape
from cdc.modes.stamp import Stamp, position_text


class Append:
    """Every change in its order. A change of key is told as a deletion of the old one, then a change of the new."""

    def __init__(self, shape: Shape, stamp: Stamp) -> None:
        self.table = shape.source
        self._target = shape.target
        self._stamp = stamp
        self._names = shape.source.column_names
        self._key_of = key_getter(shape.source) if shape.source.key else None
        self._counts: Counter[str] = Counter()
        self._unsent: dict[tuple[int, ...], bytes] = {}
        self._rows: list[Row] = []

    def change(self, event: Change) -> None:
        self._counts[event.op] += 1
        old, new = event.old, event.new
        if new is None:
            assert old is not None
            self._add(event, DELETE, old)
            return
        fresh = old is None or event.op in (INSERT, READ)
        if not fresh and self._key_of and self._key_of(old) != self._key_of(new):
            assert old is not None
            self._add(event, DELETE, old)
        self._add(event, event.op, new)

    def truncate(self, event: Truncate) -> None:
        self._counts["t"] += 1
        self._add(event, "t", (None,) * len(self._names))

    def _add(self, event: Change | Truncate, op: str, row: Row) -> None:
        stamp = self._stamp.cells(event.begin, op)
        position = position_text(event.begin.commit_lsn, event.ordinal)
        unsent: Cell = None
        if UNSENT in row:
            places = tuple([index for index, cell in enumerate(row) if cell is UNSENT])
            if places not in self._unsent:
                names = [self._names[index] for index in places]
                self._unsent[places] = json.dumps(names, ensure_ascii=False).encode()
            unsent = self._unsent[places]
            row = [None if cell is UNSENT else cell for cell in row]
        self._rows.append((*row, op.encode(), position, self._stamp.time, unsent, *stamp))

    def merges(self) -> list[Merge]:
        return [Merge(self._target, inserts=self._rows, counts=dict(self._counts), of=self.table)]
