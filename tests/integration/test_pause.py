"""Pausing: the daemon lets go of the slot, and goes on from there."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database

ACTIVE = "select active from pg_replication_slots where slot_name = %s"


def is_in(running: Running, state: str) -> None:
    eventually(lambda: running.errors or running.daemon.status().state == state, state)
    assert not running.errors, running.errors


def test_a_paused_daemon_lets_go_of_the_slot_and_misses_nothing(database: Database, tmp_path: Path) -> None:
    database.execute("create table item (id int primary key)")
    replica = Replica(database, tmp_path)
    with replica.running() as running:
        running.wait_live()
        running.daemon.pause()
        is_in(running, "paused")
        assert database.query(ACTIVE, database.name) == [(False,)]
        database.execute("insert into item values (1)")
        running.daemon.resume()
        is_in(running, "streaming")
        eventually(lambda: (table := running.table("public.item")) and table.inserts == 1, "it is applied")
        running.daemon.pause()
        is_in(running, "paused")  # … and can be stopped like that
    replica.assert_equal()
