"""Kafka Connect's schemas as values, and their JSON as JsonConverter writes it: order of fields and all.

`ConnectType` is what a value is; whether it may be null, its default and the field it stands in are added where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cdc.wire.json_text import FALSE, TRUE, quote_str


class ConnectType(msgspec.Struct, frozen=True):
    """A type of Connect's: `type` is one of its primitives, array, map or struct; `name` the meaning on top of it.

    `element` is that of an array, and of a map's values (its keys are strings); `fields` are a struct's.
    """

    type: str
    name: str = ""
    version: int = 0
    doc: str = ""
    parameters: Mapping[str, str] = {}
    fields: Sequence[ConnectField] = ()
    element: ConnectField | None = None


class ConnectField(msgspec.Struct, frozen=True):
    """A type in its place. `default` is JSON text; without a `field` name it is an element, or a schema of its own."""

    type: ConnectType
    optional: bool = False
    field: str = ""
    default: bytes | None = None


def schema_json(schema: ConnectField) -> bytes:
    """The JSON of a schema."""
    kind = schema.type
    parts = [b'"type":%b' % quote_str(kind.type)]
    if kind.type == "struct":
        parts.append(b'"fields":[%b]' % b",".join(map(schema_json, kind.fields)))
    elif kind.type == "array" and kind.element is not None:
        parts.append(b'"items":%b' % schema_json(kind.element))
    elif kind.type == "map" and kind.element is not None:
        keys = schema_json(ConnectField(STRING))
        parts += [b'"keys":%b' % keys, b'"values":%b' % schema_json(kind.element)]
    parts.append(b'"optional":%b' % (TRUE if schema.optional else FALSE))
    if kind.name:
        parts.append(b'"name":%b' % quote_str(kind.name))
    if kind.version:
        parts.append(b'"version":%d' % kind.version)
    if kind.doc:
        parts.append(b'"doc":%b' % quote_str(kind.doc))
    if kind.parameters:
        pairs = [b"%b:%b" % (quote_str(key), quote_str(value)) for key, value in kind.parameters.items()]
        parts.append(b'"parameters":{%b}' % b",".join(pairs))
    if schema.default is not None:
        parts.append(b'"default":%b' % schema.default)
    if schema.field:
        parts.append(b'"field":%b' % quote_str(schema.field))
    return b"{%b}" % b",".join(parts)


def wrapped(schema: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind a payload that carries its schema."""
    return b'{"schema":%b,"payload":' % schema, b"}"


def struct(name: str, *fields: ConnectField, version: int = 0, doc: str = "") -> ConnectType:
    return ConnectType("struct", name, version, doc, fields=fields)


def array(element: ConnectType, *, optional: bool = True) -> ConnectType:
    return ConnectType("array", element=ConnectField(element, optional))


BOOLEAN, STRING, BYTES = ConnectType("boolean"), ConnectType("string"), ConnectType("bytes")
INT16, INT32, INT64 = ConnectType("int16"), ConnectType("int32"), ConnectType("int64")
FLOAT, DOUBLE = ConnectType("float"), ConnectType("double")


def semantic(base: ConnectType, name: str, **parameters: str) -> ConnectType:
    """A primitive with a meaning, such as int32 `io.debezium.time.Date`."""
    return ConnectType(base.type, name, 1, parameters=parameters)


def decimal(scale: int, precision: int | None) -> ConnectType:
    extra = {} if precision is None else {"connect.decimal.precision": str(precision)}
    return ConnectType("bytes", DECIMAL, 1, parameters={"scale": str(scale), **extra})


DECIMAL = "org.apache.kafka.connect.data.Decimal"
VARIABLE_DECIMAL = struct(
    "io.debezium.data.VariableScaleDecimal",
    ConnectField(INT32, field="scale"),
    ConnectField(BYTES, field="value"),
    version=1,
    doc="Variable scaled decimal",
)
POINT = struct(
    "io.debezium.data.geometry.Point",
    ConnectField(DOUBLE, field="x"),
    ConnectField(DOUBLE, field="y"),
    ConnectField(BYTES, optional=True, field="wkb"),
    ConnectField(INT32, optional=True, field="srid"),
    version=1,
    doc="Geometry (POINT)",
)
