"""Columns that have several names before the stream has come to the first: every value goes to its column."""

from __future__ import annotations

import duckdb
import pytest

from tests.fixtures.line import Replica, before_each_chunk, eventually
from tests.integration.test_line_ddl import prepared


def test_rows_under_each_name_that_a_column_had_for_a_while(replica: Replica) -> None:
    """The catalog knows the last one only, but which column each was: nothing is copied, and no column is left over."""
    db = prepared(replica).database
    replica.catch_up()
    db.execute(
        "begin; insert into t values (3, 'v'); alter table t rename v to w; insert into t values (4, 'w');"
        "alter table t rename w to x; insert into t values (5, 'x'); commit"
    )
    with before_each_chunk(lambda: pytest.fail("nothing is to be copied")):
        replica.assert_equal()
    with duckdb.connect(str(replica.target), read_only=True) as connection:
        assert [name for name, *_ in connection.execute("describe public.t").fetchall()] == ["id", "x"]


DOUBT = (
    "begin; alter table t rename v to w; insert into t values (4, 'w'); alter table t rename w to x;"
    "alter table t add y text; alter table t drop y; alter table t add z text; insert into t values (5, 'x'); commit"
)
"""The name in between may have been that of a column which was dropped since."""


def test_a_line_that_ends_at_once_copies_what_is_in_doubt(replica: Replica) -> None:
    db = prepared(replica).database
    replica.catch_up()
    db.execute(DOUBT)
    replica.assert_equal()


def test_a_doubt_outlives_the_line(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    db = prepared(replica).database
    replica.catch_up()
    with monkeypatch.context() as patch:
        patch.setattr("cdc.source.shape_watch.SOON", 1e9)
        patch.setattr("cdc.source.shape_watch.INTERVAL", 1e9)
        with replica.running() as running:
            running.wait_live()
            db.execute(DOUBT)
            eventually(lambda: running.errors or running.daemon.status().tables[0].inserts == 2)
    assert replica.differences()
    replica.assert_equal()
