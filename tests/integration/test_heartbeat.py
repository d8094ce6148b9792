"""The heartbeat: by a statement of the user's, and where it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database


@pytest.fixture
def replica(database: Database, tmp_path: Path) -> Replica:
    database.execute("create table item (id int primary key); create table beat (at timestamptz)")
    database.execute("insert into beat values ('2000-01-01')")
    return Replica(database, tmp_path, source={"tables": ["public.item"], "heartbeat_interval": 1})


def beats(running: Running) -> float:
    return running.daemon.registry.get_sample_value("cdc_heartbeats_total") or 0


def is_in_sync(running: Running) -> bool:
    return bool(running.errors) or running.daemon.status().warehouses[0].behind_seconds == 0


def test_it_executes_the_statement_that_is_given(replica: Replica, database: Database) -> None:
    replica.settings["source"]["heartbeat_query"] = "update public.beat set at = now()"
    with replica.running() as running:
        running.wait_live()
        eventually(lambda: running.errors or beats(running) >= 2, "it beats again and again")
        eventually(lambda: is_in_sync(running), "it is in sync")
    assert database.query("select at > now() - interval '1 hour' from beat") == [(True,)]


def test_one_that_is_refused_is_told_once_and_the_line_goes_on(replica: Replica, database: Database) -> None:
    replica.settings["source"]["heartbeat_query"] = "update public.nowhere set at = now()"
    with capture_logs() as told, replica.running() as running:
        running.wait_live()
        database.execute("insert into item values (1)")
        eventually(lambda: (table := running.table("public.item")) and table.inserts == 1)
        proved = running.daemon.status().source.proved_at or 0
        eventually(lambda: (running.daemon.status().source.proved_at or 0) > proved + 2, "it is asked again")
        assert is_in_sync(running)  # the source is still asked where it is
        assert beats(running) == 0
        assert running.daemon.status().state == "streaming"
    [refused] = [each for each in told if each["event"] == "heartbeat.refused"]
    assert refused["why"] == 'relation "public.nowhere" does not exist'
    assert "heartbeat_query" in refused["hint"]
