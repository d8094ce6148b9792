"""Dates and times: PostgreSQL's ISO text to counts since the epoch and to Debezium's ISO forms, and back.

Years run from 4713 before Christ to 294276 (dates: 5874897), beyond what `datetime` holds, so days are counted by
the civil calendar's own arithmetic. Infinite values are what Debezium makes of them: numbers that overflowed once.
"""

from __future__ import annotations

import re
from datetime import date

DAY_US = 86_400_000_000
SECOND_US = 1_000_000
INFINITY, MINUS_INFINITY = b"infinity", b"-infinity"
INFINITE_DAYS = {INFINITY: -2_147_472_692, MINUS_INFINITY: -2_147_472_691}
INFINITE_IN_ARRAYS = {INFINITY: -622_191_234, MINUS_INFINITY: -625_821_272}  # and in snapshots of Debezium's
INFINITE_US = {INFINITY: 9_223_372_036_825_200_000, MINUS_INFINITY: -9_223_372_036_832_400_000}
LONGEST, SHORTEST = (1 << 63) - 1, -(1 << 63)

_EPOCH = date(1970, 1, 1).toordinal()
_DATE = re.compile(rb"(\d{4,})-(\d\d)-(\d\d)")
_TIME = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")


def days_of(text: bytes) -> int:
    """b'2024-02-29' or b'0044-03-15 BC' → days since 1970-01-01."""
    match = _DATE.match(text)
    if match is None:
        raise ValueError("not a date")
    year = int(match[1])
    if text.endswith(b"BC"):
        year = 1 - year
    return _days(year, int(match[2]), int(match[3]))


def _days(year: int, month: int, day: int) -> int:
    """The Gregorian calendar repeats every 400 years: move the year to where `date` can count."""
    cycles = (year - 2000) // 400
    return date(year - cycles * 400, month, day).toordinal() - _EPOCH + cycles * 146_097


def civil(days: int) -> tuple[int, int, int]:
    """The inverse: year (0 is 1 BC), month, day."""
    cycles, rest = divmod(days - 10_957, 146_097)  # since 2000-01-01
    day = date.fromordinal(rest + 10_957 + _EPOCH)
    return day.year + cycles * 400, day.month, day.day


def date_text(days: int) -> bytes:
    """PostgreSQL's text of a day, with BC where it belongs."""
    year, month, day = civil(days)
    era = b"" if year > 0 else b" BC"
    return b"%04d-%02d-%02d%b" % (year if year > 0 else 1 - year, month, day, era)


def time_us(text: bytes) -> int:
    """b'12:34:56.7' → microseconds since midnight; 24:00:00 is a whole day."""
    match = _TIME.match(text)
    if match is None:
        raise ValueError("not a time")
    hours, minutes, seconds, fraction = match.groups(b"")
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * SECOND_US + int(fraction.ljust(6, b"0"))


def time_text(us: int) -> bytes:
    """PostgreSQL's text of a time of day: the fraction without zeros at its end."""
    seconds, fraction = divmod(us, SECOND_US)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return b"%02d:%02d:%02d%b" % (hours, minute, second, fraction_text(fraction))


def fraction_text(us: int) -> bytes:
    return b".%b" % (b"%06d" % us).rstrip(b"0") if us else b""


def timestamp_us(text: bytes) -> int:
    """b'2024-02-29 12:34:56.7' (a zone +00 or BC may follow) → microseconds since the epoch, of any size."""
    day, _, rest = text.partition(b" ")
    if text.endswith(b"BC"):
        day += b" BC"
    return days_of(day) * DAY_US + time_us(rest)


def timestamp_text(us: int, zone: bytes = b"") -> bytes:
    """The inverse."""
    days, rest = divmod(us, DAY_US)
    day, space, era = date_text(days).partition(b" ")
    return b"%b %b%b%b%b" % (day, time_text(rest), zone, space, era)


def wrapped_units(us: int, per_second: int) -> int:
    """Java's way from an instant to a long: the seconds stop at the largest long, and what is added then wraps around."""
    seconds, fraction = divmod(us, SECOND_US)
    total = max(SHORTEST, min(LONGEST, seconds * per_second)) + fraction * per_second // SECOND_US
    return (total + (1 << 63)) % (1 << 64) - (1 << 63)


def iso_date(text: bytes) -> bytes:
    """b'0044-03-15 BC' → b'-0043-03-15': a sign before years that are not of four digits, or before Christ."""
    if len(text) == 10:
        return text
    year, rest = text.removesuffix(b" BC").split(b"-", 1)
    if text.endswith(b"BC"):
        before = int(year) - 1
        return b"%b%04d-%b" % (b"-" if before else b"", before, rest)
    return b"+%b-%b" % (year, rest)


def from_iso_date(text: bytes) -> bytes:
    """The inverse."""
    if text[:1] not in b"+-0" or (text[:1] == b"0" and text[:4] != b"0000"):
        return text
    year, rest = text[1:].split(b"-", 1) if text[:1] in b"+-" else text.split(b"-", 1)
    if text[:1] == b"+":
        return b"%b-%b" % (year, rest)
    return b"%04d-%b BC" % (int(year) + 1, rest)


def iso_timestamp(text: bytes) -> bytes:
    """b'2024-02-29 12:34:56.7' → b'2024-02-29T12:34:56.7'; a zone is left out."""
    day, _, rest = text.partition(b" ")
    time, _, era = rest.partition(b" ")
    return b"%bT%b" % (iso_date(day + b" BC" if era else day), time.partition(b"+")[0])


def from_iso_timestamp(text: bytes, zone: bytes = b"") -> bytes:
    """The inverse; `text` has no zone."""
    day, _, time = text.partition(b"T")
    plain, space, era = from_iso_date(day).partition(b" ")
    return b"%b %b%b%b%b" % (plain, time, zone, space, era)
