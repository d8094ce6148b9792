"""Chunks read from a standby: not before it has replayed what the stream has given, and exact where it is ahead or behind."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cdc.lsn import START
from cdc.reader import Reader
from cdc.source.chunk import Chunk
from cdc.source.snapshot import SnapshotJob
from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database
from tests.integration.test_failover import backup, primary, replica_of

__all__ = ["primary"]  # a fixture


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each attempt to copy, the first of which is made when a transaction was streamed."""
    found: list[int] = []

    class Counted(SnapshotJob):
        def due(self, reader: Reader) -> bool:
            return reader.position > START and super().due(reader)

        def step(self, reader: Reader) -> bool:
            found.append(1)
            return super().step(reader)

    monkeypatch.setattr("cdc.reading.SnapshotJob", Counted)
    return found


def prepared(primary: Database, folder: Path, standby: Database) -> Replica:
    """A table that the standby has, and changes of it that the standby has not replayed."""
    folder.mkdir()
    replica = replica_of(primary, folder)
    replica.settings["snapshot"] = {"dsn": standby.dsn, "chunk_rows": 40, "mode": "no_data"}
    primary.execute(
        "create table t (id int primary key, v text); insert into t select g, 'old' from generate_series(1, 200) g"
    )
    replica.catch_up()  # slot and publication are there; nothing is copied yet
    replica.settings["snapshot"]["mode"] = "initial"
    end = primary.query("select pg_current_wal_insert_lsn()::text")[0][0]
    eventually(lambda: standby.query("select pg_last_wal_replay_lsn() >= %s::pg_lsn", end) == [(True,)], end)
    standby.query("select pg_wal_replay_pause()")
    eventually(
        lambda: standby.query("select pg_get_wal_replay_pause_state()") == [("paused",)], "it stands still"
    )
    primary.execute("update t set v = 'new' where id % 3 = 0; delete from t where id % 50 = 0")
    return replica


def test_a_copy_waits_until_the_standby_has_replayed(
    primary: Database, tmp_path: Path, looks: list[int]
) -> None:
    with backup(primary, "-R") as server:
        server.start()
        standby = Database(server, "shop")
        replica = prepared(primary, tmp_path / "work", standby)
        with replica.running() as running:
            eventually(lambda: len(looks) > 10, "looked again and again")
            assert not running.are_live()
            standby.query("select pg_wal_replay_resume()")
            running.wait_live()
            primary.execute("insert into t values (1000, 'streamed')")
        replica.assert_equal()
        reads = "select count(*) > 0 from pg_stat_user_tables where relname = 't' and seq_scan + idx_scan > 0"
        assert standby.query(reads) == [(True,)]


def test_without_waiting_a_copy_would_be_wrong(
    primary: Database, tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test before proves something."""
    monkeypatch.setattr(Chunk, "_has_replayed", lambda *_: True)
    monkeypatch.setattr("cdc.source.visibility.Snapshot.shows_all", lambda *_: True)
    with backup(primary, "-R") as server:
        server.start()
        replica = prepared(primary, tmp_path / "work", Database(server, "shop"))
        with replica.running() as running:
            running.wait_live()
        assert looks
        with pytest.raises(AssertionError, match="lacking"):
            replica.assert_equal("public.t")


def test_a_standby_that_cannot_be_reached_is_told(primary: Database, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    replica = replica_of(primary, tmp_path / "work")
    nowhere = psycopg.conninfo.make_conninfo(primary.dsn, port=1)
    replica.settings["snapshot"] = {"dsn": nowhere}
    with replica.running() as running:
        eventually(lambda: running.daemon.status().state == "retrying", "it tries again")
        assert "127.0.0.1:1/shop" in running.daemon.status().error
        assert "refused" in running.daemon.status().error
