"""From PostgreSQL into PostgreSQL by the whole line, compared row by row; and what goes wrong on the way to the target."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import conninfo

from cdc.errors import EXIT_OK
from cdc.testing.faults import TO_CLIENT, FaultyProxy
from connectors.postgres.warehouse import PostgresWarehouse
from tests.fixtures.line import Replica, are_live, eventually
from tests.fixtures.postgres import Database
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill


@pytest.fixture
def replica(database: Database, target: Database, tmp_path: Path) -> Replica:
    return Replica(database, tmp_path).into_postgres(target.dsn)


@pytest.fixture
def proxy(target: Database) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", target.server.port) as proxy:
        yield proxy


def through(proxy: FaultyProxy, target: Database) -> str:
    return conninfo.make_conninfo(target.dsn, host="127.0.0.1", port=proxy.port)


def busy(replica: Replica, seed: int) -> Writer:
    replica.database.execute(SCHEMA)
    fill(replica.database)
    return Writer(replica.database, seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_clients_do(replica: Replica, seed: int) -> None:
    writer = busy(replica, seed)
    replica.settings["snapshot"]["chunk_rows"] = 50
    replica.settings["warehouses.local"]["batch_rows"] = 40
    with replica.running() as running:
        for _ in range(300):
            writer.transaction()
        running.wait_live()
        for _ in range(300):
            writer.transaction()
    writer.close()
    replica.assert_equal(*TABLES)


def test_verify_finds_them_equal_and_then_not(replica: Replica, target: Database) -> None:
    writer = busy(replica, 3)
    for _ in range(50):
        writer.transaction()
    writer.close()
    replica.listen()
    with replica.process() as daemon:
        eventually(lambda: daemon.poll() is not None or are_live(replica.status()), "the daemon is live")
        with replica.process("verify") as verify:
            assert verify.wait(60) == EXIT_OK, verify.communicate()
        target.execute("update keyed set n = n + 1 where id = (select min(id) from keyed)")
        with replica.process("verify") as verify:
            assert verify.wait(60) == 3
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == EXIT_OK, daemon.communicate()


def test_kill_9_in_the_middle(replica: Replica) -> None:
    writer = busy(replica, 4)
    replica.listen()
    stop = threading.Event()
    thread = threading.Thread(target=writer.until, args=(stop,))
    thread.start()
    try:
        for _ in range(3):
            before = writer.committed
            with replica.process() as daemon:
                eventually(
                    lambda: daemon.poll() is not None or are_live(replica.status()), "the daemon is live"
                )
                eventually(lambda: writer.committed > before + 50)  # noqa: B023
                daemon.kill()
                daemon.wait()
    finally:
        stop.set()
        thread.join()
    writer.close()
    replica.assert_equal(*TABLES)


def test_connections_that_are_cut(replica: Replica, target: Database, proxy: FaultyProxy) -> None:
    replica.settings["warehouses.local"]["dsn"] = through(proxy, target)
    writer = busy(replica, 5)
    with replica.running() as running:
        for _ in range(4):
            before = writer.committed
            while writer.committed < before + 60:
                writer.transaction()
            proxy.cut()
        running.wait_live()
    writer.close()
    replica.settings["warehouses.local"]["dsn"] = target.dsn
    replica.assert_equal(*TABLES)


def test_the_answer_to_a_commit_is_lost(
    replica: Replica, target: Database, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was done, and nobody was told: rows of a table without a key must not come twice."""
    replica.settings["warehouses.local"]["dsn"] = through(proxy, target)
    db = replica.database
    db.execute("create table t (v text); alter table t replica identity full; insert into t values ('twice')")
    lost = threading.Event()
    commit = PostgresWarehouse._end

    def lose_the_answer(warehouse: PostgresWarehouse, how: str) -> None:
        if not lost.is_set() and target.query("select count(*) from t") == [(1,)]:
            lost.set()
            proxy.drop(TO_CLIENT)
            threading.Thread(target=cut_once_committed).start()
        commit(warehouse, how)

    def cut_once_committed() -> None:
        eventually(lambda: target.query("select count(*) from t") == [(3,)], "it is committed")
        proxy.cut()
        proxy.flow()

    with replica.running() as running:
        running.wait_live()
        eventually(lambda: target.query("select to_regclass('t') is not null") == [(True,)], "it is copied")
        eventually(lambda: target.query("select count(*) from t") == [(1,)], "it is copied")
        monkeypatch.setattr(PostgresWarehouse, "_end", lose_the_answer)
        db.execute("insert into t values ('twice'), ('once')")
        eventually(lost.is_set)
        db.execute("insert into t values ('later')")
        eventually(lambda: target.query("select count(*) from t where v = 'later'") == [(1,)])
    replica.settings["warehouses.local"]["dsn"] = target.dsn
    replica.assert_equal("public.t")


def test_a_huge_transaction_in_pieces(replica: Replica) -> None:
    replica.settings["warehouses.local"]["batch_rows"] = 1000
    db = replica.database
    db.execute("create table t (id int primary key, v text)")
    replica.catch_up()
    db.execute("""begin; insert into t select g, 'v' || g from generate_series(1, 20000) g;
        update t set v = 'new' where id % 2 = 0; delete from t where id % 10 = 0; commit""")
    replica.assert_equal("public.t")


def test_what_the_target_has_of_its_own(replica: Replica, target: Database) -> None:
    """Columns, triggers and constraints of the target's owner stay, and hold."""
    db = replica.database
    db.execute(
        "create table t (id int primary key, v text); insert into t select g, 'v' from generate_series(1, 1000) g"
    )
    target.execute("""create table t (id int, mine text default 'kept', v varchar(9), primary key (id));
        create table log (id int);
        create function logged() returns trigger language plpgsql as
            $$ begin insert into public.log values (new.id); return new; end $$;
        create trigger logged before update on t for each row execute function logged()""")
    replica.catch_up()
    target.execute("update t set mine = 'changed' where id = 5; truncate log")
    db.execute("update t set v = 'w' where id <= 600")
    replica.assert_equal("public.t")
    assert target.query("select mine, v from t where id = 5") == [("changed", "w")]
    assert target.query("select count(*) from log") == [(600,)]
