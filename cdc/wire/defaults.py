"""Column defaults in a schema: Debezium's reading of PostgreSQL's default expressions.

It evaluates nothing. A call is replaced by a value of the type; otherwise what stands between the first two quotes is the
default (so `'it''s'` becomes `it`, and of an expression that begins with a constant only the constant is seen); without
quotes the whole expression must be a literal. Types that are not in the table have no default.
"""

from __future__ import annotations

import re

from cdc.format import FormatSettings
from cdc.schema import Column
from cdc.wire.json_text import FALSE, TRUE, quote_str
from cdc.wire.lane import Lane
from cdc.wire.lanes import FIRST_OWN_OID, NAME_OID
from cdc.wire.numbers import java_double, rescaled, unscaled
from cdc.wire.times import INFINITE_US, LONGEST, SHORTEST

_CALL = re.compile(r"[(]?[A-Za-z0-9_.]+\((?:.+(?:, ?.+)*)?\)")
_QUOTED = re.compile(r"'(.*?)'")  # not over the end of a line
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_CURRENT = {"current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"}
_EXTREMES: dict[str, tuple[bytes, bytes]] = {
    "Date": (b"-170999002", b"169560311"),
    "MicroTimestamp": (b"%d" % SHORTEST, b"%d" % (LONGEST + 999_999 - (1 << 64))),
    "IsoDate": (b'"-999999999-01-01Z"', b'"+999999999-12-31Z"'),
    "IsoTimestamp": (b'"-999999999-01-01T00:00:00Z"', b'"+999999999-12-31T23:59:59.999999999Z"'),
}
TEXTS = {"char", "varchar", "text", "json", "jsonb", "xml"}
_CONTROL = re.compile(r"[\x00-\x1f\"\\]")  # in no value but texts
_LIMITS = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 63}

# What stands for a call, by kind; a kind that is not here has no default in a schema.
FOR_CALLS = {
    **dict.fromkeys(("int2", "int4", "int8"), "0"),
    **dict.fromkeys(("numeric", "float4", "float8"), "0.0"),
    **dict.fromkeys(("char", "varchar", "text", "xml"), ""),
    **dict.fromkeys(("json", "jsonb"), "{}"),
    "bit": "00",
    "varbit": "0",
    "bool": "false",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date": "1970-01-01",
    "time": "00:00:00",
    "timestamp": "1970-01-01 00:00:00",
    "timestamptz": "1970-01-01 00:00:00+00",
    "interval": "00:00:00",
}


def default_of(column: Column, lane: Lane, settings: FormatSettings) -> bytes | None:
    """The default as JSON text, as it stands in a schema and in place of nulls; None: none that Debezium sees."""
    expression, kind = column.default, column.type.kind
    if expression is None:
        return None
    if kind == "enum":
        return _enum(expression)
    if column.type_oid >= FIRST_OWN_OID or column.type_oid in (18, NAME_OID) or kind not in FOR_CALLS:
        return None  # also domains: their names are not in Debezium's table
    if kind not in TEXTS:
        expression = expression.strip()
    literal = _literal(expression, FOR_CALLS[kind])
    if literal is None or (kind not in TEXTS and _CONTROL.search(literal)):
        return None
    try:
        return _written(literal, column, lane, settings)
    except (ValueError, OverflowError):
        return None


def _literal(expression: str, for_call: str) -> str | None:
    if _CALL.match(expression) or expression.lower() in _CURRENT:
        return for_call
    if "'" not in expression:
        return None if expression.startswith("NULL::") else expression
    match = _QUOTED.search(expression)
    return match[1] if match else None


def _written(literal: str, column: Column, lane: Lane, settings: FormatSettings) -> bytes | None:
    kind, cell = column.type.kind, literal.encode()
    if kind in _LIMITS:
        if not re.fullmatch(r"[+-]?\d+", literal) or not -_LIMITS[kind] <= int(literal) < _LIMITS[kind]:
            return None
        return b"%d" % int(literal)
    if kind == "bool":
        return TRUE if literal.lower() == "true" else FALSE
    if kind in ("float4", "float8"):
        return _float(literal, single=kind == "float4")
    if kind == "numeric":
        return _numeric(literal, column, lane, settings)
    if kind in ("bit", "varbit"):
        return None if literal.strip("01") else lane.convert(cell)
    if cell in INFINITE_US:
        return _infinite(cell, lane)
    return lane.convert(_as_the_server_prints(cell, kind))


def _infinite(cell: bytes, lane: Lane) -> bytes | None:
    """Here infinity is the last moment that Java knows, cut to the type's bits; where that fails, there is no default."""
    first, last = _EXTREMES.get(lane.schema.name.rpartition(".")[2], (None, None))
    return last if cell == b"infinity" else first


def _as_the_server_prints(cell: bytes, kind: str) -> bytes:
    """A default is printed in the form of its type, but for what a call is replaced by and for short forms."""
    if kind in ("timestamp", "timestamptz") and b" " not in cell and not cell.endswith(b"infinity"):
        cell += b" 00:00:00"
    if kind == "timestamptz" and cell[-3:-2] not in (b"+", b"-") and not cell.endswith(b"infinity"):
        cell += b"+00"
    return cell


def _float(literal: str, *, single: bool) -> bytes | None:
    if literal in ("NaN", "Infinity", "-Infinity"):
        return quote_str(literal)
    return java_double(literal.encode(), single=single) if _NUMBER.fullmatch(literal) else None


def _numeric(literal: str, column: Column, lane: Lane, settings: FormatSettings) -> bytes | None:
    """In the column's scale. A struct cannot be a default, so a numeric without scale has none under `precise`."""
    scale = column.type.scale
    if not re.fullmatch(r"[+-]?\d+(?:\.\d+)?", literal):
        return None
    value, has = unscaled(literal.encode())
    if scale is None:
        precise = settings.decimal_handling_mode == "precise"
        return None if precise else lane.convert(_plain(value, has))
    wanted = rescaled(value, has, scale)
    return None if wanted is None else lane.convert(_plain(wanted, scale))


def _plain(value: int, scale: int) -> bytes:
    if scale <= 0:
        return b"%d" % (value * 10**-scale)
    digits = b"%0*d" % (scale + 1, abs(value))
    return b"%b%b.%b" % (b"-" if value < 0 else b"", digits[:-scale], digits[-scale:])


def _enum(expression: str) -> bytes | None:
    """`'dark'::shade` → dark; anything else that an enum's default may be is not seen."""
    value, cast, _ = expression.rpartition("::")
    if not cast or len(value) < 2 or value[0] != "'" or value[-1] != "'":
        return None
    return quote_str(value[1:-1])
