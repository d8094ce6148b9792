"""Lanes of arrays: JSON arrays of their elements' forms.

Connect knows arrays of one dimension that begin at one. Debezium drops bounds, and makes nulls of the elements of further
dimensions; without an embedded schema ours nests them, and where a record has a schema, such an array is refused.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

from cdc.errors import ValueRefused
from cdc.format import FormatSettings
from cdc.schema import Column, LogicalType
from cdc.wire import lanes_binary
from cdc.wire.connect_schema import STRING, array
from cdc.wire.json_text import NULL, quote, quote_str
from cdc.wire.lane import Convert, Lane, text
from cdc.wire.pgtext import Element, is_plain, parse_array
from cdc.wire.times import DAY_US, INFINITE_IN_ARRAYS, time_text, time_us

OWN_KINDS = {
    "enum",
    "citext",
    "hstore",
    "ltree",
    "geometry",
    "geography",
    "vector",
    "halfvec",
}  # arrays with OIDs of their own

ElementLane = Callable[[LogicalType], Lane | None]

NO_FORM = {"money", "interval", "varbit", "xml", "point"}
NO_FORM_OIDS = {1003, 2201}  # name[] and refcursor[]
TEXT_OIDS, OID_OIDS = {1002, 1009}, {1028}  # "char"[] and text[]; oid[]
STRICT = {
    "enum",
    "tsvector",
}  # whose elements' schema is not optional: with a NULL among them, the whole is null
INFINITE = {
    cell: (b"%d" % days, b'"%b"' % shown)
    for (cell, days), shown in zip(
        INFINITE_IN_ARRAYS.items(), (b"+292278994-08-16Z", b"+292269055-12-02Z"), strict=True
    )
}
"""Dates: as a number of days, and as text."""
WITH_TEXT, WITH_CODES = {"text", "varchar", "char", "json", "jsonb"}, {"int4", "int8", "date"}


def debezium(column: Column, settings: FormatSettings, lane_of: ElementLane) -> Lane | None:
    """Debezium's lane; None where it has none."""
    of = column.type.element or LogicalType("unknown")
    kind, oid = of.kind, column.type_oid
    if kind in NO_FORM or oid in NO_FORM_OIDS:
        return None
    if kind == "bit":  # the schema of a bit string, which no array fits
        lane = lane_of(of)
        return lane and Lane(lane.schema, lambda _: NULL, zero=lane.zero)
    builtin = 0 < oid < 16384
    known = {"text": not builtin or oid in TEXT_OIDS, "oid": not builtin or oid in OID_OIDS}.get(kind, True)
    of_domain = not builtin and oid and column.type_name.endswith("[]") and kind not in OWN_KINDS
    element, strict = (lane_of(of) if known and not of_domain else None), kind in STRICT
    if is_isbn(column):
        element, strict = text(unsent=NULL), True
    if element is None:
        if not settings.include_unknown_datatypes:
            return None
        element, strict = lanes_binary.unknown(of, settings), True
    convert = _in_java(kind, element.convert, iso=settings.time_precision_mode == "isostring")
    return Lane(
        array(element.schema, optional=not strict),
        _convert(of, convert, strict=strict, nested=not settings.schemas_enable, decimal=kind == "numeric"),
        zero=b"[]",
        unsent=_placeholder(of, settings),
    )


def is_isbn(column: Column) -> bool:
    """The one type of the extension isn that Debezium knows."""
    return column.type_name.removesuffix("[]").rpartition(".")[2] == "isbn"


def _convert(
    of: LogicalType, convert: Convert, *, strict: bool, nested: bool, decimal: bool = False
) -> Convert:
    """`strict`: a NULL among them makes the whole null; `decimal`: so does what Java's BigDecimal has no form for."""
    delimiter = b";" if of.kind == "box" else b","

    def write(element: Element) -> bytes:
        if element is None:
            return NULL
        if isinstance(element, list):
            return b"[%b]" % b",".join(map(write, element)) if nested else NULL
        return convert(element)

    def whole(cell: bytes) -> bytes:
        elements = parse_array(cell, delimiter)
        if (strict and None in elements) or (decimal and (b"NaN" in cell or b"Infinity" in cell)):
            return NULL
        return b"[%b]" % b",".join(map(write, elements))

    return whole


def _in_java(kind: str, convert: Convert, *, iso: bool) -> Convert:
    """In an array times of day pass through java.sql.Time (milliseconds, those with a zone seconds, and no 24:00), and
    infinite dates through java.sql.Date."""
    if kind == "date":
        return lambda element: INFINITE[element][iso] if element in INFINITE else convert(element)
    if kind == "time":
        return lambda element: convert(time_text(time_us(element) % DAY_US // 1000 * 1000))
    if kind == "timetz":

        def zoned(element: bytes) -> bytes:
            at = max(element.find(b"+"), element.find(b"-"))
            return convert(element[:at].partition(b".")[0] + element[at:])

        return zoned
    return convert


def _placeholder(of: LogicalType, settings: FormatSettings) -> bytes:
    """Debezium's placeholders by the type of the elements; most have none."""
    name = settings.unavailable_value_placeholder
    if of.kind in WITH_TEXT:
        return b"[%b]" % quote_str(name)
    if of.kind in WITH_CODES:
        if of.kind == "date" and settings.time_precision_mode in ("connect", "isostring"):
            return NULL
        return b"[%b]" % b",".join(b"%d" % (code if code < 128 else code - 256) for code in name.encode())
    if of.kind == "bytea" and settings.binary_handling_mode == "bytes":
        return b'["%b"]' % b64encode(name.encode())
    if of.kind == "uuid":
        return b'["%b"]' % name_uuid(name.encode())
    return NULL


def name_uuid(name: bytes) -> bytes:
    """java.util.UUID.nameUUIDFromBytes: version 3 without a namespace."""
    raw = bytearray(hashlib.md5(name, usedforsecurity=False).digest())
    raw[6] = raw[6] & 0x0F | 0x30
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts).encode()


def exact(column: Column, settings: FormatSettings, lane_of: ElementLane) -> Lane:
    """Ours: bounds of its own are a string of the array's text, as no JSON array says them."""
    of = column.type.element or LogicalType("unknown")
    element = lane_of(of) or Lane(STRING, quote)
    if of.kind == "box":  # has a delimiter of its own, and only it: kept as text
        return Lane(STRING, quote, "text")
    plain = _convert(of, element.convert, strict=False, nested=True)

    def convert(cell: bytes) -> bytes:
        if settings.schemas_enable and not is_plain(parse_array(cell), cell):
            raise ValueRefused(
                "an array of several dimensions, or one that does not begin at 1",
                rule="schemas_enable",
                why="a Connect schema has no form for it",
                hint="[format] schemas_enable = false has; or leave the column out",
            )
        return plain(cell) if cell[:1] == b"{" else quote(cell)

    return Lane(array(element.schema), convert, zero=b"[]", unsent=_placeholder(of, settings))
