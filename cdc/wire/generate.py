"""Functions written for one table: its rows, and its whole records, each as one join of constant text and cells.

Numbers go in as they are, text between quotes, the rest through its lane. All text of a row is looked through for something to
escape at once. A row that is out of the ordinary (text with escapes, NULL in a text column, a time before Christ) takes a second
join that looks at each cell. A value that PostgreSQL did not send, or NULL where the column has none, makes it raise
one of `EXCEPTIONAL`: such rows are written cell by cell, by `rows.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from cdc.events import Row
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
WriteRecord = Callable[..., tuple[bytes | None, bytes]]
"""(row, before, lsn, between, behind, ordinal, op, times) → key and value; see `table_encoder.py` for the pieces."""

EXCEPTIONAL = (TypeError, AttributeError, IndexError)
"""What a generated function raises for a row that it cannot write."""

Part: TypeAlias = "bytes | str"
"""Constant text, or the expression of what stands there."""

# Of a lane's form: the parts of an ordinary value, and when a value is not ordinary.
ORDINARY: dict[str, tuple[tuple[Part, ...], str]] = {
    "instant": ((b'"', "{c}[:10]", b"T", "{c}[11:-3]", b'Z"'), "{c}[4] != 45 or {c}[-3] != 43"),
    "instant6": (
        (b'"', "{c}[:10]", b"T", "{c}[11:-3]", b'Z"'),
        "len({c}) != 29 or {c}[4] != 45 or {c}[-3] != 43",
    ),
    "timestamp": ((b'"', "{c}[:10]", b"T", "{c}[11:]", b'Z"'), "{c}[4] != 45 or {c}[-1] == 67"),
}


class Object:
    """A JSON object of fields: its parts for ordinary rows and for others. `known`: cells that are ever there."""

    def __init__(self, fields: Sequence[Field], *, known: frozenset[int] | None, omit: bool) -> None:
        self.names: dict[str, Any] = {}
        self.texts: list[str] = []
        self.checks: list[str] = []
        self.plain: list[Part] = []
        self.careful: list[Part] = []
        separator = b"{"
        for field in fields:
            key = b"%b%b:" % (separator, quote_str(field.name))
            if known is None or field.index in known:
                self._add(field, key)
            elif not omit:
                self._both(key, field.null)
            else:
                continue
            separator = b","
        self._both(b"{}" if separator == b"{" else b"}")

    def _both(self, *parts: Part) -> None:
        self.plain.extend(parts)
        self.careful.extend(parts)

    def _add(self, field: Field, key: bytes) -> None:
        cell, form = f"c{field.index}", field.lane.form
        null = self._name("n", field.null)
        if form == "text":
            self.texts.append(cell)
            self.plain += (key, b'"', cell, b'"')
            clean = f"{cell} if not needs_escape({cell}) else escape({cell})"
            self.careful += (key, f"""{null} if {cell} is None else b'"%b"' % ({clean})""")
            return
        if form == "bool":
            letters = self._name("b", {b"t": TRUE, b"f": FALSE, None: field.null})
            self._both(key, f"{letters}.get({cell})")
            return
        if form == "raw":
            self._both(key, f"{null} if {cell} is None else {cell}" if field.optional else cell)
            return
        convert = self._name("f", field.lane.convert)
        value = f"{null} if {cell} is None else {convert}({cell})"
        if form == "call":
            self._both(key, value)
            return
        parts, unlike = ORDINARY[form]
        self.checks += [f"{cell} is None", unlike.format(c=cell)]
        self.plain.append(key)
        self.plain += [part if isinstance(part, bytes) else part.format(c=cell) for part in parts]
        self.careful += (key, value)

    def _name(self, letter: str, value: object) -> str:
        """A name under which the generated function finds the value."""
        name = f"{letter}{id(self)}_{len(self.names)}"
        self.names[name] = value
        return name


def row_function(row: Object, width: int) -> Write:
    """Row → the object's JSON."""
    write: Write = _compile("row", width, [row], [_join(parts) for parts in (row.careful, row.plain)])
    return write


def record_function(
    row: Object,
    key: Object | None,
    width: int,
    *,
    frame: tuple[bytes, bytes, bytes],
    key_frame: tuple[bytes, bytes],
) -> WriteRecord:
    """Row and pieces → key and value. `frame` stands before the row, between it and the pieces, and at the end."""
    begin, between, end = frame
    pieces: list[Part] = [between + b",", "before", "lsn", "between", "lsn", "behind", "ordinal"]
    pieces += [b'},"transaction":null,"op":"', "op", b'",', "times", b"}" + end]
    results = []
    pairs = ((row.careful, key.careful if key else None), (row.plain, key.plain if key else None))
    for parts, key_parts in pairs:
        keyed = "None" if key_parts is None else _join([key_frame[0], *key_parts, key_frame[1]])
        results.append(f"{keyed}, {_join([begin, *parts, *pieces])}")
    parameters = "row, before, lsn, between, behind, ordinal, op, times"
    write: WriteRecord = _compile(parameters, width, [row, key] if key else [row], results)
    return write


def _compile(parameters: str, width: int, objects: Sequence[Object], results: Sequence[str]) -> Any:
    careful, plain = results
    space: dict[str, Any] = {"needs_escape": NEEDS_ESCAPE, "escape": escape, "join": b"".join}
    for each in objects:
        space |= each.names
    texts = list(dict.fromkeys(text for each in objects for text in each.texts))
    tests = [f"{cell} is None" for cell in texts]
    tests += dict.fromkeys(check for each in objects for check in each.checks)
    if texts:
        tests.append(
            f"needs_escape(join(({', '.join(texts)})))" if len(texts) > 1 else f"needs_escape({texts[0]})"
        )
    lines = [f"def write({parameters}):"]
    if width:
        lines.append(f"    {' '.join(f'c{number},' for number in range(width))} = row")
    if tests:
        lines += [f"    if {' or '.join(tests)}:", f"        return {careful}"]
    lines.append(f"    return {plain}")
    exec("\n".join(lines), space)
    return space["write"]


def _join(parts: Sequence[Part]) -> str:
    """The expression that joins the parts, constant ones that meet made one."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += part
        elif part:
            merged.append(part)
    if len(merged) == 1 and isinstance(merged[0], bytes):
        return repr(merged[0])
    return f"join(({', '.join(repr(part) if isinstance(part, bytes) else f'{part}' for part in merged)},))"
