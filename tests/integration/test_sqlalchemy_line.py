"""From PostgreSQL into SQLite and MariaDB by the whole line, compared row by row; and what goes wrong on the way."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
import sqlalchemy

from cdc.errors import EXIT_DIFFERENT, EXIT_OK
from cdc.testing.faults import TO_CLIENT, FaultyProxy
from connectors.sqlalchemy.warehouse import SQLWarehouse
from tests.fixtures.line import Replica, are_live, eventually
from tests.fixtures.mariadb import MariaDB
from tests.fixtures.postgres import Database
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill


@pytest.fixture(params=["sqlite", "mariadb"])
def replica(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Replica:
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").url
    return into(url, database, tmp_path)


def into(url: str, database: Database, folder: Path) -> Replica:
    replica = Replica(database, folder)
    replica.settings["warehouses.local"] = {"kind": "sqlalchemy", "url": url, "lock_timeout": 10}
    return replica


def busy(replica: Replica, seed: int) -> Writer:
    replica.database.execute(SCHEMA)
    fill(replica.database)
    return Writer(replica.database, seed)


def test_whatever_clients_do(replica: Replica) -> None:
    writer = busy(replica, 11)
    replica.settings["snapshot"]["chunk_rows"] = 50
    replica.settings["warehouses.local"]["batch_rows"] = 40
    with replica.running() as running:
        for _ in range(150):
            writer.transaction()
        running.wait_live()
        for _ in range(150):
            writer.transaction()
    writer.close()
    replica.assert_equal(*TABLES)


def test_a_target_of_one_zero_is_equal_all_the_same(replica: Replica) -> None:
    """MariaDB makes 0 of -0, which PostgreSQL takes for equal; rows that have it are found again where there is no key."""
    replica.database.execute(
        "create table f (id int primary key, r real, d float8); insert into f values (1, '-0', '-0'), (2, 0, -1.5);"
        "create table k (r real, d float8); alter table k replica identity full;"
        "insert into k values ('-0', '-0'), ('-0', 1), (0, 2)"
    )
    with replica.running() as running:
        running.wait_live()
        replica.database.execute(
            "insert into f values (3, '-0', '-1e-300'); update f set d = '-0' where id = 2; insert into k values ('-0', 3);"
            "delete from k where d = 1; update k set d = 4 where d in ('-0', 3)"
        )
        report = running.daemon.verify()
        assert report.equal, report
        replica.database.execute("update f set d = 1 where id = 1")
        eventually(lambda: running.errors or running.daemon.verify().equal)


def damage(replica: Replica) -> None:
    """Alter a row of the target behind our back."""
    engine = sqlalchemy.create_engine(replica.settings["warehouses.local"]["url"])
    name = '"public.keyed"' if engine.dialect.name == "sqlite" else "public.keyed"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"update {name} set n = n + 1 where id < 50")
    engine.dispose()


def test_verify_finds_them_equal_and_then_not(replica: Replica) -> None:
    writer = busy(replica, 12)
    for _ in range(50):
        writer.transaction()
    writer.close()
    replica.listen()
    with replica.process() as daemon:
        eventually(lambda: daemon.poll() is not None or are_live(replica.status()), "the daemon is live")
        with replica.process("verify") as verify:
            assert verify.wait(60) == EXIT_OK, verify.communicate()
        damage(replica)
        with replica.process("verify") as verify:
            assert verify.wait(60) == EXIT_DIFFERENT, verify.communicate()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == EXIT_OK, daemon.communicate()


def test_kill_9_in_the_middle(replica: Replica) -> None:
    writer = busy(replica, 13)
    replica.listen()
    stop = threading.Event()
    thread = threading.Thread(target=writer.until, args=(stop,))
    thread.start()
    try:
        for _ in range(2):
            before = writer.committed
            with replica.process() as daemon:
                eventually(lambda: daemon.poll() is not None or are_live(replica.status()), "it is live")
                eventually(lambda: writer.committed > before + 50)  # noqa: B023
                daemon.kill()
                daemon.wait()
    finally:
        stop.set()
        thread.join()
    writer.close()
    replica.assert_equal(*TABLES)


def test_tables_altered_between_rows_of_one_transaction(replica: Replica) -> None:
    """MariaDB commits at DDL: rows that are open in that table are taken back before, and applied again after it."""
    db = replica.database
    db.execute("create table t (id int primary key, v text); alter table t replica identity full")
    db.execute(
        "create table log (v text); alter table log replica identity full; insert into log values ('x'), ('x')"
    )
    db.execute("insert into t values (1, 'before')")
    replica.catch_up()
    db.execute("""insert into t values (2, 'a'); insert into log values ('x'); update t set v = 'b' where id = 1;
        alter table t add column n int default 7; insert into t values (3, 'c', 8); insert into log values ('y');
        alter table log add column w text default 'it''s {x} \\'; insert into log values ('x', 'z');
        alter table t alter column id type bigint; update t set n = n + 1; delete from log where v = 'y'""")
    if "sqlite" not in replica.settings["warehouses.local"]["url"]:
        db.execute("insert into t values (3000000000, 'large', 1)")
    replica.assert_equal("public.t", "public.log")


def test_the_answer_to_a_commit_is_lost(
    mariadb: MariaDB, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was done, and nobody was told: rows of a table without a key must not come twice."""
    database.execute(
        "create table t (v text); alter table t replica identity full; insert into t values ('twice')"
    )
    lost = threading.Event()
    commit = SQLWarehouse._end
    with FaultyProxy("127.0.0.1", mariadb.port) as proxy:
        replica = into(f"mariadb+pymysql://root@127.0.0.1:{proxy.port}/", database, tmp_path)

        def rows() -> int:
            [(count,)] = mariadb.execute("select count(*) from public.t")
            assert isinstance(count, int)
            return count

        def lose_the_answer(warehouse: SQLWarehouse) -> None:
            if not lost.is_set() and rows() == 1:
                lost.set()
                proxy.drop(TO_CLIENT)
                threading.Thread(target=cut_once_committed).start()
            commit(warehouse)

        def cut_once_committed() -> None:
            eventually(lambda: rows() == 3, "it is committed")
            proxy.cut()
            proxy.flow()

        with replica.running() as running:
            running.wait_live()
            monkeypatch.setattr(SQLWarehouse, "_end", lose_the_answer)
            database.execute("insert into t values ('twice'), ('once')")
            eventually(lost.is_set)
            database.execute("insert into t values ('later')")
            eventually(lambda: rows() == 4, "the line goes on")
        into(mariadb.url, database, tmp_path).assert_equal("public.t")


def test_connections_that_are_cut(mariadb: MariaDB, database: Database, tmp_path: Path) -> None:
    with FaultyProxy("127.0.0.1", mariadb.port) as proxy:
        replica = into(f"mariadb+pymysql://root@127.0.0.1:{proxy.port}/", database, tmp_path)
        writer = busy(replica, 14)
        with replica.running() as running:
            for _ in range(3):
                before = writer.committed
                while writer.committed < before + 40:
                    writer.transaction()
                proxy.cut()
            running.wait_live()
        writer.close()
    into(mariadb.url, database, tmp_path).assert_equal(*TABLES)
