"""What a record of Debezium's says of its table: exactly by an embedded schema, by inference from its JSON, or only its names."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from cdc.schema import LogicalType
from cdc.wire.connect_schema import BOOLEAN, DOUBLE, INT64, STRING, ConnectField, ConnectType
from cdc.wire.json_text import NULL

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
LONGEST_BITS = (
    83_886_080  # that PostgreSQL declares; of a bit string without a length Debezium says 2147483647
)
JSON = ConnectType("json")
"""What is inferred of a value that has parts."""


class Said(NamedTuple):
    """A column, as far as a record says it."""

    name: str
    type: ConnectType
    optional: bool = True


def key_names(key: bytes | None) -> tuple[str, ...]:
    """The columns of a record's key."""
    if key is None:
        return ()
    given: dict[str, msgspec.Raw] = msgspec.json.decode(key, type=dict[str, msgspec.Raw])
    if given.keys() == {"schema", "payload"}:
        given = msgspec.json.decode(given["payload"], type=dict[str, msgspec.Raw])
    return tuple(given)


def embedded(schema: bytes) -> list[Said]:
    """The row's fields, from the schema of an envelope."""
    for field in msgspec.json.decode(schema)["fields"]:
        if field.get("field") in ("after", "before"):
            return [Said(each["field"], _type(each), bool(each.get("optional"))) for each in field["fields"]]
    return []


def _type(schema: dict[str, Any]) -> ConnectType:
    inner = schema.get("items") or schema.get("values")
    return ConnectType(
        schema["type"],
        schema.get("name") or "",
        schema.get("version") or 0,
        parameters=schema.get("parameters") or {},
        element=ConnectField(_type(inner), bool(inner.get("optional"))) if inner else None,
    )


def logical(kind: ConnectType) -> LogicalType:
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
        length = int(parameters["length"])
        return LogicalType("varbit", length=length if length <= LONGEST_BITS else None)
    if short in ("DoubleVector", "FloatVector"):
        return LogicalType("vector" if short == "DoubleVector" else "halfvec")
    if short in ("Date", "IsoDate"):
        return LogicalType("date")
    if short.endswith("Timestamp"):
        return LogicalType("timestamp", 3 if short == "Timestamp" else 6)
    if short.endswith("Time"):
        return LogicalType("time", 3 if short == "Time" else 6)
    if kind.type == "array" and kind.element is not None:
        return LogicalType("array", element=logical(kind.element.type))
    return LogicalType("jsonb" if kind.type == "json" else KINDS.get(kind.type, "unknown"))


def inferred(text: bytes) -> ConnectType | None:
    """What a piece of JSON says of its column's type; None: nothing."""
    first = text[:1]
    if text == NULL:
        return None
    if first in b"tf":
        return BOOLEAN
    if first in b"-0123456789":
        return DOUBLE if set(text) & set(b".eE") else INT64
    return STRING if first == b'"' else JSON
