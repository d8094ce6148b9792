"""Debezium's own records to events.

With embedded schemas the types are what those say. A table's schema may be given: then its types are those of the source, and
with the settings that the connector has, so is the form of values in records without a schema. With neither, types are inferred
from each record: a number without a point is int8, with one float8, a boolean bool, a string text, and what has parts is
jsonb. The key's columns are the primary key, if nothing else is given.

Debezium does not write commit LSNs. Its `sequence` is the LSN of the last commit before and that of the row, which orders events
as well: they are position and ordinal here. A delete's old row is filled up with zeros, so only its key is believed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from cdc.errors import CdcError, DecodeError
from cdc.events import DELETE, READ, TRUNCATE, UNSENT, Begin, Cell, Change, Event, Truncate
from cdc.format import FormatSettings
from cdc.schema import FULL, Column, Table
from cdc.type_names import column_of
from cdc.wire.back import Back, back_of
from cdc.wire.connect_schema import STRING, ConnectType
from cdc.wire.foreign_schema import Said, embedded, inferred, key_names, logical
from cdc.wire.json_text import NULL, quote, quote_str
from cdc.wire.lanes import lane_of
from cdc.wire.lanes_arrays import name_uuid
from cdc.wire.source import Told

Row = Mapping[str, msgspec.Raw]
BEGINNINGS = {"string": b'"', "boolean": b"tf", "bytes": b'"-0123456789', "map": b"{", "struct": b"{"} | {
    **{whole: b"-0123456789" for whole in ("int16", "int32", "int64")},
    **{number: b'"-0123456789' for number in ("float", "double")},
}
"""How JSON of a Connect type begins."""


class Source(Told, gc=False):
    """The part of the source block that is read."""

    schema: str = ""
    table: str = ""
    sequence: str | None = None


class Payload(msgspec.Struct):
    """An envelope; rows as pieces of JSON text."""

    op: str
    source: Source
    before: dict[str, msgspec.Raw] | None = None
    after: dict[str, msgspec.Raw] | None = None


class Wrapped(msgspec.Struct):
    """A value with its schema."""

    schema: msgspec.Raw
    payload: Payload


_payload, _wrapped = msgspec.json.Decoder(Payload), msgspec.json.Decoder(Wrapped)


class ForeignTable:
    """A table as a record describes it, and how its values come back."""

    def __init__(self, table: Table, backs: Sequence[Back], placeholders: frozenset[bytes]) -> None:
        self.table = table
        self._columns = list(zip(table.column_names, backs, strict=True))
        self._placeholders = placeholders
        self._key = frozenset(table.primary_key)

    def row(self, values: Row, *, key_only: bool = False) -> tuple[Cell, ...]:
        try:
            return tuple(
                [
                    UNSENT if key_only and index not in self._key else self._cell(values.get(name), back)
                    for index, (name, back) in enumerate(self._columns)
                ]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise self._misread(values) from error

    def _cell(self, raw: msgspec.Raw | None, back: Back) -> Cell:
        text = NULL if raw is None else bytes(raw)
        if text == NULL:
            return None
        return UNSENT if text in self._placeholders else back(text)

    def _misread(self, values: Row) -> CdcError:
        """Names the column whose value is not in the form that was expected."""
        for column, (name, back) in zip(self.table.columns, self._columns, strict=True):
            try:
                self._cell(values.get(name), back)
            except (ValueError, KeyError, TypeError):
                written = column.type_name or column.type.kind
                return DecodeError(
                    f"a value cannot be read as {written}",
                    where=f"{self.table.full_name}.{name}",
                    why="the record has it in another form",
                    hint="do [format.schemas], and the modes of [format], say what the connector writes?",
                )
        return DecodeError("a record cannot be read", where=self.table.full_name)


class Foreign:
    """Keeps the tables that records have described so far."""

    def __init__(self, settings: FormatSettings) -> None:
        self._settings = settings
        self._tables: dict[tuple[object, ...], ForeignTable] = {}
        self._last: dict[str, ForeignTable] = {}
        self._inferences: dict[tuple[str, str], ConnectType] = {}
        name = settings.unavailable_value_placeholder
        codes = b"[%b]" % b",".join(b"%d" % code for code in name.encode())
        encoded = b'"%b"' % b64encode(name.encode())
        text, uuid = quote_str(name), b'"%b"' % name_uuid(name.encode())
        pair = b"{%b:%b}" % (text, text)
        self._placeholders = frozenset(
            {text, encoded, codes, b"[%b]" % text, b"[%b]" % encoded, b"[%b]" % uuid, pair, quote(pair)}
        )

    def decode(self, key: bytes | None, value: bytes) -> Sequence[Event]:
        schema = b""
        if value.startswith(b'{"schema":'):
            whole = _wrapped.decode(value)
            schema, payload = bytes(whole.schema), whole.payload
        else:
            payload = _payload.decode(value)
        source = payload.source
        lsn = source.lsn or 0
        begin = self._begun(source, lsn, read=payload.op == READ)
        of = self._table(key, schema, payload)
        if payload.op == TRUNCATE:
            return (Truncate(of.table, begin, lsn, lsn),)
        new = of.row(payload.after) if payload.after is not None else None
        old = None
        if payload.before is not None:
            old = of.row(payload.before, key_only=payload.op == DELETE and bool(of.table.primary_key))
        return (Change(of.table, payload.op, old, new, begin, lsn, lsn, 0),)

    def _begun(self, source: Source, lsn: int, *, read: bool) -> Begin:
        """Debezium knows no commit before the first since it was started anew: then the row's LSN, which is less than that of
        its commit and more than that of any commit confirmed before. Rows of a snapshot are before all others: what was
        written while it was taken is streamed again, with an LSN that may be less than theirs."""
        last = msgspec.json.decode(source.sequence or "[null]")[0]
        return Begin(0 if read else int(last or lsn), source.us, source.txId or 0)

    def _table(self, key: bytes | None, schema: bytes, payload: Payload) -> ForeignTable:
        source, row = payload.source, payload.after or payload.before or {}
        name, keys = f"{source.schema}.{source.table}", key_names(key)
        said: Callable[[], Iterable[Said]]
        shape: tuple[object, ...]
        if schema and schema != NULL:
            shape, said = (schema, keys), lambda: embedded(schema)
        elif payload.op == TRUNCATE and name in self._last:  # it has no row
            return self._last[name]
        elif payload.op == TRUNCATE and name not in self._settings.schemas:
            raise DecodeError(
                "a table is emptied of which no row was seen",
                where=name,
                why="a truncate without an embedded schema does not say what the table is like",
                hint=f'give its columns under [format.schemas."{name}"]',
            )
        elif name in self._settings.schemas:
            names = tuple(row) or tuple(self._settings.schemas[name].columns)
            shape, said = (names, keys), lambda: self._by_settings(name, names)
        else:
            types = [Said(column, self._inferred(name, column, bytes(raw))) for column, raw in row.items()]
            shape, said = (*((column, of.type) for column, of, _ in types), keys), lambda: types
        found = self._tables.get((name, *shape))
        if found is None:
            found = self._tables[name, *shape] = self._made(source, keys, list(said()))
        self._last[name] = found
        return found

    def _inferred(self, table: str, column: str, text: bytes) -> ConnectType:
        """What JSON says of the column's type; of null, what was said before, or text."""
        of = inferred(text)
        if of is not None:
            self._inferences[table, column] = of
        return of or self._inferences.get((table, column), STRING)

    def _by_settings(self, table: str, names: Sequence[str]) -> Iterable[Said]:
        """In the form that Debezium's settings give the columns of a table that is given."""
        for name in names:
            lane = lane_of(self._given(table, name), self._settings)
            yield Said(name, lane.schema if lane else STRING)

    def _given(self, table: str, name: str) -> Column:
        columns = self._settings.schemas[table].columns
        if name not in columns:
            raise DecodeError(
                "a record has a column that the schema given for its table lacks",
                where=f'[format.schemas."{table}"]',
                why=f"{name} is not there",
                hint="add it under columns, with its type",
            )
        return column_of(name, columns[name])

    def _made(self, source: Source, keys: tuple[str, ...], said: Sequence[Said]) -> ForeignTable:
        table_name = f"{source.schema}.{source.table}"
        given = self._settings.schemas.get(table_name)
        keys = tuple(given.primary_key) if given and given.primary_key else keys
        columns, backs = [], []
        for name, kind, optional in said:
            said_type = Column(name, logical(kind), nullable=optional)
            column = self._given(table_name, name) if given else said_type
            columns.append(column)
            back = back_of(column.type, kind, self._settings.binary_handling_mode)
            backs.append(_checked(back, kind) if given else back)
        names = [column.name for column in columns]
        primary_key = tuple(names.index(name) for name in keys if name in names)
        identity = primary_key or tuple(range(len(names)))
        replica_identity = "d" if primary_key else FULL
        table = Table(source.schema, source.table, tuple(columns), primary_key, replica_identity, identity)
        return ForeignTable(table, backs, self._placeholders)


def _checked(back: Back, kind: ConnectType) -> Back:
    """Refuses JSON of another type than the settings say, which would be misread in silence."""
    allowed = BEGINNINGS.get(kind.type)

    def checked(text: bytes) -> bytes:
        if allowed is not None and text[0] not in allowed:
            raise ValueError
        return back(text)

    return checked
