"""Rows of our own records back to cells: the plan that wrote them, read backwards.

A table's records are read by a parser of their own: a struct with one field per column, typed so that the parser itself makes of
most values what PostgreSQL's text is made from. What it cannot do is handed on as a piece of JSON to `back.py`. A generated
function turns the struct into cells. A column that a record leaves out was not sent; a row with one is read cell by cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import msgspec

from cdc.events import DELETE, TRUNCATE, UNSENT, Begin, Cell, Change, Event, Truncate
from cdc.format import FormatSettings
from cdc.lsn import Lsn
from cdc.schema import FULL, Table
from cdc.wire.back import Back, back_of, unquote
from cdc.wire.generate import Field
from cdc.wire.json_text import NULL
from cdc.wire.lane import Lane
from cdc.wire.names import Topics
from cdc.wire.plan import Plan
from cdc.wire.source import Told

ABSENT = msgspec.Raw(b"")
NOT_FOR_STRUCTS = re.compile(r'["\\\x00-\x1f]')
"""Names of columns that msgspec's structs cannot have."""
INSTANT = """f"{c[:10]} {c[11:-1]}+00".encode() if c[10:11] == "T" and c[4] == "-" else u(c)"""
"""`2024-02-29T12:34:56Z` as PostgreSQL has it."""
EXCEPTIONAL = (TypeError, AttributeError, KeyError, IndexError)
"""What a generated function raises for a row that it cannot read."""

Begun = Callable[[Lsn, int, int], Begin]
"""Commit LSN, commit time in microseconds and xid → the transaction."""


class Source(Told, gc=False):
    """Of the source block what says where a record comes from."""

    schema_id: str | None = None
    commit_lsn: Lsn = 0
    ordinal: int = 0


class Place(NamedTuple):
    """What a header says under `compat`; in the source block otherwise."""

    schema_id: str
    commit_lsn: Lsn
    ordinal: int


class Reading(NamedTuple):
    """How one column is read: the field's type, the expression of its cell (`c`: the value, not null), and `u`, which it uses."""

    type: Any
    cell: str
    uses: Any = None

    @property
    def slot(self) -> tuple[Any, Any]:
        """The field's type with what else may be there, and what is there if the record has no such field."""
        if self.type is msgspec.Raw:
            return msgspec.Raw, ABSENT
        return self.type | None | msgspec.UnsetType, msgspec.UNSET


class RowReader:
    """Reads rows as they are now, or as they were: then what is outside of the replica identity was never sent."""

    type: Any

    def __init__(self, fields: Sequence[tuple[Field, Back]], width: int) -> None:
        readings = [(field, back, _reading(field.lane, back)) for field, back in fields]
        self._fields = [(field, back, each.type is msgspec.Raw) for field, back, each in readings]
        self._width = width
        names = {f"f{field.index}": field.name for field, _ in fields}
        self._by_name = any(NOT_FOR_STRUCTS.search(name) for name in names.values())
        if self._by_name:
            self.type = dict[str, msgspec.Raw]
        else:
            slots = [(f"f{field.index}", *each.slot) for field, _, each in readings]
            self.type = msgspec.defstruct("Row", slots, rename=names, gc=False)
        self._fast = _generated(readings, width)

    def cells(self, row: Any, unsent: Collection[str] = ()) -> tuple[Cell, ...]:
        """`unsent` names columns that show a placeholder."""
        if not unsent:
            try:
                return self._fast(row)
            except EXCEPTIONAL:
                pass
        cells: list[Cell] = [UNSENT] * self._width
        for field, back, raw in self._fields:
            value = row.get(field.name, ABSENT) if self._by_name else getattr(row, f"f{field.index}")
            if field.name not in unsent and value is not msgspec.UNSET and value is not ABSENT:
                text = bytes(value) if raw or self._by_name else msgspec.json.encode(value)
                cells[field.index] = None if text == NULL else back(text)
        return tuple(cells)


class OwnTable:
    """One table's records under one schema."""

    def __init__(self, table: Table, settings: FormatSettings, topics: Topics) -> None:
        self.table = table
        self._ident = table.fingerprint
        known = range(len(table.columns)) if table.replica_identity == FULL else table.identity
        backs = [
            (
                field,
                back_of(table.columns[field.index].type, field.lane.schema, settings.binary_handling_mode),
            )
            for field in Plan(table, settings, topics).value_fields
        ]
        width = len(table.columns)
        self._new = RowReader(backs, width)
        self._old = RowReader([each for each in backs if each[0].index in known], width)
        payload: Any = msgspec.defstruct(
            "Payload",
            [
                ("op", str),
                ("source", Source),
                ("before", self._old.type | None, None),
                ("after", self._new.type | None, None),
            ],
            gc=False,
        )
        wrapped: Any = msgspec.defstruct("Wrapped", [("payload", payload)])
        self._plain = msgspec.json.Decoder(payload).decode
        self._wrapped = msgspec.json.Decoder(wrapped).decode

    def event(
        self, value: bytes, begun: Begun, place: Place | None = None, unsent: Collection[str] = ()
    ) -> Event | None:
        """The event of a record with this schema; None: it has another. Raises msgspec.DecodeError."""
        payload = self._wrapped(value).payload if value.startswith(b'{"schema":') else self._plain(value)
        source = payload.source
        if place is not None:
            source.schema_id, source.commit_lsn, source.ordinal = place
        if source.schema_id != self._ident:
            return None
        begin, op = begun(source.commit_lsn, source.us, source.txId or 0), payload.op
        if op == TRUNCATE:
            return Truncate(self.table, begin, source.ordinal, source.lsn or 0)
        before, after = payload.before, payload.after
        new = None if after is None or op == DELETE else self._new.cells(after, unsent)
        old = None if before is None else self._old.cells(before)
        return Change(self.table, op, old, new, begin, source.ordinal, source.lsn or 0, len(value))


def _reading(lane: Lane, back: Back) -> Reading:
    if lane.form == "raw" and lane.schema.type in ("int16", "int32", "int64"):
        return Reading(int, 'b"%d" % c')
    if lane.form == "bool":
        return Reading(bool, "u[c]", {True: back(b"true"), False: back(b"false")})
    if lane.form == "instant":
        return Reading(str, INSTANT, lambda text: back(b'"%b"' % text.encode()))
    if lane.form == "text" or back is unquote:
        return Reading(str, "c.encode()")
    return Reading(msgspec.Raw, "u(c)", back)


def _absent() -> NoReturn:
    raise KeyError


def _generated(
    readings: Iterable[tuple[Field, Back, Reading]], width: int
) -> Callable[[Any], tuple[Cell, ...]]:
    space: dict[str, Any] = {"UNSENT": UNSENT, "absent": _absent}
    cells = ["UNSENT"] * width
    for field, _, reading in readings:
        index = field.index
        space[f"u{index}"] = reading.uses
        cell = re.sub(r"\bu\b", f"u{index}", reading.cell)
        if reading.type is msgspec.Raw:
            cells[index] = f"None if (c := bytes(row.f{index})) == b'null' else {cell} if c else absent()"
        else:
            cells[index] = f"None if (c := row.f{index}) is None else {cell}"
    exec(f"def read(row):\n    return ({', '.join(cells)},)", space)
    read: Callable[[Any], tuple[Cell, ...]] = space["read"]
    return read
