"""Intervals: PostgreSQL keeps months, days and microseconds apart, and so do these, until a form asks otherwise."""

from __future__ import annotations

import re

from cdc.wire.times import LONGEST, SECOND_US, SHORTEST, fraction_text

DAYS_PER_MONTH = 365.25 / 12.0
_UNIT = re.compile(rb"([+-]?\d+) (year|mon|day)s?")
_CLOCK = re.compile(rb"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$")
_ISO = re.compile(rb"P(-?\d+)Y(-?\d+)M(-?\d+)DT(-?\d+)H(-?\d+)M(-?)(\d+)(?:\.(\d{1,6}))?S")

Parts = tuple[int, int, int]
"""Months, days, microseconds."""


def parse(text: bytes) -> Parts:
    """b'1 year 2 mons -3 days 04:05:06.7' (IntervalStyle is postgres) → its parts."""
    units = {unit: int(count) for count, unit in _UNIT.findall(text)}
    months = units.get(b"year", 0) * 12 + units.get(b"mon", 0)
    match = _CLOCK.search(text)
    us = 0
    if match is not None:
        sign, hours, minutes, seconds, fraction = match.groups(b"")
        us = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * SECOND_US + int(fraction.ljust(6, b"0"))
        us = -us if sign == b"-" else us
    return months, units.get(b"day", 0), us


def text_of(parts: Parts) -> bytes:
    """PostgreSQL's text: a sign on a part that follows a negative one."""
    months, days, us = parts
    years, mons = _towards_zero(months, 12)
    words: list[bytes] = []
    negative = False
    for count, unit in ((years, b"year"), (mons, b"mon"), (days, b"day")):
        if count:
            sign = b"+" if negative and count > 0 else b""
            words.append(b"%b%d %b%b" % (sign, count, unit, b"" if count == 1 else b"s"))
            negative = count < 0
    if us or not words:
        seconds, fraction = divmod(abs(us), SECOND_US)
        sign = b"-" if us < 0 else b"+" if negative else b""
        clock = (seconds // 3600, seconds // 60 % 60, seconds % 60)
        words.append(b"%b%02d:%02d:%02d%b" % (sign, *clock, fraction_text(fraction)))
    return b" ".join(words)


def iso(parts: Parts) -> bytes:
    """Debezium's ISO form: every part, each with its own sign."""
    months, days, us = parts
    years, mons = _towards_zero(months, 12)
    seconds, fraction = divmod(abs(us), SECOND_US)
    sign = -1 if us < 0 else 1
    hours, minutes = sign * (seconds // 3600), sign * (seconds // 60 % 60)
    minus = b"-" if us < 0 and (seconds % 60 or fraction) else b""
    last = b"%b%d%b" % (minus, seconds % 60, fraction_text(fraction))
    return b"P%dY%dM%dDT%dH%dM%bS" % (years, mons, days, hours, minutes, last)


def from_iso(text: bytes) -> Parts:
    """The inverse."""
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("not an interval")
    years, mons, days, hours, minutes = (int(part) for part in match.groups()[:5])
    sign, seconds, fraction = match.groups(b"")[5:]
    last = int(seconds) * SECOND_US + int(fraction.ljust(6, b"0"))
    us = (hours * 3600 + minutes * 60) * SECOND_US + (-last if sign else last)
    return years * 12 + mons, days, us


def micros(parts: Parts) -> int:
    """Debezium's count: months of 30.4375 days, in doubles as Java has them, and no further than a long goes."""
    months, days, us = parts
    years, mons = _towards_zero(months, 12)
    sign = -1 if us < 0 else 1
    seconds, fraction = divmod(abs(us), SECOND_US)
    hours, minutes = sign * (seconds // 3600), sign * (seconds // 60 % 60)
    last = sign * (seconds % 60) + sign * fraction / 1e6
    whole = (years * 12 + mons) * DAYS_PER_MONTH + days
    total = (((whole * 24 + hours) * 60) + minutes) * 60 + last
    return max(SHORTEST, min(LONGEST, int(total * 1e6)))


def from_micros(us: int) -> Parts:
    """What can be said of a count: no months, no days."""
    return 0, 0, us


def _towards_zero(value: int, unit: int) -> tuple[int, int]:
    quotient, rest = divmod(abs(value), unit)
    return (-quotient, -rest) if value < 0 else (quotient, rest)
