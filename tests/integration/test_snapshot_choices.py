"""What of a table is copied, from where, how fast; and that a table which cannot be copied holds up no other."""

from __future__ import annotations

import threading
from datetime import datetime

import psycopg
import pytest
from psycopg import sql

from cdc.daemon import Daemon
from cdc.errors import ConfigError
from cdc.source.copy_out import copy_out
from cdc.source.pace import BURST, LATE
from cdc.status import TableStatus
from tests.fixtures.line import Replica, before_each_chunk

MANY = "from generate_series(1, 300) g"


def copied(replica: Replica) -> dict[str, TableStatus]:
    """Copy to the end; the tables' status."""
    daemon = Daemon(replica.config, until="copied")
    daemon.run(threading.Event())
    return {table.name: table for table in daemon.status().tables}


def test_conditions_and_statements(replica: Replica) -> None:
    """They say what is copied; what is streamed is all of it."""
    replica.settings["snapshot"] = {"chunk_rows": 20}
    replica.settings["snapshot.where"] = {'"public.part"': "n % 3 = 0 -- every third"}
    statement = "select id, upper(name) as name, null::int as secret from public.person;"
    replica.settings["snapshot.statements"] = {'"public.person"': statement}
    db = replica.database
    db.execute(
        "create table part (id int primary key, n int); create table person (id int primary key, name text, secret int)"
    )
    db.execute(f"insert into part select g, g {MANY}; insert into person select g, 'p' || g, g {MANY}")
    copied(replica)
    assert replica.target_rows("public.part").total() == 100
    assert ("7", "P7", None) in replica.target_rows("public.person")
    db.execute("update part set n = 0 where id = 1; update person set name = 'changed' where id = 1")
    replica.catch_up()
    assert replica.target_rows("public.part").total() == 101
    assert ("1", "changed", "1") in replica.target_rows("public.person")


def test_partitions_are_copied_one_by_one(replica: Replica) -> None:
    """Also from the middle of one, and those of a second level; rows that move between them stay single."""
    db = replica.database
    db.execute(
        "create table t (id int, at int, v text, primary key (id, at)) partition by range (at);"
        "create table t_1 partition of t for values from (0) to (100);"
        "create table t_2 partition of t for values from (100) to (200) partition by hash (id);"
        "create table t_2a partition of t_2 for values with (modulus 2, remainder 0);"
        "create table t_2b partition of t_2 for values with (modulus 2, remainder 1);"
        "create table t_3 partition of t default;"
        "create table none (at int, v text) partition by range (at); create table none_1 partition of none default"
    )
    db.execute(f"insert into t select g, g, 'v' {MANY}; insert into none select g, 'v' {MANY}")
    replica.settings["snapshot"] = {"chunk_rows": 30, "max_stream_pause": 0.001}

    moves = iter(range(1, 40))
    move = lambda: db.execute(f"update t set at = (at + 150) % 310 where id % 40 = {next(moves, 0)}")  # noqa: E731
    with before_each_chunk(move), replica.running() as running:
        running.wait_live()
    replica.assert_equal()


RATE, WINDOW = 400, 0.5


@pytest.mark.parametrize("workers", [1, 3])
def test_a_rate_is_kept_over_every_part_of_a_second(replica: Replica, workers: int) -> None:
    """As the server sees it, which logs each row that it reads; a load without a limit takes all of them at once."""
    db = replica.database
    db.execute(
        "create table t (id int primary key, n int); insert into t select g, g from generate_series(1, 900) g;"
        "create function seen(n int) returns int stable language plpgsql as"
        " $$ begin raise log 'row % is read', n; return n; end $$"
    )
    replica.settings["snapshot"] = {"max_rows_per_second": RATE, "workers": workers}
    replica.settings["snapshot.statements"] = {'"public.t"': "select id, public.seen(n) as n from public.t"}
    begin = db.server.log.stat().st_size
    copied(replica)
    with db.server.log.open("rb") as log:
        log.seek(begin)
        lines = [line.decode() for line in log if b" is read" in line]
    times = [datetime.fromisoformat(line[:23]).timestamp() for line in lines]
    assert len(times) >= 900
    in_window = [sum(since <= at < since + WINDOW for at in times) for since in times]
    assert max(in_window) <= RATE * (WINDOW + BURST + LATE)
    assert times[-1] - times[0] > 0.9 * (len(times) / RATE - BURST - LATE)
    replica.assert_equal()


def test_tables_that_cannot_be_copied_hold_up_no_other(replica: Replica) -> None:
    db = replica.database
    db.execute(
        "create table a (id int primary key, n int); create table b (id int primary key); create table c (id int primary key)"
    )
    db.execute("create table z (id int primary key, v text); insert into z values (1, 'x')")
    db.execute(f"insert into a select g, g {MANY}; insert into b select g {MANY}; insert into c values (1)")
    db.execute(f"create publication {db.name} for all tables with (publish_via_partition_root = true)")
    wrong = {"a": "n >", "b": "1 / (id - 7) > 0", "c": "missing = 1"}
    replica.settings["snapshot.where"] = {f'"public.{name}"': where for name, where in wrong.items()}
    found = copied(replica)
    assert {name: table.state for name, table in found.items()} == {
        "public.a": "parked",
        "public.b": "parked",
        "public.c": "parked",
        "public.z": found["public.z"].state,
    }
    assert found["public.z"].state in ("live", "catching_up")
    assert "syntax error" in found["public.a"].reason
    assert "division by zero" in found["public.b"].reason
    assert '"missing" does not exist' in found["public.c"].reason
    assert all("cdc snapshot public." in found[f"public.{name}"].mend for name in "abc")
    del replica.settings["snapshot.where"]  # mended: the next start copies them
    replica.assert_equal()


def test_without_the_right_to_select(replica: Replica) -> None:
    db = replica.database
    db.execute(
        "create table a (id int primary key); create table b (id int primary key); insert into b values (1)"
    )
    db.execute(
        f"create role {db.name} login replication password 'x'; grant select on b to {db.name};"
        f"grant usage on schema public to {db.name}"
    )
    db.execute(f"create publication {db.name} for all tables")
    replica.settings["source"]["dsn"] = psycopg.conninfo.make_conninfo(db.dsn, user=db.name, password="x")
    try:
        found = copied(replica)
        assert found["public.a"].state == "parked"
        assert "permission denied for table a" in found["public.a"].reason
        assert 'grant select on "public"."a"' in found["public.a"].mend
        assert found["public.b"].rows_copied == 1
    finally:
        replica.settings["source"]["dsn"] = db.dsn
        replica.database.execute(f"drop owned by {db.name}; drop role {db.name}")


def test_a_condition_for_a_table_that_is_not_captured_is_refused(replica: Replica) -> None:
    replica.database.execute("create table t (id int primary key)")
    replica.settings["snapshot.where"] = {'"public.tt"': "true"}
    with pytest.raises(ConfigError, match=r"\[snapshot\] where names public\.tt"):
        copied(replica)


@pytest.mark.parametrize("plain", [True, False])
def test_rows_of_any_size_come_whole(replica: Replica, plain: bool) -> None:
    """On the socket and through libpq; a row of more than 16 MB between small ones; after an error the connection is good."""

    with replica.database.connect() as connection:
        query = sql.SQL(
            "copy (select g, case when g = 50 then repeat('x', 17000000) else E'a\\nd' end {}) to stdout (format csv)"
        )
        pieces = list(copy_out(connection, query.format(sql.SQL(MANY)), 1 << 20, plain=plain))
        assert sum(rows for _, rows in pieces) == 300
        text = b"".join(piece for piece, _ in pieces)
        assert text == b"".join(
            b'%d,"a\nd"\n' % g if g != 50 else b"50," + b"x" * 17_000_000 + b"\n" for g in range(1, 301)
        )
        with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
            list(
                copy_out(
                    connection,
                    sql.SQL("copy (select 1 / (g - 9) {}) to stdout").format(sql.SQL(MANY)),
                    1,
                    plain=plain,
                )
            )
        assert connection.execute("select 1").fetchone() == (1,)
