"""Lanes of numbers. Integers are JSON numbers; a numeric's form is `decimal_handling_mode`'s."""

from __future__ import annotations

from cdc.format import FormatSettings
from cdc.schema import LogicalType
from cdc.wire.connect_schema import (
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    STRING,
    VARIABLE_DECIMAL,
    ConnectField,
    ConnectType,
    decimal,
)
from cdc.wire.json_text import quote, quote_str
from cdc.wire.lane import Convert, Lane, as_is, no_form
from cdc.wire.numbers import (
    SPECIAL,
    decimal_as_double,
    decimal_text,
    java_double,
    money_text,
    rescaled,
    rounded,
    stripped,
    unscaled,
    unscaled_base64,
)

INTEGERS = {"int2": INT16, "int4": INT32, "int8": INT64, "oid": INT64}
JAVA_SPECIAL = {b"NaN": b"NAN", b"Infinity": b"POSITIVE_INFINITY", b"-Infinity": b"NEGATIVE_INFINITY"}
MONEY_SCALE = 2
NOT_FINITE = "a numeric is NaN or infinite"


def integer(of: LogicalType, _settings: FormatSettings) -> Lane:
    return Lane(INTEGERS[of.kind], as_is, "raw", b"0")


def floating(of: LogicalType, settings: FormatSettings) -> Lane:
    """PostgreSQL's own digits are JSON already; Debezium's are Java's."""
    schema, single = (FLOAT, True) if of.kind == "float4" else (DOUBLE, False)
    if settings.exact:
        return Lane(schema, lambda cell: quote(cell) if cell in SPECIAL else cell, zero=b"0.0")
    return Lane(schema, lambda cell: java_double(cell, single=single), zero=b"0.0")


def numeric(of: LogicalType, settings: FormatSettings) -> Lane:
    placeholder = quote_str(settings.unavailable_value_placeholder)
    scale = of.scale
    if settings.decimal_handling_mode == "double":
        return Lane(DOUBLE, decimal_as_double, zero=b"0.0")
    if settings.decimal_handling_mode == "string":
        zero = b'"0.%b"' % (b"0" * scale) if scale and scale > 0 else b'"0"'
        if settings.exact:
            return Lane(STRING, lambda cell: b'"%b"' % cell, "text", zero, placeholder)
        return Lane(
            STRING, lambda cell: b'"%b"' % JAVA_SPECIAL.get(cell, cell), zero=zero, unsent=placeholder
        )
    if scale is None:
        return Lane(VARIABLE_DECIMAL, _variable(settings), zero=b'{"scale":0,"value":"AA=="}')
    return _decimal_lane(scale, of.precision, _fixed(scale, settings), settings)


def _decimal_lane(scale: int, precision: int | None, convert: Convert, settings: FormatSettings) -> Lane:
    """Connect's Decimal as its JsonConverter has it: the base64 of the unscaled value, or a number."""
    zero = _number(0, scale) if settings.decimal_format == "numeric" else b'"AA=="'
    return Lane(decimal(scale, precision), convert, zero=zero)


def _number(value: int, scale: int) -> bytes:
    """Unscaled value → a JSON number."""
    return decimal_text(unscaled_base64(value), scale)


def _variable(settings: FormatSettings) -> Convert:
    """Debezium strips the zeros that end the fraction."""

    def convert(cell: bytes) -> bytes:
        if cell in SPECIAL:
            return no_form(NOT_FINITE, "decimal_handling_mode", settings)
        value, scale = unscaled(cell)
        if not settings.exact:
            value, scale = stripped(value, scale)
        return b'{"scale":%d,"value":"%b"}' % (scale, unscaled_base64(value))

    return convert


def _fixed(scale: int, settings: FormatSettings) -> Convert:
    numeric = settings.decimal_format == "numeric"

    def convert(cell: bytes) -> bytes:
        if cell in SPECIAL:
            return no_form(NOT_FINITE, "decimal_handling_mode", settings)
        value, has = unscaled(cell)
        wanted = value if has == scale else rescaled(value, has, scale)
        if wanted is None:
            raise ValueError("more digits than the column has")
        return _number(wanted, scale) if numeric else b'"%b"' % unscaled_base64(wanted)

    return convert


def money(_of: LogicalType, settings: FormatSettings) -> Lane:
    mode, scale = settings.decimal_handling_mode, settings.money_fraction_digits
    if mode == "double":
        return Lane(DOUBLE, lambda cell: decimal_as_double(money_text(cell)), zero=b"0.0")
    if mode == "string":
        return Lane(STRING, lambda cell: b'"%b"' % money_text(cell), zero=b'"%b"' % _number(0, scale))
    fixed = _fixed(scale, settings)

    def convert(cell: bytes) -> bytes:
        return fixed(rounded(money_text(cell), scale) if scale < MONEY_SCALE else money_text(cell))

    return _decimal_lane(scale, None, convert, settings)


def vector(of: LogicalType, _settings: FormatSettings) -> Lane:
    """pgvector's `[1,2.5]` as an array of numbers."""
    single = of.kind == "halfvec"
    name = "io.debezium.data.FloatVector" if single else "io.debezium.data.DoubleVector"
    schema = ConnectType("array", name, 1, element=ConnectField(FLOAT if single else DOUBLE))

    def convert(cell: bytes) -> bytes:
        return b"[%b]" % b",".join(java_double(each, single=single) for each in cell.strip(b"[]").split(b","))

    return Lane(schema, convert, zero=b"[]")
