"""Tables that change their shape while they are followed: the target follows, and shows for old rows what PostgreSQL shows."""

from __future__ import annotations

import pytest

from tests.fixtures.line import Replica, Running, before_each_chunk, eventually


def shape_notes(running: Running) -> list[str]:
    return [note.text for note in running.daemon.status().notes if note.kind == "schema_change"]


def prepared(replica: Replica) -> Replica:
    replica.database.execute(
        "create table t (id int primary key, v text); insert into t values (1, 'old'), (2, 'old')"
    )
    return replica


@pytest.mark.parametrize(
    "column",
    [
        "x int default 7",
        "x int",
        "x text default 'it''s \\ \"x\", {a}' not null",
        "x numeric(10, 2) default 1.5",
        "x timestamptz default '2024-01-02 03:04:05+00'",
        "x jsonb default '{\"a\": [1]}'",
        "x int[] default '{1,null}'",
        "x text[] default array['a,b', '\"', null]",
        "x bytea default '\\x00ff'",
        "x date default current_date",
        "x boolean default true",
    ],
)
def test_an_added_column(replica: Replica, column: str) -> None:
    """Old rows are not written again by PostgreSQL, and nothing is streamed of them."""
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(f"alter table t add column {column}; insert into t (id, v) values (3, 'new')")
        db.execute("update t set v = 'again' where id = 1")
    replica.assert_equal()


def test_a_value_that_changes_its_default_meanwhile(replica: Replica) -> None:
    """The old rows' value is that of the time when the column was added."""
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "alter table t add column x int default 7; alter table t alter x set default 8; insert into t values (3, 'n')"
        )
    replica.assert_equal()


def test_between_rows_of_one_transaction(replica: Replica) -> None:
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "insert into t values (3, 'before'); alter table t add column x int default 7; insert into t values (4, 'after', 1);"
            "update t set v = 'between' where id = 1; alter table t drop column v; insert into t values (5, 2);"
            "delete from t where id = 2; alter table t add column w int default 9; insert into t values (6, 3, 4)"
        )
    assert {row[0] for row in replica.source_rows("public.t")} == {"1", "3", "4", "5", "6"}
    replica.assert_equal()


def test_a_dropped_column(replica: Replica) -> None:
    """It stays in the target, for those who read it; new rows have none."""
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'x'); alter table t drop column v; insert into t values (4)")
        db.execute("delete from t where id = 1")
    replica.assert_equal()


def test_a_column_that_is_wanted_no_longer_not_null_and_one_that_grows(replica: Replica) -> None:
    db = replica.database
    db.execute("create table t (id int primary key, v varchar(3) not null, n int, d numeric(4, 2))")
    db.execute("insert into t values (1, 'abc', 1, 1.25)")
    with replica.running() as running:
        running.wait_live()
        db.execute("alter table t alter v drop not null, alter v type text, alter n type bigint")
        db.execute("insert into t values (2, null, 1 << 20, 2.5), (3, 'longer', 9000000000, 0)")
        db.execute(
            "alter table t alter d type numeric(12, 2); insert into t values (4, '', null, 1234567.89)"
        )
    replica.assert_equal()


def test_shapes_that_the_stream_reaches_only_after_the_copy_had_them(replica: Replica) -> None:
    """The copy is made with the catalog of now; rows of an older shape follow it."""
    db = prepared(replica).database
    change = iter(
        (
            "update t set v = 'older shape'; alter table t add column x int default 7; update t set x = 8 where id = 2",
        )
    )
    with before_each_chunk(lambda: db.execute(next(change, "select"))), replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (3, 'x', 9)")
    replica.assert_equal()


def test_a_table_without_key(replica: Replica) -> None:
    """Old images of old rows show the added column's value, and are found by it."""
    db = replica.database
    db.execute(
        "create table t (v text); alter table t replica identity full; insert into t values ('a'), ('a'), ('b')"
    )
    with replica.running() as running:
        running.wait_live()
        db.execute("alter table t add column x int default 7; insert into t values ('c', 1)")
        db.execute("delete from t where ctid = '(0,1)'; update t set x = null where v = 'b'")
    replica.assert_equal()


def test_a_key_that_comes_later(replica: Replica) -> None:
    """Its rows are then merged by it."""
    db = replica.database
    db.execute(
        "create table t (id int not null, v text); alter table t replica identity full; insert into t values (1, 'a'), (2, 'a')"
    )
    with replica.running() as running:
        running.wait_live()
        db.execute("update t set v = 'b' where id = 1")
        db.execute(
            "alter table t add primary key (id), replica identity default; update t set v = 'c' where id = 2"
        )
        db.execute("delete from t where id = 1; insert into t values (3, 'n')")
    replica.assert_equal()


def test_rows_without_key_before_a_key_came(replica: Replica) -> None:
    """What was streamed of them was streamed without the key, though the catalog has it by the time that it is read."""
    db = replica.database
    db.execute("create table k (id int not null, v text); alter table k replica identity full")
    db.execute("insert into k values (1, 'a'), (1, 'a'), (2, 'b')")
    with replica.running() as running:
        running.wait_live()
    db.execute(
        "insert into k values (2, 'c'); update k set v = 'd' where id = 2; delete from k where ctid = '(0,1)'"
    )
    db.execute(
        "delete from k where id = 2; insert into k values (2, 'e'); alter table k add primary key (id)"
    )
    replica.assert_equal()


NEW = "insert into t (id) values (3)"
UNSEEN = {
    "a renamed column": f"alter table t rename v to w; {NEW}",
    "a column dropped and added again": f"alter table t drop column v; alter table t add column v text; {NEW}",
    "a default that is another for each row": f"alter table t add column x uuid default gen_random_uuid(); {NEW}",
    "names that two columns exchange": f"alter table t add column n text default 'n'; alter table t rename v to w;"
    f"alter table t rename n to v; alter table t rename w to n; {NEW}",
    "a name for a while": f"alter table t rename v to w; {NEW}; alter table t rename w to x; insert into t (id) values (4)",
    "a table written anew": "alter table t alter v type text using upper(v)",
}


@pytest.mark.parametrize("unseen", UNSEEN)
def test_changes_of_which_nothing_is_streamed(replica: Replica, unseen: str) -> None:
    """The table is copied anew, at once or at the next start."""
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(UNSEEN[unseen])
    replica.assert_equal()


@pytest.mark.parametrize("unseen", ["a renamed column", "a name for a while", "a table written anew"])
def test_and_while_the_stream_goes_on(replica: Replica, unseen: str) -> None:
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(UNSEEN[unseen])
        eventually(lambda: running.errors or shape_notes(running))
        eventually(lambda: running.errors or running.daemon.verify().equal)
    replica.assert_equal()


@pytest.mark.parametrize("harmless", ["vacuum full t", "truncate t", "alter table t alter v set not null"])
def test_nothing_is_copied_anew_without_need(replica: Replica, harmless: str) -> None:
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(harmless)
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (9, 'x')")
        eventually(lambda: running.daemon.status().tables[0].inserts == 1)
        assert not shape_notes(running)
    replica.assert_equal()


def test_a_table_made_anew_under_its_name(replica: Replica) -> None:
    """Its publication membership went with the old one; a restart takes the new one in, and copies it."""
    db = prepared(replica).database
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "drop table t; create table t (id int primary key, other int); insert into t values (9, 9)"
        )
    replica.assert_equal()
