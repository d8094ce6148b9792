"""Type modifiers out of type names: `numeric(10,2)` → the int that pg_attribute.atttypmod holds.

wal2json prints types with `format_type` and without their modifier's number. This is the inverse of the built-in
types' `typmodout` functions, also inside arrays. What is not known here (an extension's `geometry(Point,4326)`)
gives -1: no modifier.
"""

from __future__ import annotations

import re

_NAME = re.compile(r'"?([a-z ]+?)"?(?:\((-?\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?(?:\[\])?')
_HEADER = 4  # VARHDRSZ, which some modifiers include
_FULL_RANGE, _FULL_PRECISION = 0x7FFF, 0xFFFF

# Bits of the fields that an interval may be restricted to (INTERVAL_MASK in utils/timestamp.h).
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND = 1 << 2, 1 << 1, 1 << 3, 1 << 10, 1 << 11, 1 << 12
_FIELDS = {
    "": _FULL_RANGE,
    "year": _YEAR,
    "month": _MONTH,
    "day": _DAY,
    "hour": _HOUR,
    "minute": _MINUTE,
    "second": _SECOND,
    "year to month": _YEAR | _MONTH,
    "day to hour": _DAY | _HOUR,
    "day to minute": _DAY | _HOUR | _MINUTE,
    "day to second": _DAY | _HOUR | _MINUTE | _SECOND,
    "hour to minute": _HOUR | _MINUTE,
    "hour to second": _HOUR | _MINUTE | _SECOND,
    "minute to second": _MINUTE | _SECOND,
}


def parse_typmod(type_name: str) -> int:
    """The modifier in a type's name; -1 if there is none."""
    match = _NAME.fullmatch(type_name)
    if match is None:
        return -1
    name, first, second = match[1], match[2], match[3]
    base, _, fields = name.partition(" ")
    if base == "interval" and fields in _FIELDS:
        precision = _FULL_PRECISION if first is None else int(first)
        if not fields and first is None:
            return -1
        return _FIELDS[fields] << 16 | precision
    if first is None:
        return -1
    if name == "numeric":
        return (int(first) << 16 | int(second or 0) & 0x7FF) + _HEADER
    if name in ("character", "character varying"):
        return int(first) + _HEADER
    return int(first) if second is None else -1
