"""Debezium's own records to events.

With embedded schemas the types are exactly what those say. Without, a `Table` may be given; else it is inferred from each
record: a number without a point is int8, with one float8, a boolean bool, a string text, and what has parts is jsonb. The key's
columns are the primary key.

Debezium does not write commit LSNs. Its `sequence` is the LSN of the last commit before and that of the row, which orders events
as well: they are position and ordinal here. A delete's old row is filled up with zeros, so only its key is believed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from cdc.events import DELETE, READ, TRUNCATE, UNSENT, Begin, Cell, Change, Event, Truncate
from cdc.format import FormatSettings
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.wire.back import Back, back_of
from cdc.wire.connect_schema import BOOLEAN, DOUBLE, INT64, STRING, ConnectField, ConnectType
from cdc.wire.json_text import NULL, quote, quote_str
from cdc.wire.lanes_arrays import name_uuid

if TYPE_CHECKING:
    from cdc.wire.decoder import Payload, Source

KINDS = {
    "int8": "int2",
    "int16": "int2",
    "int32": "int4",
    "int64": "int8",
    "float": "float4",
    "double": "float8",
}
KINDS |= {"boolean": "bool", "string": "text", "bytes": "bytea", "map": "hstore"}
MEANINGS = {
    "io.debezium.data.Uuid": "uuid",
    "io.debezium.data.Json": "jsonb",
    "io.debezium.data.Xml": "xml",
    "io.debezium.data.Ltree": "ltree",
    "io.debezium.data.Tsvector": "tsvector",
    "io.debezium.data.VariableScaleDecimal": "numeric",
    "io.debezium.data.geometry.Point": "point",
    "io.debezium.data.geometry.Geometry": "geometry",
    "io.debezium.data.geometry.Geography": "geography",
    "io.debezium.time.ZonedTime": "timetz",
    "io.debezium.time.ZonedTimestamp": "timestamptz",
    "io.debezium.time.Interval": "interval",
    "io.debezium.time.MicroDuration": "interval",
}


class ForeignTable:
    """A table as a record describes it, and how its values come back."""

    def __init__(
        self, table: Table, columns: Sequence[tuple[str, Back]], placeholders: frozenset[bytes]
    ) -> None:
        self.table = table
        self._columns = columns
        self._placeholders = placeholders
        self._key = frozenset(table.primary_key)

    def row(self, values: Mapping[str, msgspec.Raw], *, key_only: bool = False) -> tuple[Cell, ...]:
        return tuple(
            [
                UNSENT if key_only and index not in self._key else self._cell(values.get(name), back)
                for index, (name, back) in enumerate(self._columns)
            ]
        )

    def _cell(self, raw: msgspec.Raw | None, back: Back) -> Cell:
        text = NULL if raw is None else bytes(raw)
        if text == NULL:
            return None
        return UNSENT if text in self._placeholders else back(text)


class Foreign:
    """Keeps the tables that records have described so far."""

    def __init__(self, settings: FormatSettings, given: Mapping[str, Table]) -> None:
        self._settings = settings
        self._given = given
        self._tables: dict[tuple[object, ...], ForeignTable] = {}
        self._inferences: dict[tuple[str, str, str], ConnectType] = {}
        name = settings.unavailable_value_placeholder
        codes = b"[%b]" % b",".join(b"%d" % code for code in name.encode())
        encoded = b'"%b"' % b64encode(name.encode())
        text, uuid = quote_str(name), b'"%b"' % name_uuid(name.encode())
        pair = b"{%b:%b}" % (text, text)
        self._placeholders = frozenset(
            {text, encoded, codes, b"[%b]" % text, b"[%b]" % encoded, b"[%b]" % uuid, pair, quote(pair)}
        )

    def decode(self, key: bytes | None, schema: bytes, payload: Payload) -> Sequence[Event]:
        source = payload.source
        lsn = source.lsn or 0
        begin = self._begun(source, lsn, read=payload.op == READ)
        of = self._table(key, schema, payload)
        if of is None:
            return ()
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
        us = source.ts_ms * 1000 if source.ts_us is None else source.ts_us
        return Begin(0 if read else int(last or lsn), us, source.txId or 0)

    def _table(self, key: bytes | None, schema: bytes, payload: Payload) -> ForeignTable | None:
        source, row = payload.source, payload.after or payload.before or {}
        keys = _key_names(key)
        shape = (schema, keys) if schema else (keys, *((name, bytes(raw)[:1]) for name, raw in row.items()))
        place = (source.schema, source.table, *shape)
        found = self._tables.get(place)
        if found is None:
            fields = _schema_fields(schema) if schema else None
            given = self._given.get(f"{source.schema}.{source.table}")
            if fields is None and given is None:
                fields = [(name, self._inferred(source, name, bytes(raw)), True) for name, raw in row.items()]
            if fields is None and given is not None:
                found = self._from_given(given)
            else:
                found = self._from_fields(source, keys, fields or [])
            self._tables[place] = found
        return found

    def _inferred(self, source: Source, name: str, text: bytes) -> ConnectType:
        """What JSON says of the column's type; of null, what was said before, or text."""
        place = (source.schema, source.table, name)
        if text != NULL:
            self._inferences[place] = _inferred(text)
        return self._inferences.get(place, STRING)

    def _from_fields(
        self, source: Source, keys: tuple[str, ...], fields: Sequence[tuple[str, ConnectType, bool]]
    ) -> ForeignTable:
        types = [_logical(kind) for _, kind, _ in fields]
        columns = tuple(
            Column(name, of, nullable=optional) for (name, _, optional), of in zip(fields, types, strict=True)
        )
        names = [name for name, _, _ in fields]
        primary_key = tuple(names.index(name) for name in keys if name in names)
        identity = primary_key or tuple(range(len(names)))
        table = Table(
            source.schema, source.table, columns, primary_key, "d" if primary_key else FULL, identity
        )
        binary = self._settings.binary_handling_mode
        backs = [(name, back_of(of, kind, binary)) for (name, kind, _), of in zip(fields, types, strict=True)]
        return ForeignTable(table, backs, self._placeholders)

    def _from_given(self, table: Table) -> ForeignTable:
        """By the lanes that Debezium's settings give the table's columns."""
        from cdc.wire.lanes import lane_of

        backs = []
        for column in table.columns:
            lane = lane_of(column, self._settings)
            schema = lane.schema if lane else STRING
            backs.append((column.name, back_of(column.type, schema, self._settings.binary_handling_mode)))
        return ForeignTable(table, backs, self._placeholders)


def _key_names(key: bytes | None) -> tuple[str, ...]:
    if key is None:
        return ()
    given: dict[str, msgspec.Raw] = msgspec.json.decode(key, type=dict[str, msgspec.Raw])
    if given.keys() == {"schema", "payload"}:
        given = msgspec.json.decode(given["payload"], type=dict[str, msgspec.Raw])
    return tuple(given)


def _schema_fields(schema: bytes) -> list[tuple[str, ConnectType, bool]] | None:
    """The row's fields, from the schema of an envelope."""
    whole = msgspec.json.decode(schema)
    if whole is None:
        return None
    for field in whole["fields"]:
        if field.get("field") in ("after", "before"):
            return [(each["field"], _type(each), bool(each.get("optional"))) for each in field["fields"]]
    return None


def _type(schema: dict[str, Any]) -> ConnectType:
    inner = schema.get("items") or schema.get("values")
    return ConnectType(
        schema["type"],
        schema.get("name") or "",
        schema.get("version") or 0,
        parameters=schema.get("parameters") or {},
        element=ConnectField(_type(inner), bool(inner.get("optional"))) if inner else None,
    )


def _logical(kind: ConnectType) -> LogicalType:
    """The type that a Connect type comes from, as far as it says."""
    name, parameters = kind.name, kind.parameters
    short = name.rpartition(".")[2]
    if name in MEANINGS:
        return LogicalType(MEANINGS[name])
    if short == "Decimal":
        precision = parameters.get("connect.decimal.precision")
        scale = int(parameters["scale"])
        return LogicalType("numeric", int(precision), scale) if precision else LogicalType("money")
    if short == "Enum":
        return LogicalType("enum", labels=tuple(parameters.get("allowed", "").split(",")))
    if short == "Bits":
        return LogicalType("varbit", length=int(parameters["length"]))
    if short in ("DoubleVector", "FloatVector"):
        return LogicalType("vector" if short == "DoubleVector" else "halfvec")
    if short in ("Date", "IsoDate"):
        return LogicalType("date")
    if short.endswith("Timestamp"):
        return LogicalType("timestamp", 3 if short == "Timestamp" else 6)
    if short.endswith("Time"):
        return LogicalType("time", 3 if short == "Time" else 6)
    if kind.type == "array" and kind.element is not None:
        return LogicalType("array", element=_logical(kind.element.type))
    return LogicalType("jsonb" if kind.type == "json" else KINDS.get(kind.type, "unknown"))


def _inferred(text: bytes) -> ConnectType:
    """What a piece of JSON says of its column's type."""
    first = text[:1]
    if first in b"tf":
        return BOOLEAN
    if first in b"-0123456789":
        return DOUBLE if set(text) & set(b".eE") else INT64
    return STRING if first == b'"' else ConnectType("json")
