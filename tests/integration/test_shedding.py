"""A stuck target holds the slot, and WAL grows over the limit: what cannot keep up is set aside, all else goes on, exactly.

The servers are real, and so is what holds them up: a lock, or a network in which everything stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import conninfo

from cdc.copy_request import CopyRequest
from cdc.daemon import Daemon
from cdc.errors import SlotLost
from cdc.lsn import parse_lsn
from cdc.metrics import exposition
from cdc.status import WarehouseStatus
from cdc.testing.faults import FaultyProxy
from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database, Start, fresh_database

LIMIT = 8 << 20
TABLES = ("public.item", "public.other")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, in less time."""
    monkeypatch.setattr("cdc.guard.PATIENCE", 1.0)
    monkeypatch.setattr("cdc.watch.SAMPLE_SECONDS", 0.3)
    monkeypatch.setattr("cdc.shedding.TAKE_UP", 2.0)
    monkeypatch.setattr("cdc.left_behind.KNOCK_SECONDS", 0.5)
    monkeypatch.setattr("cdc.left_behind.ADVANCE_SECONDS", 0.2)


@pytest.fixture
def target(start_postgres: Start) -> Iterator[Database]:
    """On a server of its own: what is open in the target holds no WAL of the source."""
    with fresh_database(start_postgres(16)) as fresh:
        yield fresh


@pytest.fixture
def replica(database: Database, tmp_path: Path) -> Replica:
    database.execute(
        "create table item (id int primary key, v text); create table other (id int primary key, v text)"
    )
    database.execute("insert into item values (1, 'a'), (2, 'b'); insert into other select * from item")
    return Replica(
        database, tmp_path, source={"retained_limit_bytes": LIMIT, "retained_policy": "park", "tables": list(TABLES)}
    )  # fmt: skip


@pytest.fixture
def proxy(target: Database) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", target.server.port) as proxy:
        yield proxy


def through(proxy: FaultyProxy, target: Database) -> dict[str, Any]:
    dsn = conninfo.make_conninfo(target.dsn, host="127.0.0.1", port=proxy.port)
    return {"kind": "postgres", "dsn": dsn, "connect_timeout": 2}


def change(database: Database, number: int) -> None:
    database.execute(
        f"insert into item values ({number}, 'new'); update other set v = v || {number} where id = 1;"
        f"insert into other values ({number}, 'new'); delete from item where id = {number - 10}"
    )


def write_wal(database: Database) -> None:
    """More than the limit, of no table that is captured; then have the server look what it may throw away."""
    database.execute(
        "create table if not exists noise (v text);"
        "insert into noise select repeat(md5(n::text), 30) from generate_series(1, 12000) n; truncate noise"
    )
    database.execute("checkpoint")


def retained(database: Database) -> int:
    """After the server has looked what it may throw away."""
    database.execute("select pg_log_standby_snapshot()")
    query = "select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) from pg_replication_slots where slot_name = %s"
    return int(database.query(query, database.name)[0][0])


def confirmed(database: Database) -> int:
    query = "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s"
    return parse_lsn(database.query(query, database.name)[0][0])


def warehouse(running: Running, name: str) -> WarehouseStatus:
    return next(each for each in running.daemon.status().warehouses if each.name == name)


def exposed(running: Running) -> str:
    return exposition(running.daemon.status, running.daemon.registry)().decode()


def states(running: Running) -> dict[str, str]:
    return {each.name: each.state for each in running.daemon.status().tables}


def rows(database: Database, table: str) -> list[tuple[Any, ...]]:
    return sorted(database.query(f"select id, v from {table}"))


def are_same(database: Database, target: Database) -> bool:
    there = target.query("select to_regclass('item') is not null and to_regclass('other') is not null")[0][0]
    return there and all(rows(target, table) == rows(database, table) for table in ("item", "other"))


def resync(running: Running) -> None:
    running.daemon.snapshot(CopyRequest(tables=list(TABLES), restart=True))
    eventually(lambda: set(states(running).values()) == {"live"}, f"{running.daemon.status()}")


def overflow(running: Running, database: Database) -> None:
    """WAL grows over the limit, while the line stands still."""
    write_wal(database)
    assert retained(database) > LIMIT
    assert running.daemon.status().source.retained_bytes is not None


def test_a_table_locked_in_the_target_is_parked_and_the_others_go_on(
    replica: Replica, database: Database, target: Database
) -> None:
    replica.into_postgres(target.dsn, lock_timeout=1)
    with replica.running() as running:
        running.wait_live()
        eventually(lambda: are_same(database, target))
        with target.connect() as session, session.transaction():
            session.execute("lock table item in access exclusive mode")
            change(database, 11)
            before = confirmed(database)
            overflow(running, database)
            eventually(lambda: states(running).get("public.item") == "parked", "it is parked")
            table = running.table("public.item")
            assert table is not None
            assert "over [source] retained_limit_bytes" in table.reason
            assert table.mend == "`cdc resync public.item` copies it anew"
            change(database, 12)
            eventually(lambda: rows(target, "other") == rows(database, "other"), "the other goes on")
            eventually(lambda: confirmed(database) > before and retained(database) < LIMIT, "the slot, too")
        assert states(running) == {"public.item": "parked", "public.other": "live"}
        assert rows(target, "item") == [(1, "a"), (2, "b")]
        resync(running)
        change(database, 13)
        eventually(lambda: rows(target, "item") == rows(database, "item"))
    replica.assert_equal()


def test_a_warehouse_that_stands_still_is_left_behind_and_the_other_one_is_exact(
    replica: Replica, database: Database, target: Database, proxy: FaultyProxy
) -> None:
    replica.settings["warehouses.away"] = through(proxy, target)
    with replica.running() as running:
        running.wait_live()
        eventually(lambda: are_same(database, target))
        proxy.stall()
        change(database, 11)
        before = confirmed(database)
        overflow(running, database)
        eventually(lambda: warehouse(running, "away").parked != "", "it is left behind")
        assert {each.state for each in warehouse(running, "away").tables} == {"parked"}
        assert warehouse(running, "away").behind_seconds is None
        assert 'cdc_warehouse_parked{warehouse="away"} 1.0' in exposed(running)
        change(database, 12)
        eventually(lambda: confirmed(database) > before and retained(database) < LIMIT, "the slot goes on")
        eventually(lambda: warehouse(running, "local").behind_seconds == 0, "and the other warehouse")
        assert warehouse(running, "local").parked == ""
        report = running.daemon.verify()
        assert {(each.warehouse, each.equal) for each in report.tables} == {("local", True), ("away", False)}
        assert not report.equal
        proxy.flow()
        eventually(lambda: warehouse(running, "away").parked == "", "it is back")
        eventually(lambda: set(states(running).values()) == {"parked"}, "but lacks what was between")
        change(database, 13)
        resync(running)
        change(database, 14)
        eventually(lambda: are_same(database, target))
    replica.assert_equal()


def test_the_only_warehouse_is_away_and_the_slot_goes_on_unread(
    replica: Replica, database: Database, target: Database, proxy: FaultyProxy
) -> None:
    replica.settings["warehouses.local"] = through(proxy, target)
    with replica.running() as running:
        running.wait_live()
        eventually(lambda: are_same(database, target))
        proxy.refuse()
        change(database, 11)
        before = confirmed(database)
        overflow(running, database)
        eventually(lambda: confirmed(database) > before and retained(database) < LIMIT, "the slot goes on")
        status = running.daemon.status()
        assert status.state == "retrying"
        assert "every warehouse is left behind" in status.error
        change(database, 12)
        proxy.flow()
        eventually(lambda: set(states(running).values()) == {"parked"}, "it is back")
        assert all("the slot went on" in table.reason for table in running.daemon.status().tables)
        resync(running)
        change(database, 13)
        eventually(lambda: are_same(database, target))
    replica.assert_equal()


def test_a_restart_while_a_warehouse_is_away_comes_to_the_same(
    replica: Replica, database: Database, target: Database, proxy: FaultyProxy
) -> None:
    replica.settings["warehouses.local"] = through(proxy, target)
    replica.catch_up()
    proxy.refuse()
    change(database, 11)
    write_wal(database)
    before = confirmed(database)
    stop = threading.Event()
    thread = threading.Thread(target=Daemon(replica.config).run, args=(stop,))
    thread.start()
    eventually(lambda: confirmed(database) > before and retained(database) < LIMIT, "the slot goes on")
    stop.set()
    thread.join()
    proxy.flow()
    replica.settings["source"]["retained_policy"] = "alert"
    with pytest.raises(SlotLost, match="ahead of the warehouse"):
        replica.catch_up()
    replica.settings["source"]["retained_policy"] = "park"
    with replica.running() as running:
        eventually(lambda: set(states(running).values()) == {"parked"}, "it lacks what was between")
        resync(running)
    replica.assert_equal()


def test_a_line_that_catches_up_is_left_alone(replica: Replica, database: Database) -> None:
    replica.catch_up()
    change(database, 11)
    write_wal(database)
    with replica.running() as running:
        running.wait_live()
        eventually(lambda: retained(database) < LIMIT)
        assert set(states(running).values()) == {"live"}
    replica.assert_equal()
