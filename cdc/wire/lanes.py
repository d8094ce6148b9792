"""Which lane each type takes: Debezium's forms in all its modes, and where those lose something, ours that do not.

A kind names the method that makes its lane. `compat = "debezium"` has Debezium's choice of types too: those that it has no
form for are left out, or are the bytes of their text with `include_unknown_datatypes`.
"""

from __future__ import annotations

from collections.abc import Callable

from cdc.format import FormatSettings
from cdc.schema import Column, LogicalType
from cdc.wire import lanes_arrays, lanes_binary, lanes_numbers, lanes_times
from cdc.wire.connect_schema import BOOLEAN, STRING, ConnectType, semantic
from cdc.wire.json_text import FALSE, TRUE, quote_str
from cdc.wire.lane import Lane, text

NAME_OID, OID_OID = 19, 26
NAMED_TEXT = {0, 18, NAME_OID, 25}  # built-in types that are text to us and to Debezium
FIRST_OWN_OID = 16384

SEMANTIC = {
    "uuid": "io.debezium.data.Uuid",
    "json": "io.debezium.data.Json",
    "jsonb": "io.debezium.data.Json",
    "xml": "io.debezium.data.Xml",
    "ltree": "io.debezium.data.Ltree",
    "tsvector": "io.debezium.data.Tsvector",
}
PLAIN = {"text", "varchar", "char", "citext", "inet", "cidr", "macaddr", "macaddr8", "range"}
RANGES = {
    "int4",
    "numeric",
    "timestamp",
    "timestamptz",
    "date",
    "int8",
}  # of Debezium's range types, all built in


def lane_of(column: Column, settings: FormatSettings) -> Lane | None:
    """The lane of a column's values; None: the column is not in the records."""
    if settings.exact:
        return _exact(column, settings)
    kind, oid = column.type.kind, column.type_oid
    builtin = {"text": oid in NAMED_TEXT, "oid": oid in (0, OID_OID)}.get(kind, True)
    known = oid >= FIRST_OWN_OID or builtin
    if kind == "array":
        return lanes_arrays.debezium(column, settings, lambda of: element_lane(of, settings))
    if lanes_arrays.is_isbn(column):
        return text(unsent=quote_str(settings.unavailable_value_placeholder))
    lane = element_lane(column.type, settings) if known else None
    return lane or (
        lanes_binary.unknown(column.type, settings) if settings.include_unknown_datatypes else None
    )


def element_lane(of: LogicalType, settings: FormatSettings) -> Lane | None:
    """The lane of a type, as far as Debezium has a form for it."""
    placeholder = quote_str(settings.unavailable_value_placeholder)
    if of.kind == "range" and (of.element is None or of.element.kind not in RANGES):
        return None
    if of.kind in PLAIN:
        return text(unsent=placeholder)
    if of.kind in SEMANTIC:
        return text(semantic(STRING, SEMANTIC[of.kind]), unsent=placeholder)
    make = _MAKERS.get(of.kind)
    return make(of, settings) if make else None


def _exact(column: Column, settings: FormatSettings) -> Lane | None:
    kind = column.type.kind
    if kind == "array":
        return lanes_arrays.exact(column, settings, lambda of: _exact_scalar(of, settings))
    if not settings.include_unknown_datatypes and element_lane(column.type, settings) is None:
        return None
    return _exact_scalar(column.type, settings)


def _exact_scalar(of: LogicalType, settings: FormatSettings) -> Lane:
    """Ours: what has no lane that can be read back is PostgreSQL's text."""
    placeholder = quote_str(settings.unavailable_value_placeholder)
    if of.kind in TEXT_TO_US or (of.kind in ("bit", "varbit") and (of.kind, of.length) != ("bit", 1)):
        return text(unsent=placeholder)
    return element_lane(of, settings) or text(unsent=placeholder)


TEXT_TO_US = {"geometry", "geography", "vector", "halfvec", "sparsevec"}


def _bool(_of: LogicalType, _settings: FormatSettings) -> Lane:
    return Lane(BOOLEAN, lambda cell: TRUE if cell == b"t" else FALSE, "bool", FALSE)


def _enum(of: LogicalType, settings: FormatSettings) -> Lane:
    schema = semantic(STRING, "io.debezium.data.Enum", allowed=",".join(of.labels))
    return text(schema, unsent=quote_str(settings.unavailable_value_placeholder))


_MAKERS: dict[str, Callable[[LogicalType, FormatSettings], Lane]] = {
    **{kind: lanes_numbers.integer for kind in ("int2", "int4", "int8", "oid")},
    **{kind: lanes_numbers.floating for kind in ("float4", "float8")},
    "numeric": lanes_numbers.numeric,
    "money": lanes_numbers.money,
    "bool": _bool,
    "enum": _enum,
    "date": lanes_times.date,
    "time": lanes_times.time,
    "timestamp": lanes_times.timestamp,
    "timetz": lanes_times.timetz,
    "timestamptz": lanes_times.timestamptz,
    "interval": lanes_times.interval,
    "bytea": lanes_binary.bytea,
    "bit": lanes_binary.bits,
    "varbit": lanes_binary.bits,
    "hstore": lanes_binary.hstore,
    "point": lanes_binary.point,
    "geometry": lanes_binary.geometry,
    "geography": lanes_binary.geometry,
    "vector": lanes_numbers.vector,
    "halfvec": lanes_numbers.vector,
}


def is_string(schema: ConnectType, kind: str) -> bool:
    """Is it one of the columns that masks apply to? Debezium goes by JDBC's types CHAR and VARCHAR."""
    return schema.type == "string" and kind in ("text", "varchar", "char", "enum")
