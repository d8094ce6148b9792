"""Rows to JSON, by functions that are written for a table once and then run for each of its rows.

A generated function is one `%` format over the cells: numbers go in as they are, text between quotes, the rest
through its lane. All text of a row is looked through for something to escape at once. A row that is out of the ordinary
(text with escapes, NULL in a text column) takes a second format that looks at each cell; one with values that PostgreSQL did
not send raises TypeError there, and goes cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from cdc.events import UNSENT, Row
from cdc.wire.json_text import FALSE, NEEDS_ESCAPE, TRUE, escape, quote_str
from cdc.wire.lane import Lane


class Field(msgspec.Struct, frozen=True):
    """A column in a record: where its cell is, under which name it stands, what stands for NULL."""

    index: int
    name: str
    lane: Lane
    null: bytes
    optional: bool


Write = Callable[[Row], bytes]


class RowWriter:
    """Writes rows of one table. `known` are the cells that a row is sure to have; the others are never there."""

    def __init__(self, fields: Sequence[Field], width: int, *, omit: bool, known: Iterable[int] | None = None) -> None:
        self._fields = fields
        self._omit = omit
        self.unsent: list[str] = []
        """Columns of the last row without a value of its own; whoever asks empties it."""
        self._names = [quote_str(field.name) for field in fields]
        self._fast = _generate(fields, width, None if known is None else frozenset(known), omit=omit)

    def new(self, row: Row) -> bytes:
        """A row as it is now; what was not sent is left out, or its placeholder stands there."""
        try:
            return self._fast(row)
        except TypeError:
            return self._slow(row, old=False)

    def old(self, row: Row) -> bytes:
        """A row as it was: what was not sent is left out, or is as if NULL."""
        try:
            return self._fast(row)
        except TypeError:
            return self._slow(row, old=True)

    def _slow(self, row: Row, *, old: bool) -> bytes:
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


def _generate(fields: Sequence[Field], width: int, known: frozenset[int] | None, *, omit: bool) -> Write:
    names: dict[str, Any] = {"needs_escape": NEEDS_ESCAPE, "escape": escape, "join": b"".join}
    plain: list[tuple[bytes, str]] = []
    careful: list[tuple[bytes, str]] = []
    texts: list[str] = []
    for number, field in enumerate(fields):
        key = quote_str(field.name).replace(b"%", b"%%")
        cell, null = f"c{field.index}", f"n{number}"
        names[null] = field.null
        if known is not None and field.index not in known:
            if not omit:
                constant = b"%b:%b" % (key, field.null.replace(b"%", b"%%"))
                plain.append((constant, ""))
                careful.append((constant, ""))
            continue
        if field.lane.form == "text":
            texts.append(cell)
            plain.append((b'%b:"%%b"' % key, cell))
            value = f"""{null} if {cell} is None else b'"%b"' % ({cell} if not needs_escape({cell}) else escape({cell}))"""
            careful.append((b"%b:%%b" % key, value))
            continue
        if field.lane.form == "bool":
            names[f"b{number}"] = {b"t": TRUE, b"f": FALSE, None: field.null}.__getitem__
            value = f"b{number}({cell})"
        elif field.lane.form == "raw":
            value = f"{null} if {cell} is None else {cell}" if field.optional else cell
        else:
            names[f"f{number}"] = field.lane.convert
            value = f"{null} if {cell} is None else f{number}({cell})"
        plain.append((b"%b:%%b" % key, value))
        careful.append((b"%b:%%b" % key, value))
    lines = ["def write(row):"]
    if width:
        lines.append(f"    {', '.join(f'c{number}' for number in range(width))}, = row")
    if texts:
        nulls = " or ".join(f"{cell} is None" for cell in texts)
        dirty = f"needs_escape(join(({', '.join(texts)},)))" if len(texts) > 1 else f"needs_escape({texts[0]})"
        lines.append(f"    if {nulls} or {dirty}:")
        lines.append(f"        return {_format(careful)}")
    lines.append(f"    return {_format(plain)}")
    exec("\n".join(lines), names)
    write: Write = names["write"]
    return write


def _format(parts: Sequence[tuple[bytes, str]]) -> str:
    """The expression of one `%` format."""
    template = b"{%b}" % b",".join(text for text, _ in parts)
    values = ", ".join(value for _, value in parts if value)
    return f"{template!r} % ({values},)" if values else repr(template.replace(b"%%", b"%"))
