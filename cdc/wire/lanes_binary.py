"""Lanes of bytes and of what Debezium makes of composed values: bit strings, hstore, points, geometry, unknown types."""

from __future__ import annotations

import re
import struct
from base64 import b64encode, urlsafe_b64encode
from binascii import unhexlify
from collections.abc import Callable

from cdc.format import FormatSettings
from cdc.schema import LogicalType
from cdc.wire import connect_schema
from cdc.wire.connect_schema import (
    BOOLEAN,
    BYTES,
    INT32,
    POINT,
    STRING,
    ConnectField,
    ConnectType,
    semantic,
)
from cdc.wire.json_text import FALSE, NULL, TRUE, quote
from cdc.wire.lane import Lane
from cdc.wire.numbers import java_double
from cdc.wire.pgtext import java_map_order, parse_hstore, parse_point

UNLIMITED_BITS = 2_147_483_647
SRID_FLAG = 0x20000000
_COORDINATE = re.compile(rb"[-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|NaN|Infinity)")

Encode = Callable[[bytes], bytes]


def encoding(settings: FormatSettings) -> tuple[ConnectType, Encode]:
    """Schema of `binary_handling_mode`, and how it writes bytes."""
    mode = settings.binary_handling_mode
    if mode == "hex":
        return STRING, lambda raw: raw.hex().encode()
    return (
        BYTES if mode == "bytes" else STRING
    ), urlsafe_b64encode if mode == "base64-url-safe" else b64encode


def bytea(_of: LogicalType, settings: FormatSettings) -> Lane:
    """Its text is `\\x` and hex digits. Of the placeholders, Debezium forgot those of the base64 modes."""
    schema, encode = encoding(settings)
    mode, placeholder = settings.binary_handling_mode, settings.unavailable_value_placeholder.encode()
    unsent = {"bytes": b'"%b"' % b64encode(placeholder), "hex": quote(placeholder)}.get(mode or "", NULL)
    if mode == "hex":
        return Lane(schema, lambda cell: b'"%b"' % cell[2:], unsent=unsent)
    return Lane(schema, lambda cell: b'"%b"' % encode(unhexlify(cell[2:])), unsent=unsent)


def unknown(of: LogicalType, settings: FormatSettings) -> Lane:
    """The bytes of the text. Geometric types pass through Java, which writes every coordinate as a double."""
    schema, encode = encoding(settings)
    unsent = bytea(of, settings).unsent
    if of.kind in ("box", "circle", "line", "lseg", "path", "polygon"):
        return Lane(schema, lambda cell: b'"%b"' % encode(_java_coordinates(cell)), unsent=unsent)
    return Lane(schema, lambda cell: b'"%b"' % encode(cell), unsent=unsent)


def _java_coordinates(cell: bytes) -> bytes:
    return _COORDINATE.sub(lambda match: java_double(match[0]).strip(b'"'), cell)


def bits(of: LogicalType, _settings: FormatSettings) -> Lane:
    """One bit is a boolean; more are little-endian bytes without the zero bytes at their end."""
    length = of.length or (1 if of.kind == "bit" else UNLIMITED_BITS)
    if length == 1:
        return Lane(BOOLEAN, lambda cell: TRUE if cell == b"1" else FALSE, zero=FALSE)

    def convert(cell: bytes) -> bytes:
        value = int(cell or b"0", 2)
        return b'"%b"' % b64encode(value.to_bytes((value.bit_length() + 7) // 8, "little"))

    return Lane(semantic(BYTES, "io.debezium.data.Bits", length=str(length)), convert)


def hstore(_of: LogicalType, settings: FormatSettings) -> Lane:
    """A JSON object, or its text. Debezium has the entries in the order of a Java map, ours in the server's."""
    order = list if settings.exact else java_map_order
    placeholder = settings.unavailable_value_placeholder.encode()

    def written(cell: bytes) -> bytes:
        pairs = order(parse_hstore(cell))
        return b"{%b}" % b",".join(
            b"%b:%b" % (quote(key), NULL if value is None else quote(value)) for key, value in pairs
        )

    unsent = b"{%b:%b}" % (quote(placeholder), quote(placeholder))
    if settings.hstore_handling_mode == "map":
        schema = ConnectType("map", element=ConnectField(STRING, optional=True))
        return Lane(schema, written, zero=b"{}", unsent=unsent)
    json = semantic(STRING, "io.debezium.data.Json")
    return Lane(json, lambda cell: quote(written(cell)), zero=b'"{}"', unsent=quote(unsent))


def point(_of: LogicalType, settings: FormatSettings) -> Lane:
    def convert(cell: bytes) -> bytes:
        x, y = parse_point(cell)
        wkb = b64encode(struct.pack("<BIdd", 1, 1, float(x), float(y)))
        if settings.exact:
            x, y = (quote(each) if each[-1:].isalpha() else each for each in (x, y))
        else:
            x, y = java_double(x), java_double(y)
        return b'{"x":%b,"y":%b,"wkb":"%b","srid":null}' % (x, y, wkb)

    return Lane(POINT, convert, zero=convert(b"(0,0)"))


def geometry(of: LogicalType, _settings: FormatSettings) -> Lane:
    """PostGIS's text is EWKB in hex, which says its own SRID."""
    name = of.kind.capitalize()
    schema = connect_schema.struct(
        f"io.debezium.data.geometry.{name}",
        ConnectField(BYTES, field="wkb"),
        ConnectField(INT32, optional=True, field="srid"),
        version=1,
        doc=name,
    )

    def convert(cell: bytes) -> bytes:
        raw = unhexlify(cell)
        order = "<" if raw[:1] == b"\x01" else ">"
        (kind,) = struct.unpack_from(order + "I", raw, 1)
        srid = b"%d" % struct.unpack_from(order + "i", raw, 5)[0] if kind & SRID_FLAG else NULL
        return b'{"wkb":"%b","srid":%b}' % (b64encode(raw), srid)

    return Lane(schema, convert, zero=convert(b"010700000000000000"))
