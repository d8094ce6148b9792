"""The way back: JSON text of a value to PostgreSQL's text of it, by the Connect type that it was written as.

For what our encoder wrote in its own forms it is the exact inverse. What Debezium wrote is as exact as the form is: a count of
microseconds says nothing of months, and a double has the digits of a double.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from decimal import Decimal

import msgspec

from cdc.schema import LogicalType
from cdc.wire import intervals
from cdc.wire.connect_schema import DECIMAL, ConnectType
from cdc.wire.lanes_numbers import JAVA_SPECIAL
from cdc.wire.numbers import decimal_text, money_from, postgres_double
from cdc.wire.pgtext import Element, array_text, hstore_text
from cdc.wire.times import (
    INFINITE_DAYS,
    INFINITE_IN_ARRAYS,
    INFINITE_US,
    LONGEST,
    SECOND_US,
    SHORTEST,
    date_text,
    from_iso_date,
    from_iso_timestamp,
    time_text,
    timestamp_text,
)

Back = Callable[[bytes], bytes]
"""JSON text of a value, not null → PostgreSQL's text."""

DAYS = {days: cell for each in (INFINITE_DAYS, INFINITE_IN_ARRAYS) for cell, days in each.items()}
MICROS = {us: cell for cell, us in INFINITE_US.items()}
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_raw_map = msgspec.json.Decoder(dict[str, msgspec.Raw])


def unquote(text: bytes) -> bytes:
    """A JSON string's text."""
    if b"\\" not in text:
        return text[1:-1]
    found: str = msgspec.json.decode(text)
    return found.encode()


def back_of(of: LogicalType, schema: ConnectType, binary: str | None = "bytes") -> Back:
    """The inverse of what wrote values of the type under the schema. `binary` is `binary_handling_mode`."""
    if of.kind == "array":
        return _array(of, schema, binary)
    if schema.name in _NAMED:
        return _NAMED[schema.name](of, schema)
    if of.kind == "bytea":
        return _bytea(binary)
    if of.kind == "hstore":
        return _hstore
    if schema.type == "boolean":
        yes, no = (b"1", b"0") if of.kind in ("bit", "varbit") else (b"t", b"f")
        return lambda text: yes if text == b"true" else no
    if of.kind in ("numeric", "money"):
        return _number if schema.type == "double" else money_or(of, lambda text: _special(unquote(text)))
    if schema.type in ("float", "double"):
        return _float
    if schema.type == "array" or schema.type == "json":  # a vector; what was inferred to have parts
        return lambda text: text
    return unquote if schema.type in ("string", "bytes") else lambda text: text


def money_or(of: LogicalType, plain: Back) -> Back:
    return (lambda text: money_from(plain(text))) if of.kind == "money" else plain


def _special(text: bytes) -> bytes:
    return _JAVA.get(text, text)


_JAVA = {theirs: ours for ours, theirs in JAVA_SPECIAL.items()}


def _number(text: bytes) -> bytes:
    if text[:1] == b'"':
        return text[1:-1]
    return f"{Decimal(text.decode()):f}".encode()


def _float(text: bytes) -> bytes:
    """As it stands: ours is PostgreSQL's, Java's reads as the same number."""
    return text[1:-1] if text[:1] == b'"' else text


def _decimal(of: LogicalType, schema: ConnectType) -> Back:
    scale = int(schema.parameters.get("scale", "0"))
    return money_or(of, lambda text: decimal_text(text[1:-1], scale) if text[:1] == b'"' else text)


def _variable(_of: LogicalType, _schema: ConnectType) -> Back:
    def back(text: bytes) -> bytes:
        parts = _raw_map.decode(text)
        return decimal_text(bytes(parts["value"])[1:-1], int(bytes(parts["scale"])))

    return back


def _date(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: DAYS.get(int(text)) or date_text(int(text))


def _time(per_second: int) -> Callable[[LogicalType, ConnectType], Back]:
    return lambda _of, _schema: lambda text: time_text(int(text) * SECOND_US // per_second)


def _timestamp(per_second: int) -> Callable[[LogicalType, ConnectType], Back]:
    def back(text: bytes) -> bytes:
        count = int(text)
        if per_second > SECOND_US and count in (LONGEST, SHORTEST):
            return b"infinity" if count > 0 else b"-infinity"
        us = count * SECOND_US // per_second
        return MICROS.get(us) or timestamp_text(us)

    return lambda _of, _schema: back


def _iso_date(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: text[1:-1] if text[-2:] != b'Z"' else from_iso_date(text[1:-2])


def _iso_time(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: text[1:-1].removesuffix(b"Z")


def _iso_timestamp(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: text[1:-1] if text[-2:] != b'Z"' else from_iso_timestamp(text[1:-2])


def _zoned_timestamp(_of: LogicalType, _schema: ConnectType) -> Back:
    def back(text: bytes) -> bytes:
        if text[-2:] != b'Z"':
            return text[1:-1]
        plain = text[1:-2]
        return from_iso_timestamp(plain.rstrip(b"0").rstrip(b".") if b"." in plain else plain, b"+00")

    return back


def _zoned_time(_of: LogicalType, _schema: ConnectType) -> Back:
    def back(text: bytes) -> bytes:
        plain = text[1:-1]
        if plain[-1:] == b"Z":
            return plain[:-1] + b"+00"
        return plain[:-3] if re.search(rb"[+-]\d\d:00$", plain) else plain

    return back


def _interval(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: intervals.text_of(intervals.from_iso(text[1:-1])) if text[1:2] == b"P" else text[1:-1]


def _duration(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: intervals.text_of(intervals.from_micros(int(text)))


def _bits(of: LogicalType, _schema: ConnectType) -> Back:
    def back(text: bytes) -> bytes:
        value = int.from_bytes(b64decode(text[1:-1]), "little")
        digits = f"{value:b}" if value else ""
        return digits.rjust(of.length or 0, "0").encode() if of.kind == "bit" else digits.encode()

    return back


def _text(of: LogicalType, _schema: ConnectType) -> Back:
    return (lambda text: _hstore(unquote(text))) if of.kind == "hstore" else unquote


def _hstore(text: bytes) -> bytes:
    pairs: dict[str, str | None] = msgspec.json.decode(text)
    return hstore_text(
        (key.encode(), None if value is None else value.encode()) for key, value in pairs.items()
    )


def _point(_of: LogicalType, _schema: ConnectType) -> Back:
    def back(text: bytes) -> bytes:
        parts = _raw_map.decode(text)
        x, y = (_float(bytes(parts[name])) for name in ("x", "y"))
        return b"(%b,%b)" % (postgres_double(x), postgres_double(y))

    return back


def _geometry(_of: LogicalType, _schema: ConnectType) -> Back:
    return lambda text: b64decode(bytes(_raw_map.decode(text)["wkb"])[1:-1]).hex().upper().encode()


def _bytea(binary: str | None) -> Back:
    if binary == "hex":
        return lambda text: b"\\x" + text[1:-1]
    decode = urlsafe_b64decode if binary == "base64-url-safe" else b64decode
    return lambda text: b"\\x" + decode(text[1:-1]).hex().encode()


def _array(of: LogicalType, schema: ConnectType, binary: str | None) -> Back:
    if schema.type != "array" or schema.element is None:
        return unquote
    element = back_of(of.element or LogicalType("unknown"), schema.element.type, binary)

    def part(raw: msgspec.Raw) -> Element:
        text = bytes(raw)
        if text == b"null":
            return None
        return [part(each) for each in _raw_list.decode(text)] if text[:1] == b"[" else element(text)

    return lambda text: unquote(text) if text[:1] == b'"' else array_text(map(part, _raw_list.decode(text)))


_NAMED: dict[str, Callable[[LogicalType, ConnectType], Back]] = {
    DECIMAL: _decimal,
    "io.debezium.data.VariableScaleDecimal": _variable,
    **{f"{base}.Date": _date for base in ("io.debezium.time", "org.apache.kafka.connect.data")},
    **{f"{base}.Time": _time(1000) for base in ("io.debezium.time", "org.apache.kafka.connect.data")},
    **{
        f"{base}.Timestamp": _timestamp(1000)
        for base in ("io.debezium.time", "org.apache.kafka.connect.data")
    },
    "io.debezium.time.MicroTime": _time(1_000_000),
    "io.debezium.time.NanoTime": _time(1_000_000_000),
    "io.debezium.time.MicroTimestamp": _timestamp(1_000_000),
    "io.debezium.time.NanoTimestamp": _timestamp(1_000_000_000),
    "io.debezium.time.IsoDate": _iso_date,
    "io.debezium.time.IsoTime": _iso_time,
    "io.debezium.time.IsoTimestamp": _iso_timestamp,
    "io.debezium.time.ZonedTimestamp": _zoned_timestamp,
    "io.debezium.time.ZonedTime": _zoned_time,
    "io.debezium.time.Interval": _interval,
    "io.debezium.time.MicroDuration": _duration,
    "io.debezium.data.Bits": _bits,
    "io.debezium.data.Json": _text,
    "io.debezium.data.geometry.Point": _point,
    "io.debezium.data.geometry.Geometry": _geometry,
    "io.debezium.data.geometry.Geography": _geometry,
}
