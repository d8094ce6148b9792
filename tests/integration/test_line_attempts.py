"""Attempts: what passes is tried again, what does not ends the daemon; and several warehouses at one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cdc.daemon import Daemon
from cdc.errors import SlotLost, SourceUnavailable
from cdc.origin import ORIGIN
from cdc.testing.faults import FaultyProxy
from connectors import duckdb
from tests.fixtures.line import Replica, eventually


@pytest.fixture
def proxy(replica: Replica) -> Iterator[FaultyProxy]:
    """Between the daemon and the server."""
    server = replica.database.server
    replica.database.execute("create table t (id int primary key, v text); insert into t values (0, 'first')")
    with FaultyProxy("127.0.0.1", server.port) as proxy:
        replica.settings["source"]["dsn"] = replica.database.dsn.replace(
            f":{server.port}/", f":{proxy.port}/"
        )
        yield proxy


def test_a_lost_connection_is_made_again(replica: Replica, proxy: FaultyProxy) -> None:
    with replica.running() as running:
        running.wait_live()
        for number in range(1, 4):
            proxy.cut()
            replica.database.execute("insert into t values (%s)", number)
            eventually(lambda n=number: running.table("public.t").inserts == n, "it is applied")
        assert running.daemon.status().state == "streaming"
    replica.assert_equal()


def test_while_nothing_answers_it_says_so_and_stops_at_once(replica: Replica, proxy: FaultyProxy) -> None:
    with replica.running() as running:
        running.wait_live()
        proxy.refuse()
        eventually(lambda: running.daemon.status().state == "retrying", "it tries again")
        assert str(proxy.port) in running.daemon.status().error
    assert running.daemon.status().state == "stopped"
    proxy.flow()
    replica.assert_equal()


def test_the_first_attempt_says_what_is_wrong(replica: Replica, proxy: FaultyProxy) -> None:
    """So that who starts it sees it."""
    proxy.refuse()
    daemon = Daemon(replica.config)
    with pytest.raises(SourceUnavailable, match=str(proxy.port)):
        daemon.run(threading.Event())
    assert daemon.status().state == "failed"


def other(replica: Replica, name: str) -> Path:
    """One more warehouse."""
    path = replica.folder / f"{name}.duckdb"
    replica.settings[f"warehouses.{name}"] = {**replica.settings["warehouses.local"], "path": str(path)}
    return path


def assert_both_equal(replica: Replica, path: Path) -> None:
    replica.assert_equal()
    replica.settings["warehouses.local"]["path"] = str(path)  # only to look at
    assert not replica.differences()
    replica.settings["warehouses.local"]["path"] = str(replica.target)


def test_two_warehouses(replica: Replica, proxy: FaultyProxy) -> None:
    path = other(replica, "second")
    replica.database.execute(
        "create table log (v text); alter table log replica identity full; insert into log values ('a')"
    )
    with replica.running() as running:
        running.wait_live()
        replica.database.execute(
            "insert into t values (1); delete from t where id = 0; insert into log values ('a'), ('b')"
        )
    assert_both_equal(replica, path)


def test_a_warehouse_that_comes_later_gets_everything(replica: Replica, proxy: FaultyProxy) -> None:
    """The others' tables are copied again with it: in this transport all read one stream."""
    replica.catch_up()
    replica.database.execute("insert into t values (1, 'streamed')")
    replica.catch_up()
    path = other(replica, "later")
    assert_both_equal(replica, path)


def test_a_slot_that_was_lost_is_noticed_by_the_warehouse_that_is_ahead(
    replica: Replica, proxy: FaultyProxy
) -> None:
    """Also when the other one knows nothing of any slot."""
    replica.catch_up()
    other(replica, "new")
    replica.database.execute(f"select pg_drop_replication_slot('{replica.database.name}')")
    with pytest.raises(SlotLost, match="is gone"):
        replica.catch_up()


def test_rows_never_stand_in_a_warehouse_without_a_record_of_where_they_come_from(
    replica: Replica, proxy: FaultyProxy
) -> None:
    """Else a slot lost before its first confirmation would not be missed."""
    replica.database.execute("insert into t select g, md5(g::text) from generate_series(1, 20000) g")
    with replica.process() as daemon:
        eventually(lambda: copied_rows(replica.target) or daemon.poll() is not None, "something is copied")
        daemon.kill()
        daemon.wait()
    settings = replica.config.warehouses["local"]
    assert isinstance(settings, duckdb.Settings)
    with closing(duckdb.connect(settings, "local")) as warehouse:
        assert ORIGIN in warehouse.state().controls


def copied_rows(path: Path) -> bool:
    """DuckDB's log has grown: the copy of many rows is there."""
    wal = path.with_name(path.name + ".wal")
    return wal.exists() and wal.stat().st_size > 100_000
