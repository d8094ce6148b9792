"""A source that is another server now, or the same one as it was before: followed where that is safe, refused where not."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from cdc import programs
from cdc.embedded import EmbeddedPostgres
from cdc.errors import SlotLost
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database

SETTINGS = {"wal_keep_size": "256MB", "hot_standby_feedback": "on", "sync_replication_slots": "on"}


@pytest.fixture
def primary() -> Iterator[Database]:
    """A server of its own, whose history is the test's to change."""
    with EmbeddedPostgres(version=18, settings=SETTINGS) as server:
        Database(server, "postgres").execute("create database shop")
        shop = Database(server, "shop")
        shop.execute("create table item (id int primary key)")
        yield shop


@contextmanager
def backup(primary: Database, *options: str) -> Iterator[EmbeddedPostgres]:
    """A copy of the server as it is now, not started yet."""
    home = Path(tempfile.mkdtemp(prefix="cdc-copy-"))
    server = primary.server
    program = str(server.bindir / "pg_basebackup")
    command = [program, "-d", server.dsn("postgres"), "-D", str(home / "data"), "-c", "fast", *options]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(server.folder / "password", home / "password")
    programs.give_away(home, *home.rglob("*"))
    copy = EmbeddedPostgres(home, bindir=server.bindir, settings=SETTINGS)
    try:
        yield copy
    finally:
        copy.close()
        shutil.rmtree(home)


def replica_of(database: Database, folder: Path) -> Replica:
    return Replica(database, folder, source={"slot": "cdc", "publication": "cdc"})


def test_a_backup_that_was_restored_is_not_followed(primary: Database, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    replica = replica_of(primary, work)
    primary.execute("insert into item select generate_series(1, 10)")
    replica.catch_up()
    with backup(primary) as restored:
        primary.execute("insert into item select generate_series(11, 5000)")
        replica.catch_up()
        primary.server.stop()
        restored.start()
        old = Database(restored, "shop")
        old.query("select pg_create_logical_replication_slot('cdc', 'pgoutput')")  # by a helpful hand
        replica.settings["source"]["dsn"] = old.dsn
        with pytest.raises(SlotLost, match="the source has gone back"):
            replica.catch_up()


@pytest.mark.slow
def test_a_promoted_standby_with_the_slot_is_followed(primary: Database, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    replica = replica_of(primary, work)
    replica.settings["source"]["failover"] = True
    primary.execute("insert into item select generate_series(1, 10)")
    primary.query("select pg_create_physical_replication_slot('standby', true)")
    replica.catch_up()
    with backup(primary, "-R", "-S", "standby") as standby:
        standby.start()
        other = Database(standby, "shop")
        ready = "select 1 from pg_replication_slots where slot_name = 'cdc' and synced and not temporary"

        def is_ready() -> bool:
            primary.query("select pg_log_standby_snapshot()")  # else the slot's restart waits for one
            return bool(other.query(ready))

        with replica.running():
            primary.execute("insert into item values (11)")
            eventually(is_ready, "the slot is on the standby")
        end = primary.query("select pg_current_wal_flush_lsn()::text")[0][0]
        eventually(
            lambda: other.query("select pg_last_wal_replay_lsn() >= %s::pg_lsn", end) == [(True,)], end
        )
        primary.server.stop()
        other.query("select pg_promote()")
        other.execute("insert into item values (12)")
        first, second = (
            psycopg.conninfo.conninfo_to_dict(primary.dsn),
            psycopg.conninfo.conninfo_to_dict(other.dsn),
        )
        replica.settings["source"]["dsn"] = psycopg.conninfo.make_conninfo(
            "",
            **{
                **second,
                "port": f"{first['port']},{second['port']}",
                "host": f"{first['host']},{second['host']}",
            },
        )
        replica.catch_up()
        target = replica.target_rows("public.item")
        assert target.total() == 12
        assert other.query("select timeline_id from pg_control_checkpoint()") >= [(1,)]


def test_a_promoted_standby_without_the_slot_is_told_with_the_way_out(
    primary: Database, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    replica = replica_of(primary, work)
    primary.execute("insert into item select generate_series(1, 10)")
    primary.query("select pg_create_physical_replication_slot('standby', true)")
    replica.catch_up()
    with backup(primary, "-R", "-S", "standby") as standby:
        standby.start()
        primary.server.stop()
        other = Database(standby, "shop")
        other.query("select pg_promote()")
        other.execute("insert into item values (11)")
        replica.settings["source"]["dsn"] = other.dsn
        with pytest.raises(SlotLost, match=r"is gone.*`cdc drop`, then `cdc run`"):
            replica.catch_up()
        assert replica.target_rows("public.item").total() == 10
