"""A copy that was killed goes on where it was: finished chunks are not read again, and nothing is missing."""

from __future__ import annotations

import signal

from cdc.progress import Progress, decode_progress
from connectors import duckdb
from tests.fixtures.line import Replica, eventually

ROWS = 20_000


def prepared(replica: Replica) -> None:
    replica.listen()
    replica.settings["snapshot"] = {"chunk_rows": 50}
    replica.database.execute(
        "create table a (id int primary key, v text); create table b (id int primary key); create table c (v int);"
        "insert into b values (1); insert into c select generate_series(1, 50);"
        f"insert into a select g, 'v' || g from generate_series(1, {ROWS}) g"
    )


def progress(replica: Replica, table: str) -> Progress:
    """What the warehouse remembers."""
    settings = replica.config.warehouses["local"]
    assert isinstance(settings, duckdb.Settings)
    warehouse = duckdb.connect(settings, "local")
    try:
        return decode_progress(warehouse.state().controls, table)
    finally:
        warehouse.close()


def test_killed_in_the_middle(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        eventually(lambda: copied(replica) > 1000, "it is in the middle")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    before = progress(replica, "public.a")
    assert not before.done
    assert before.after
    assert replica.target_rows("public.a").total() == before.rows == int(before.after[0])
    replica.database.execute("delete from a where id < 10; update a set v = 'new' where id in (500, 19000)")
    replica.assert_equal()
    after = progress(replica, "public.a")
    assert after.done
    assert after.rows == ROWS  # counted over both runs: those that were read again would count twice


def test_killed_again_and_again(replica: Replica) -> None:
    prepared(replica)
    replica.settings["snapshot"]["chunk_rows"] = 500
    for _ in range(3):
        with replica.process() as daemon:
            eventually(lambda: copied(replica) > 100, "it moves")
            daemon.kill()
            daemon.wait()
    replica.assert_equal()
    assert progress(replica, "public.a").rows == ROWS


def test_a_table_made_anew_meanwhile_is_copied_from_its_start(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        eventually(lambda: copied(replica) > 1000, "it is in the middle")
        daemon.kill()
        daemon.wait()
    replica.database.execute(
        "drop table a; create table a (id int primary key, other int); insert into a values (1, 1), (9999, 2)"
    )
    replica.assert_equal()
    assert progress(replica, "public.a").rows == 2


def copied(replica: Replica) -> int:
    """Rows that are durable in the target, by this daemon."""
    status = replica.status()
    return status.warehouses[0].rows_applied if status else 0
