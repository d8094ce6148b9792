"""The line from end to end on a real server: DuckDB holds what PostgreSQL holds, whatever is done to it."""

from __future__ import annotations

from tests.fixtures.line import Replica, eventually

KEYLESS = "create table log (line text, at int); alter table log replica identity full;"


def test_what_was_there_and_what_comes(replica: Replica) -> None:
    db = replica.database
    db.execute("create table t (id int primary key, v text, n numeric(10, 2))")
    db.execute(KEYLESS)
    db.execute("insert into t select g, 'v' || g, g / 10.0 from generate_series(1, 1000) g")
    db.execute("insert into log select 'x', g % 3 from generate_series(1, 100) g")
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "update t set v = 'new' where id < 10; delete from t where id > 900; update t set id = -id where id = 77"
        )
        db.execute(
            "update log set line = 'y' where at = 1; delete from log where ctid in (select ctid from log limit 7)"
        )
        db.execute("insert into log values (null, null), (null, null), ('', 0)")
    replica.assert_equal()


def test_truncate_in_order(replica: Replica) -> None:
    db = replica.database
    db.execute(
        "create table a (id int primary key); create table b (id int primary key references a);" + KEYLESS
    )
    with replica.running() as running:
        running.wait_live()
        db.execute(
            "insert into a values (1), (2); insert into b values (1); insert into log values ('old', 1);"
            "truncate a, b, log; insert into a values (2), (3); insert into b values (3); insert into log values ('new', 1);"
        )
        db.execute("truncate log")
        db.execute("insert into log values ('last', 1), ('last', 1)")
    replica.assert_equal()


def test_unsent_values_are_kept(replica: Replica) -> None:
    """Large values that an update leaves alone are not sent again; also when the key changes meanwhile."""
    db = replica.database
    db.execute(
        "create table t (id int primary key, n int, big text); alter table t alter big set storage external"
    )
    db.execute("insert into t select g, 0, repeat(g::text, 4000) from generate_series(1, 50) g")
    with replica.running() as running:
        running.wait_live()
        db.execute("update t set n = 1")
        db.execute("update t set id = id + 1000 where id % 2 = 0")
        db.execute("update t set id = id + 1000, n = 2 where id % 3 = 0; update t set n = 3 where id > 1000")
        db.execute("update t set big = null where id = 1; update t set n = 9")
    replica.assert_equal()


def test_confirmed_means_applied(replica: Replica) -> None:
    db = replica.database
    db.execute("create table t (id int primary key)")
    with replica.running() as running:
        running.wait_live()
        db.execute("insert into t values (1)")
        [(lsn,)] = db.query("select pg_current_wal_lsn()::text")
        confirmed = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"
        eventually(lambda: db.query(confirmed, lsn, db.name) == [(True,)], "confirmed")
    assert replica.target_rows("public.t").total() == 1


def test_many_starts_and_stops_right_after_another(replica: Replica) -> None:
    """A stop before the server has said anything must leave a record that the next start accepts."""
    db = replica.database
    db.execute("create table t (id int primary key)")
    for number in range(5):
        db.execute("insert into t values (%s)", number)
        with replica.running():
            pass
    replica.assert_equal()


def test_status_tells_the_slot_while_it_streams(replica: Replica) -> None:
    replica.database.execute("create table t (id int primary key)")
    with replica.running() as running:
        running.wait_live()
        replica.database.execute("insert into t values (1)")
        eventually(lambda: running.daemon.status().source.received_lsn, "a transaction was received")
        eventually(lambda: running.daemon.status().source.behind_bytes == 0, "all is confirmed")
        source = running.daemon.status().source
        assert source.active
        assert source.wal_status == "reserved"
        assert source.confirmed_lsn == source.current_lsn
