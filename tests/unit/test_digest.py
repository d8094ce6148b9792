"""Frames, key texts, the merge of two sides and the meeting of source and target, without a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.compare import compare
from cdc.digest import describe_key, frame, row_hash
from cdc.errors import CdcError
from cdc.interfaces import Hashed
from cdc.meeting import Meeting, meet
from cdc.schema import Column, LogicalType, Table

texts = st.one_of(st.none(), st.sampled_from(["", ":", "1:", ";", "0:;"]), st.text("0123:;a", max_size=5))
numbers = st.one_of(st.none(), st.integers().map(str))


def table_of(*kinds: str, key: tuple[int, ...] = ()) -> Table:
    columns = tuple(Column(f"c{number}", LogicalType(kind)) for number, kind in enumerate(kinds))
    return Table("s", "t", columns, primary_key=key)


def encoded(row: tuple[str | None, ...]) -> list[bytes | None]:
    return [cell if cell is None else cell.encode() for cell in row]


@given(*[st.tuples(texts, numbers, texts)] * 2)
def test_frames_of_different_rows_differ(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    table = table_of("text", "int8", "varbit")
    assert (frame(table, encoded(one)) == frame(table, encoded(other))) == (one == other)


def test_frames() -> None:
    assert (
        frame(table_of("text", "bool", "text", "int4"), [None, b"t", "é".encode(), None]) == b":t;2:\xc3\xa9;"
    )
    assert row_hash(b"") == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("kinds", "key", "text", "told"),
    [
        (("int4",), (0,), "2:17", "c0=17"),
        (("int4", "text"), (0, 1), "1:12:a,", "(c0=1, c1=a,)"),
        (("int4", "text"), (1, 0), "2:é:", "(c1=é, c0=NULL)"),
        (("text", "text"), (), "0::", "(c0=, c1=NULL)"),
        (("text", "text"), (), "5:abc", "(c0=abc…, …)"),
        (("text", "text"), (), "3:abc1", "(c0=abc, …)"),
        (("text", "text", "text"), (), "3:abc", "(c0=abc, …)"),
    ],
)
def test_key_texts_are_told(kinds: tuple[str, ...], key: tuple[int, ...], text: str, told: str) -> None:
    assert describe_key(table_of(*kinds, key=key), text) == told


keys = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=12)


@given(keys, keys)
def test_the_merge_tells_what_is_on_one_side(
    source: list[tuple[str, str]], target: list[tuple[str, str]]
) -> None:
    found = compare(*(sorted(Hashed(k, h, k) for k, h in side) for side in (source, target)), limit=2)
    missing = unexpected = different = 0
    for key in "abcdef":
        ours, theirs = (sorted(h for k, h in side if k == key) for side in (source, target))
        for same in [h for h in "xyz" for _ in range(min(ours.count(h), theirs.count(h)))]:
            ours.remove(same)
            theirs.remove(same)
        both = min(len(ours), len(theirs))
        missing, unexpected, different = (
            missing + len(ours) - both,
            unexpected + len(theirs) - both,
            different + both,
        )
    assert (found.missing, found.unexpected, found.different) == (missing, unexpected, different)
    assert found.rows == len(source) + len(target)
    assert len(found.missing_keys) <= 2


class FakeReader:
    """Publishes one commit after another; a job is done between two."""

    def __init__(self) -> None:
        self.received = 0
        self.jobs: list[Any] = []
        self.over = threading.Event()
        self.flushes: list[int] = []

    def flush(self) -> None:
        self.flushes.append(self.received)

    def run(self) -> None:
        while not self.over.wait(0.001):
            self.received += 10
            for job in tuple(self.jobs):
                if job.due(self) and job.step(self):
                    self.jobs.remove(job)


@pytest.fixture
def reader() -> Any:
    fake = FakeReader()
    thread = threading.Thread(target=fake.run)
    thread.start()
    yield fake
    fake.over.set()
    thread.join()


def refuse() -> int:
    raise CdcError("no LSN")


def views_of(reader: FakeReader) -> Callable[[], Any]:
    return lambda: {"taken at": reader.received}


def test_the_views_are_taken_at_the_lsn_though_the_stream_is_fast(reader: FakeReader) -> None:
    asked: list[int] = []

    def ask() -> int:
        asked.append(reader.received + 50)
        threading.Event().wait(0.05)  # in which the stream would go on
        return asked[-1]

    for _ in range(20):
        assert meet(reader.jobs.append, views_of(reader), lambda: True, ask, 10) == {"taken at": asked[-1]}
    assert reader.flushes == asked
    assert reader.jobs == []


def test_a_meeting_that_fails_lets_the_stream_go_on(reader: FakeReader) -> None:
    with pytest.raises(CdcError, match="no LSN"):
        meet(reader.jobs.append, views_of(reader), lambda: True, refuse, 10)
    with pytest.raises(CdcError, match="has not reached 0/FFFFFFF in time"):
        meet(reader.jobs.append, views_of(reader), lambda: True, lambda: 0xFFFFFFF, 0.2)
    with pytest.raises(CdcError, match="the stream has ended"):
        meet(lambda _: None, views_of(reader), lambda: False, lambda: 1, 10)
    before = reader.received
    while reader.received == before or reader.jobs:
        pass
    assert reader.flushes == []


def test_views_that_come_too_late_are_not_taken() -> None:
    reader: Any = FakeReader()
    meeting = Meeting(lambda: {})
    meeting._lsn = 5
    assert meeting.give_up()
    assert meeting.due(reader)
    assert meeting.step(reader)
    assert reader.flushes == []
