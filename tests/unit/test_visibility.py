"""Snapshots of PostgreSQL, as text and as an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.source.visibility import WRAP, Snapshot
from tests.fixtures.postgres import Database

wide = st.integers(WRAP, 5 * WRAP)
near = st.integers(-(WRAP // 2) + 1, WRAP // 2 - 1)


def test_what_is_shown() -> None:
    snapshot = Snapshot.parse("100:105:100,103")
    assert [xid for xid in range(98, 108) if snapshot.shows(xid)] == [98, 99, 101, 102, 104]
    assert snapshot.shows_all([])
    assert snapshot.shows_all([98, 104])
    assert not snapshot.shows_all([98, 103])
    assert Snapshot.parse("7:7:").running == frozenset()


@pytest.mark.parametrize("text", ["", "1:2", "a:b:", "1:2:x", "1:2:3:4"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Snapshot.parse(text)


@given(wide, near)
def test_ids_of_32_bits_are_found_again_over_the_wrap(xmax: int, distance: int) -> None:
    full = xmax + distance
    snapshot = Snapshot(xmax - 1, xmax, frozenset())
    assert snapshot.full_xid(full % WRAP) == full
    assert snapshot.shows(full % WRAP) == (full < xmax)


@given(st.integers(1, 2 * WRAP), st.frozensets(st.integers(0, 30)), st.sets(st.integers(-40, 40)))
def test_forgets_exactly_what_it_shows(base: int, offsets: frozenset[int], distances: set[int]) -> None:
    running = frozenset(base + each for each in offsets)
    snapshot = Snapshot(min(running, default=base + 31), base + 31, running)
    assert Snapshot.parse(str(snapshot)) == snapshot
    xids = {(base + each) % WRAP for each in distances if base + each > 0}
    left = set(xids)
    snapshot.forget_shown(left)
    assert left == {xid for xid in xids if not snapshot.shows(xid)}


def test_as_the_server_tells_it(database: Database) -> None:
    with database.connect() as first, database.connect() as second:
        first.execute("begin")
        second.execute("begin")
        running = first.execute("select pg_current_xact_id()::text").fetchone()
        finished = second.execute("select pg_current_xact_id()::text").fetchone()
        second.execute("commit")
        [(text,)] = database.query("select pg_current_snapshot()::text")
        snapshot = Snapshot.parse(text)
        assert running
        assert finished
        assert not snapshot.shows(int(running[0]) % WRAP)
        assert snapshot.shows(int(finished[0]) % WRAP)
