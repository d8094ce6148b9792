"""PostgreSQL's text of a value → what a driver is given, and back: one pair of functions per way to keep a type. Pure.

A `load_…` raises `Unkeepable` for a value that the column could hold only altered; a `text_…` gives the text in the column's form
(see `cdc.digest`).
"""

from __future__ import annotations

import datetime
import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Load = Callable[[bytes], Any]
Text = Callable[[Any], str]

DATE = re.compile(rb"\d{4}-\d\d-\d\d")
TIME = re.compile(rb"\d\d:\d\d:\d\d(?:\.\d{1,6})?")
TIMESTAMP = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?")
DIGITS = re.compile(rb"-?(\d+)(?:\.(\d*))?")
DAY = 86_400


class Unkeepable(ValueError):
    """Says of which kind the value is, never the value."""


def load_text(cell: bytes) -> str:
    return cell.decode()


def load_bool(cell: bytes) -> bool:
    return cell == b"t"


def load_bytes(cell: bytes) -> bytes:
    return bytes.fromhex(cell[2:].decode())


def load_float(cell: bytes) -> float:
    """With one zero, as MariaDB has but one: -0 would not be found again."""
    value = float(cell)
    if not math.isfinite(value):
        raise Unkeepable("NaN" if math.isnan(value) else "an infinity")
    return value + 0.0


def load_float_loosely(cell: bytes) -> float | str | bytes:
    """For SQLite, whose columns take any type: what its REAL would alter goes as a text, or (-0, which it would make a
    number of) as bytes."""
    value = float(cell)
    if math.isfinite(value):
        return b"-0" if value == 0 and math.copysign(1, value) < 0 else value
    return cell.decode()


def load_date(cell: bytes) -> str:
    if not DATE.fullmatch(cell):
        raise _odd_time(cell)
    return cell.decode()


def load_time(cell: bytes) -> str:
    if not TIME.fullmatch(cell):
        raise _odd_time(cell)
    return cell.decode()


def load_timestamp(cell: bytes) -> str:
    if not TIMESTAMP.fullmatch(cell):
        raise _odd_time(cell)
    return cell.decode()


def load_timestamptz(cell: bytes) -> str:
    if not cell.endswith(b"+00"):  # the stream's session is in UTC
        raise _odd_time(cell)
    return load_timestamp(cell[:-3])


def _odd_time(cell: bytes) -> Unkeepable:
    if b"infinity" in cell:
        return Unkeepable("an infinity")
    return Unkeepable("a time before Christ" if b"BC" in cell else "a time after the year 9999")


def load_decimal(digits: int, decimals: int) -> Load:
    """Into DECIMAL(digits,decimals), which must not round."""

    def load(cell: bytes) -> Decimal:
        found = DIGITS.fullmatch(cell)
        if found is None:
            raise Unkeepable("NaN" if cell == b"NaN" else "an infinity")
        whole, after = found[1].lstrip(b"0"), found[2] or b""
        if len(after) > decimals or len(whole) > digits - decimals:
            raise Unkeepable(f"a number of {len(whole)} digits and {len(after)} decimals")
        return Decimal(cell.decode())

    return load


def load_length(limit: int) -> Load:
    """Into a text column of so many characters, which the target brought along."""

    def load(cell: bytes) -> str:
        text = cell.decode()
        if len(text) > limit:
            raise Unkeepable(f"a text of {len(text)} characters")
        return text

    return load


def text_as_it_is(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def text_bool(value: Any) -> str:
    return "t" if value else "f"


def text_bytes(value: Any) -> str:
    return "\\x" + bytes(value).hex()


def text_float(value: Any) -> str:
    if isinstance(value, bytes):
        value = float(value)
    return value if isinstance(value, str) else "%.16e" % value  # noqa: UP031 – as `cdc.digest` says it


def text_float4(value: Any) -> str:
    """The double nearest to the real: its text has the real's few digits, which the double has too many of."""
    if isinstance(value, str):
        return value
    return text_float(struct.unpack("f", struct.pack("f", float(value)))[0])


def text_decimal(value: Any) -> str:
    return format(value, "f")


def text_number(value: Any) -> str:
    """Without the zeros at the end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def text_date(value: Any) -> str:
    return value if isinstance(value, str) else value.isoformat()


def text_timestamp(value: Any) -> str:
    text = value if isinstance(value, str) else value.isoformat(" ")
    return text.rstrip("0").rstrip(".") if "." in text else text


def text_timestamptz(value: Any) -> str:
    return text_timestamp(value) + "+00"


def text_time(value: Any) -> str:
    """Of a driver that gives durations: 24:00:00 is a time of PostgreSQL's, and none of Python's."""
    if isinstance(value, datetime.timedelta):
        seconds = value.days * DAY + value.seconds
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{value.microseconds:06d}"
    else:
        clock = value if isinstance(value, str) else value.isoformat()
    return clock.rstrip("0").rstrip(".") if "." in clock else clock
