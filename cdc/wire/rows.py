"""Rows to JSON objects: by the generated function, and cell by cell where that one gives up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cdc.events import UNSENT, Row
from cdc.wire.generate import EXCEPTIONAL, Field, Object, row_function
from cdc.wire.json_text import quote_str


class RowWriter:
    """Writes rows of one table. `known` are the cells that a row is sure to have; the others are never there.

    `omit`: leave out what was not sent; else a placeholder, or what stands for NULL, is in its place.
    """

    def __init__(
        self, fields: Sequence[Field], width: int, *, omit: bool, known: Iterable[int] | None = None
    ) -> None:
        self.unsent: list[str] = []
        """Columns of the last row without a value of its own; whoever asks empties it."""
        self.object = Object(fields, known=None if known is None else frozenset(known), omit=omit)
        self._fields = fields
        self._omit = omit
        self._names = [quote_str(field.name) for field in fields]
        self._fast = row_function(self.object, width)

    def new(self, row: Row) -> bytes:
        """A row as it is now; what was not sent is left out, or its placeholder stands there."""
        try:
            return self._fast(row)
        except EXCEPTIONAL:
            return self._cell_by_cell(row, old=False)

    def old(self, row: Row) -> bytes:
        """A row as it was: what was not sent is left out, or is as if NULL."""
        try:
            return self._fast(row)
        except EXCEPTIONAL:
            return self._cell_by_cell(row, old=True)

    def _cell_by_cell(self, row: Row, *, old: bool) -> bytes:
        parts = []
        for name, field in zip(self._names, self._fields, strict=True):
            cell = row[field.index]
            if cell is UNSENT:
                if not old:
                    self.unsent.append(field.name)
                if self._omit:
                    continue
                parts.append(b"%b:%b" % (name, field.null if old else field.lane.unsent))
            else:
                parts.append(b"%b:%b" % (name, field.null if cell is None else field.lane.convert(cell)))
        return b"{%b}" % b",".join(parts)
