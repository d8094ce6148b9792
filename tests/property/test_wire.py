"""What the encoder writes, the decoder reads back: events are the same, cell by cell, in every type and awkward value.

A change of the key comes back as what it is on the topics: a delete and an insert.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.events import DELETE, INSERT, UNSENT, UPDATE, Begin, Cell, Change, Event, Message, Truncate
from cdc.format import FormatSettings
from cdc.schema import DEFAULT, FULL, Column, LogicalType, Table
from cdc.wire import Decoder, Encoder, decode_table, encode_table
from cdc.wire.intervals import text_of
from cdc.wire.numbers import money_from
from cdc.wire.pgtext import array_text, hstore_text
from cdc.wire.times import date_text, time_text, timestamp_text

EXACT = FormatSettings()
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
utf8 = texts.map(str.encode)
DAYS = st.integers(-2_440_550, 2_145_042_905)
MICROS = st.integers(-210_863_520_000_000_000, 9_224_318_015_999_999_999)
infinite = st.sampled_from([b"infinity", b"-infinity"])
special = st.sampled_from([b"NaN", b"Infinity", b"-Infinity"])


def _integers(bits: int) -> st.SearchStrategy[bytes]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1).map(lambda number: b"%d" % number)


def _zoned(time: tuple[int, int]) -> bytes:
    sign, minutes = b"-" if time[1] < 0 else b"+", abs(time[1])
    rest = b":%02d" % (minutes % 60) if minutes % 60 else b""
    return b"%b%b%02d%b" % (time_text(time[0]), sign, minutes // 60, rest)


numerics = st.one_of(
    special, st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda d: f"{d:f}".encode())
)
floats = st.one_of(
    special, st.floats(allow_nan=False, allow_infinity=False).map(lambda f: f"{f:.17g}".encode())
)
bits = st.text("01", max_size=20).map(str.encode)
bytea = st.binary(max_size=9).map(lambda raw: b"\\x" + raw.hex().encode())
times = st.integers(0, 86_400_000_000).map(time_text)
intervals = st.one_of(
    infinite,
    st.tuples(st.integers(-99_999, 99_999), st.integers(-9999, 9999), st.integers(-(10**14), 10**14)).map(
        text_of
    ),
)
hstores = st.dictionaries(utf8, st.none() | utf8, max_size=4).map(lambda pairs: hstore_text(pairs.items()))
coordinates = st.one_of(
    st.sampled_from([b"NaN", b"Infinity"]),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda f: repr(f).removesuffix(".0").encode()),
)
points = st.tuples(coordinates, coordinates).map(lambda pair: b"(%b,%b)" % pair)

VALUES: dict[str, st.SearchStrategy[bytes]] = {
    "int2": _integers(16),
    "int4": _integers(32),
    "int8": _integers(64),
    "bool": st.sampled_from([b"t", b"f"]),
    "float4": st.one_of(special, st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda f: repr(f).encode())),
    "float8": floats,
    "numeric": numerics,
    "money": st.integers(-(1 << 63), (1 << 63) - 1).map(lambda cents: money_from(f"{cents / 100:.2f}".encode())),
    **dict.fromkeys(("text", "varchar", "json", "xml", "unknown", "composite", "enum", "uuid"), utf8),
    "bytea": bytea,
    "varbit": bits,
    "date": st.one_of(infinite, DAYS.map(date_text)),
    "time": times,
    "timetz": st.tuples(st.integers(0, 86_400_000_000), st.integers(-959, 959)).map(_zoned),
    "timestamp": st.one_of(infinite, MICROS.map(timestamp_text)),
    "timestamptz": st.one_of(infinite, MICROS.map(lambda us: timestamp_text(us, b"+00"))),
    "interval": intervals,
    "hstore": hstores,
    "point": points,
}  # fmt: skip


def _arrays(element: str) -> st.SearchStrategy[bytes]:
    one = st.lists(st.none() | VALUES[element], max_size=3)
    two = st.lists(st.lists(VALUES[element], min_size=2, max_size=2), min_size=1, max_size=2)
    bounds = st.sampled_from([b"[0:1]=", b"[-3:-2]="])
    pair = st.lists(VALUES[element], min_size=2, max_size=2).map(array_text)
    return st.one_of(one.map(array_text), two.map(array_text), st.tuples(bounds, pair).map(b"".join))


KINDS = st.one_of(
    st.sampled_from(sorted(VALUES)).map(LogicalType),
    st.sampled_from(sorted(VALUES.keys() - {"money"})).map(
        lambda kind: LogicalType("array", element=LogicalType(kind))
    ),
)


def cells(of: LogicalType) -> st.SearchStrategy[bytes]:
    return _arrays(of.element.kind) if of.element else VALUES[of.kind]


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A key of one or two columns, and some others."""
    chosen = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    keys = draw(st.integers(0, min(2, len(chosen))))
    full = keys == 0 or draw(st.booleans())
    columns = []
    for number, name in enumerate(chosen):
        of = draw(st.sampled_from(["int4", "text", "uuid"]).map(LogicalType) if number < keys else KINDS)
        columns.append(
            Column(
                name,
                of,
                nullable=number >= keys,
                default=draw(st.none() | texts | texts.map(lambda text: f"'{text}'::x")),
            )
        )
    key = tuple(range(keys))
    identity = tuple(range(len(chosen))) if full else key
    return Table(
        draw(names),
        draw(names),
        tuple(columns),
        key,
        FULL if full else DEFAULT,
        identity,
        oid=draw(st.integers(0, 99)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events of a few tables, in transactions."""
    known = draw(st.lists(tables(), min_size=1, max_size=3))
    events: list[Event] = []
    for number in range(draw(st.integers(1, 3))):
        begin = Begin(1000 + number, draw(st.integers(0, 1 << 50)), draw(st.integers(1, 1 << 31)))
        for ordinal in range(1, draw(st.integers(2, 5))):
            events.append(draw(_event(draw(st.sampled_from(known)), begin, ordinal)))
    return events


@st.composite
def _event(draw: st.DrawFn, table: Table, begin: Begin, ordinal: int) -> Event:
    lsn = draw(st.integers(0, 1 << 62))
    op = draw(st.sampled_from([INSERT, UPDATE, DELETE, "t", "m"]))
    if op == "t":
        return Truncate(table, begin, ordinal, lsn)
    if op == "m":
        return Message(draw(texts), draw(st.binary(max_size=9)), lsn, begin, ordinal)
    row = draw(_rows(table))
    if op == DELETE:
        return Change(table, op, _old(table, row), None, begin, ordinal, lsn, 0)
    old = _old(table, draw(_rows(table))) if op == UPDATE and draw(st.booleans()) else None
    unsent = (
        draw(st.sets(st.sampled_from(range(len(table.columns))))) - set(table.key) if op == UPDATE else set()
    )
    new = tuple(UNSENT if index in unsent else cell for index, cell in enumerate(row))
    return Change(table, op, old, new, begin, ordinal, lsn, 0)


@st.composite
def _rows(draw: st.DrawFn, table: Table) -> tuple[Cell, ...]:
    return tuple(
        draw(st.none() | cells(column.type) if column.nullable else cells(column.type))
        for column in table.columns
    )


def _old(table: Table, row: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(cell if index in table.identity else UNSENT for index, cell in enumerate(row))


def encoded_and_decoded(events: Iterable[Event], given_settings: FormatSettings) -> list[Event]:
    ticks = itertools.count(1_700_000_000_000_000_000)
    encoder = Encoder(given_settings, prefix="p", database="d", clock=lambda: next(ticks))
    decoder = Decoder(given_settings, prefix="p")
    return [event for each in events for record in encoder.encode(each) for event in decoder.decode(record)]


def on_topics(event: Event) -> list[Event]:
    """A change of the key is a delete and an insert there."""
    if not isinstance(event, Change) or event.op != UPDATE or event.old is None or event.new is None:
        return [event]
    key = event.table.key
    if not key or all(event.old[index] == event.new[index] for index in key):
        return [event]
    return [
        msgspec.structs.replace(event, op=DELETE, new=None),
        msgspec.structs.replace(event, op=INSERT, old=None),
    ]


def shown(event: Event) -> tuple[object, ...]:
    """An event as a tuple that compares; a table by all that it says, sizes aside."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "size"}
    if "table" in fields:
        fields["table"] = encode_table(fields["table"])
    return (type(event).__name__, *fields.items())


@given(histories())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_events_come_back_as_they_were(events: list[Event]) -> None:
    expected = [shown(each) for event in events for each in on_topics(event)]
    assert [shown(event) for event in encoded_and_decoded(events, EXACT)] == expected


@given(tables())
def test_a_table_comes_back_as_it_was(table: Table) -> None:
    again = decode_table(encode_table(table))
    assert encode_table(again) == encode_table(table)
    assert again.fingerprint == table.fingerprint
    assert again.columns == table.columns


@pytest.mark.parametrize("schemas", [False, True])
@given(histories())
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_what_debezium_would_write_is_json(schemas: bool, events: list[Event]) -> None:
    modes = {"decimal_handling_mode": "string", "time_precision_mode": "isostring"}
    given_settings = msgspec.convert(
        {"compat": "debezium", "schemas_enable": schemas, **modes}, FormatSettings
    )
    encoder = Encoder(given_settings, prefix="p", database="d", clock=lambda: 1)
    for event in events:
        for record in encoder.encode(event):
            for text in (record.key, record.value) if record.topic != encoder.topics.schemas else ():
                json.loads(text or b"null")
