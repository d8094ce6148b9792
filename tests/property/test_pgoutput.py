"""pgoutput's bytes: what was encoded is decoded; what was cut or changed is refused, or is another valid message."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import DecodeError
from cdc.events import UNSENT, Event
from cdc.schema import Table
from cdc.source.assemble import Assembler
from cdc.source.feed import PgoutputFeed, feed
from cdc.source.messages import (
    BeginMessage,
    CommitMessage,
    DecodedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalMessage,
    OriginMessage,
    RelationColumn,
    RelationMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
)
from cdc.source.pgoutput import PgoutputDecoder
from cdc.tables import build_table
from tests.fixtures.encode import encode, frame

lsns = st.integers(0, 2**64 - 1)
oids = st.integers(0, 2**32 - 1)
times = st.integers(-(2**40), 2**60)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
contents = st.binary(max_size=20) | st.integers(1000, 1100).map(bytes)
cells = st.one_of(st.none(), st.just(UNSENT), contents)
rows = st.lists(cells, max_size=5).map(tuple)
columns = st.builds(RelationColumn, names, oids, st.integers(-1, 2**31 - 1), st.booleans())
updates = st.one_of(
    st.builds(UpdateMessage, oids, rows, st.none(), st.just("")),
    st.builds(UpdateMessage, oids, rows, rows, st.sampled_from("KO")),
)
messages = st.one_of(
    st.builds(InsertMessage, oids, rows),
    updates,
    st.builds(DeleteMessage, oids, rows, st.sampled_from("KO")),
    st.builds(BeginMessage, lsns, times, oids),
    st.builds(CommitMessage, lsns, lsns, times),
    st.builds(OriginMessage, lsns, names),
    st.builds(TypeMessage, oids, names, names),
    st.builds(
        RelationMessage, oids, names, names, st.sampled_from("dnfi"), st.lists(columns, max_size=4).map(tuple)
    ),
    st.builds(TruncateMessage, st.lists(oids, max_size=4).map(tuple), st.booleans(), st.booleans()),
    st.builds(LogicalMessage, st.booleans(), lsns, names | st.just(""), contents),
)
decode = PgoutputDecoder()


@given(messages, st.binary(max_size=30))
def test_what_was_encoded_is_decoded(message: DecodedMessage, before: bytes) -> None:
    data = before + encode(message)
    assert decode(data, len(before)) == message
    assert decode(memoryview(data), len(before)) == message


@given(messages)
def test_every_truncation_is_refused(message: DecodedMessage) -> None:
    data = encode(message)
    for length in range(len(data) if len(data) < 300 else 50):
        with pytest.raises(DecodeError, match="cannot be read"):
            decode(data[:length])


@given(messages, st.binary(min_size=1, max_size=3))
def test_what_is_too_long_is_refused(message: DecodedMessage, more: bytes) -> None:
    with pytest.raises(DecodeError, match="cannot be read"):
        decode(encode(message) + more)


@given(messages, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_bytes_are_refused_or_another_message(
    message: DecodedMessage, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(encode(message))
    for place, byte in changes:
        data[place % len(data)] = byte
    try:
        got = decode(bytes(data))
    except DecodeError:
        return
    if not isinstance(got, (BeginMessage, CommitMessage, LogicalMessage, RelationMessage, TypeMessage)):
        assert decode(encode(got)) == got


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_a_message(data: bytes) -> None:
    with suppress(DecodeError):
        decode(data)


WIDTH = 3
RELATIONS = [
    RelationMessage(
        oid,
        "public",
        f"t{oid}",
        identity,
        tuple(
            RelationColumn(f"c{number}", 25, -1, key=identity == "f" or number == 0)
            for number in range(WIDTH)
        ),
    )
    for oid, identity in [(1, "d"), (2, "f"), (3, "d"), (1, "f")]
]
whole = st.lists(st.none() | contents, min_size=WIDTH, max_size=WIDTH).map(tuple)
partial = st.lists(cells, min_size=WIDTH, max_size=WIDTH).map(tuple)
known = st.integers(1, 3)
stream = st.lists(
    st.one_of(
        st.builds(InsertMessage, known, whole),
        st.builds(UpdateMessage, known, partial, st.none(), st.just("")),
        st.builds(UpdateMessage, known, partial, whole, st.sampled_from("KO")),
        st.builds(DeleteMessage, known, whole, st.sampled_from("KO")),
        st.builds(TruncateMessage, st.lists(known, min_size=1, max_size=3).map(tuple)),
        st.just(RELATIONS[3]),
        st.builds(InsertMessage, known, st.just((b"too", b"short"))),
    ),
    max_size=12,
)


def describe(relation: RelationMessage) -> Table | None:
    return None if relation.name == "t3" else build_table(relation)


@given(stream, st.integers(0, 10**6), st.none() | st.integers(0, 255))
def test_the_fast_lane_gives_what_the_plain_way_gives(
    body: list[DecodedMessage], place: int, garbage: int | None
) -> None:
    """Also for broken frames: the same error."""
    script = [*RELATIONS[:3], BeginMessage(7, 0, 1), *body, CommitMessage(7, 8, 0)]
    frames = [frame(encode(message), wal_start=number) for number, message in enumerate(script)]
    if garbage is not None and body:
        broken = bytearray(frames[4 + place % len(body)])
        broken[25 + place % (len(broken) - 25)] = garbage
        frames[4 + place % len(body)] = bytes(broken)

    def told(make: type[PgoutputFeed] | None) -> list[Event | str]:
        assemble = Assembler(lambda relation, _types: describe(relation))
        events = make(assemble) if make else feed(lambda data, start: (decode(data, start),), assemble)
        result: list[Event | str] = []
        try:
            for each in frames:
                result.extend(events(each))
        except DecodeError as error:
            result.append(str(error))
        return result

    plain, fast = told(None), told(PgoutputFeed)
    assert list(map(str, fast)) == list(map(str, plain))
