"""Lanes of dates, times and intervals: the forms of `time_precision_mode` and `interval_handling_mode`."""

from __future__ import annotations

from cdc.format import FormatSettings
from cdc.schema import LogicalType
from cdc.wire import intervals
from cdc.wire.connect_schema import INT32, INT64, STRING, ConnectType, semantic
from cdc.wire.lane import Form, Lane, no_form
from cdc.wire.times import (
    INFINITE_DAYS,
    INFINITE_US,
    LONGEST,
    SECOND_US,
    SHORTEST,
    days_of,
    iso_date,
    iso_timestamp,
    time_text,
    time_us,
    timestamp_text,
    timestamp_us,
    wrapped_units,
)

DEBEZIUM, CONNECT = "io.debezium.time.", "org.apache.kafka.connect.data."
ZONED_TIME = semantic(STRING, DEBEZIUM + "ZonedTime")
ZONED_TIMESTAMP = semantic(STRING, DEBEZIUM + "ZonedTimestamp")
INFINITE = frozenset(INFINITE_US)
MILLIS, MICROS, NANOS = 1_000, 1_000_000, 1_000_000_000  # in a second

INFINITE_ISO_DATE = {b"infinity": b'"-5877611-06-21Z"', b"-infinity": b'"-5877611-06-22Z"'}


def _unit(of: LogicalType, mode: str | None, *, time: bool) -> tuple[ConnectType, int]:
    """Schema and units in a second of a time of day or a timestamp."""
    millis, micros = ("Time", "MicroTime") if time else ("Timestamp", "MicroTimestamp")
    base = INT32 if time else INT64
    fine = of.precision is None or of.precision > 3
    if mode == "connect":
        return semantic(base, CONNECT + millis), MILLIS
    if mode == "nanoseconds":
        return semantic(INT64, DEBEZIUM + millis.replace("Time", "NanoTime", 1)), NANOS
    if mode == "microseconds" or fine or (time and mode == "adaptive_time_microseconds"):
        return semantic(INT64, DEBEZIUM + micros), MICROS
    return semantic(base, DEBEZIUM + millis), MILLIS


def date(_of: LogicalType, settings: FormatSettings) -> Lane:
    mode = settings.time_precision_mode
    if mode == "isostring":
        schema, zero = semantic(STRING, DEBEZIUM + "IsoDate"), b'"1970-01-01Z"'

        def iso(cell: bytes) -> bytes:
            if cell in INFINITE:
                return b'"%b"' % cell if settings.exact else INFINITE_ISO_DATE[cell]
            return b'"%bZ"' % iso_date(cell)

        return Lane(schema, iso, zero=zero)
    schema = semantic(INT32, (CONNECT if mode == "connect" else DEBEZIUM) + "Date")
    return Lane(
        schema,
        lambda cell: b"%d" % (INFINITE_DAYS[cell] if cell in INFINITE_DAYS else days_of(cell)),
        zero=b"0",
    )


def time(of: LogicalType, settings: FormatSettings) -> Lane:
    mode = settings.time_precision_mode
    if mode == "isostring":
        schema = semantic(STRING, DEBEZIUM + "IsoTime")

        def iso(cell: bytes) -> bytes:
            """Java has no 24:00."""
            return b'"00:00:00Z"' if cell == b"24:00:00" and not settings.exact else b'"%bZ"' % cell

        return Lane(schema, iso, zero=b'"00:00:00Z"')
    schema, per_second = _unit(of, mode, time=True)
    return Lane(schema, lambda cell: b"%d" % (time_us(cell) * per_second // SECOND_US), zero=b"0")


def timestamp(of: LogicalType, settings: FormatSettings) -> Lane:
    mode = settings.time_precision_mode
    if mode == "isostring":
        return _iso_timestamp(settings)
    schema, per_second = _unit(of, mode, time=False)

    def convert(cell: bytes) -> bytes:
        if cell in INFINITE:
            if per_second == NANOS:
                return b"%d" % (LONGEST if cell == b"infinity" else SHORTEST)
            return b"%d" % (INFINITE_US[cell] * per_second // SECOND_US)
        us = timestamp_us(cell)
        if per_second == NANOS and not SHORTEST <= us * 1000 <= LONGEST:
            return no_form("a timestamp has more nanoseconds than a long", "time_precision_mode", settings)
        return b"%d" % (us // 1000 if per_second == MILLIS else wrapped_units(us, per_second))

    return Lane(schema, convert, zero=b"0")


def _iso_timestamp(settings: FormatSettings) -> Lane:
    infinite = {
        cell: b'"%b"' % cell if settings.exact else b'"%bZ"' % iso_timestamp(timestamp_text(us))
        for cell, us in INFINITE_US.items()
    }

    def convert(cell: bytes) -> bytes:
        if cell[4:5] == b"-" and cell[-1:] != b"C":
            return b'"%bT%bZ"' % (cell[:10], cell[11:])
        return infinite[cell] if cell in INFINITE else b'"%bZ"' % iso_timestamp(cell)

    schema = semantic(STRING, DEBEZIUM + "IsoTimestamp")
    return Lane(schema, convert, "timestamp", zero=b'"1970-01-01T00:00:00Z"')


def timestamptz(of: LogicalType, settings: FormatSettings) -> Lane:
    """UTC. Debezium pads the fraction to the digits that the column has, and writes none for timestamptz(0)."""
    digits = 6 if of.precision is None else of.precision
    padded = digits and not settings.exact

    def convert(cell: bytes) -> bytes:
        if cell[4:5] == b"-" and cell[-3:] == b"+00":
            day, clock = cell[:10], cell[11:-3]
        elif cell in INFINITE:
            return b'"%b"' % cell
        else:
            day, _, clock = iso_timestamp(cell).partition(b"T")
        if padded:
            whole, _, fraction = clock.partition(b".")
            clock = b"%b.%b" % (whole, fraction.ljust(digits, b"0"))
        return b'"%bT%bZ"' % (day, clock)

    form: Form = "instant" if not padded else "instant6" if digits == 6 else "call"
    return Lane(ZONED_TIMESTAMP, convert, form, zero=b'"1970-01-01T00:00:00Z"')


def timetz(_of: LogicalType, settings: FormatSettings) -> Lane:
    """Debezium moves it to UTC; ours keeps its zone."""
    convert = zoned_time if settings.exact else time_in_utc
    return Lane(ZONED_TIME, lambda cell: b'"%b"' % convert(cell), zero=b'"00:00:00Z"')


def zoned_time(cell: bytes) -> bytes:
    """b'12:34:56+02' → b'12:34:56+02:00'."""
    return cell + b":00" if cell[-3:-2] in (b"+", b"-") else cell


def time_in_utc(cell: bytes) -> bytes:
    """b'12:34:56.7+02:30' → b'10:04:56.7Z'."""
    at = max(cell.find(b"+"), cell.find(b"-"))
    hours, minutes, seconds, *_ = *(int(part) for part in cell[at + 1 :].split(b":")), 0, 0
    offset = ((hours * 60 + minutes) * 60 + seconds) * SECOND_US
    us = time_us(cell[:at]) + (offset if cell[at : at + 1] == b"-" else -offset)
    return time_text(us % (86_400 * SECOND_US)) + b"Z"


def interval(_of: LogicalType, settings: FormatSettings) -> Lane:
    if settings.interval_handling_mode == "string":

        def iso(cell: bytes) -> bytes:
            if cell in INFINITE:
                return b'"%b"' % cell
            return b'"%b"' % intervals.iso(intervals.parse(cell))

        return Lane(semantic(STRING, DEBEZIUM + "Interval"), iso, zero=b'"P0Y0M0DT0H0M0S"')
    schema = semantic(INT64, DEBEZIUM + "MicroDuration")

    def count(cell: bytes) -> bytes:
        if cell in INFINITE:
            return b"%d" % (LONGEST if cell == b"infinity" else SHORTEST)
        return b"%d" % intervals.micros(intervals.parse(cell))

    return Lane(schema, count, zero=b"0")
