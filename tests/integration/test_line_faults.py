"""What goes wrong while the real command runs: one clear message, the right exit code, and nothing lost once it is mended."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cdc.errors import EXIT_FAILED
from tests.fixtures.line import CDC, Replica, are_live, before_each_chunk, eventually
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill

MB = 1 << 20
LARGE = """insert into t select g, (select string_agg(md5((g * 10 + n)::text), '') from generate_series(1, 8) n)
    from generate_series(1, 80000) g"""


def prepared(replica: Replica) -> Replica:
    """One small table, copied."""
    replica.listen()
    replica.database.execute("create table t (id int primary key, v text); insert into t values (0, 'first')")
    replica.catch_up()
    return replica


def until_live(replica: Replica, process: subprocess.Popen[str]) -> None:
    """Wait until it streams and every table is copied."""
    eventually(lambda: process.poll() is not None or are_live(replica.status()), "the daemon is live")
    assert process.poll() is None, process.communicate()


def ended(process: subprocess.Popen[str], code: int) -> str:
    """What it said at its end."""
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "Traceback" not in told
    return told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=False).returncode:
        pytest.skip("nobody but root may mount; the limit of a file's size is tested anyway")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk(replica: Replica, small_disk: Path) -> None:
    replica.settings["warehouses.local"]["path"] = str(small_disk / "warehouse.duckdb")
    prepared(replica)
    with replica.process() as daemon:
        until_live(replica, daemon)
        replica.database.execute(LARGE)
        told = ended(daemon, EXIT_FAILED)
    assert "no space is left on the disk" in told
    assert str(small_disk) in told
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    replica.assert_equal()


def counted(path: str) -> dict[str, int]:
    """How many rows the tables of a DuckDB file have, the shadows too."""
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'public'"
        ).fetchall()
        return {
            name: connection.execute(f"select count(*) from public.{name}").fetchall()[0][0]
            for (name,) in names
        }


def test_a_disk_that_fills_while_a_table_is_copied_anew(replica: Replica, small_disk: Path) -> None:
    """There is room for the table, not for half of its rows again: it stays as it was, and the copy goes on when there is."""
    path = str(small_disk / "warehouse.duckdb")
    replica.settings["warehouses.local"]["path"] = path
    replica.settings["snapshot"] = {"chunk_rows": 1000}
    prepared(replica)
    replica.database.execute(LARGE.replace("80000", "20000"))
    replica.catch_up()
    used = sum(each.stat().st_size for each in small_disk.iterdir())
    (small_disk / "ballast").write_bytes(bytes(12 * MB - used - 3 * MB))
    with replica.process("resync", "public.t") as copying:
        told = ended(copying, EXIT_FAILED)
    assert "no space is left on the disk" in told
    rows = counted(path)
    assert rows.pop("t") == 20001
    assert [0 < gathered < 20001 for gathered in rows.values()] == [True]
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    replica.assert_equal()
    assert counted(path) == {"t": 20001}


def test_a_limit_on_the_size_of_files(replica: Replica) -> None:
    prepared(replica)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 * MB, 8 * MB))  # noqa: E731
    with replica.process(preexec_fn=limit) as daemon:
        until_live(replica, daemon)
        replica.database.execute(LARGE)
        assert "a limit on the size of files was reached" in ended(daemon, EXIT_FAILED)
    replica.assert_equal()


def test_a_file_that_can_only_be_read(replica: Replica, tmp_path: Path) -> None:
    prepared(replica)
    if os.getuid() == 0:  # whom permissions do not hold up
        subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", tmp_path], check=True)
    else:
        replica.target.chmod(0o400)
    try:
        config = replica.folder / "config.toml"
        told = subprocess.run([CDC, "run", "-c", str(config)], capture_output=True, text=True, check=False)
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "--lazy", tmp_path], check=True)
        else:
            replica.target.chmod(0o600)
    assert told.returncode == EXIT_FAILED, told
    assert "Traceback" not in told.stderr
    assert str(replica.target) in told.stderr
    assert "it can only be read" in told.stderr or "may not write" in told.stderr
    replica.assert_equal()


def test_a_table_dropped_while_captured(replica: Replica) -> None:
    """Its last changes are applied, and the others go on."""
    replica.database.execute(
        "create table gone (id int primary key, v text); insert into gone values (1, 'x')"
    )
    prepared(replica)
    with replica.running() as running:
        replica.database.execute("insert into gone values (2, 'y'); insert into t values (1, 'a')")
        replica.database.execute("drop table gone; insert into t values (2, 'b')")
        replica.database.execute("insert into t values (3, 'c')")
        eventually(lambda: (table := running.table("public.t")) and table.inserts == 3, "the others go on")
    replica.assert_equal()


def test_a_table_dropped_before_it_is_copied(replica: Replica) -> None:
    """It is set aside with the reason; a schema that goes with its tables is no different."""
    replica.settings["source"]["tables"] = ["*.*"]
    replica.settings["snapshot"] = {"chunk_rows": 1000}
    db = replica.database
    db.execute(
        "create table a (id int primary key); insert into a select generate_series(1, 20000); create schema s;"
        "create table z (id int primary key); create table s.z (id int primary key); create table s.zz (id int primary key)"
    )
    drop = iter(("drop table z; drop schema s cascade",))
    with before_each_chunk(lambda: db.execute(next(drop, "select"))), replica.running() as running:
        running.wait_live()
        states = {table.name: table.state for table in running.daemon.status().tables}
        reasons = {table.reason for table in running.daemon.status().tables if table.state == "parked"}
    assert states == {"public.a": "live", "public.z": "parked", "s.z": "parked", "s.zz": "parked"}
    assert all("dropped" in reason for reason in reasons)
    replica.assert_equal()


def test_a_publication_dropped_while_running(replica: Replica) -> None:
    prepared(replica)
    with replica.process() as daemon:
        until_live(replica, daemon)
        replica.database.execute(f"drop publication {replica.database.name}")
        replica.database.execute("insert into t values (1, 'x')")
        told = ended(daemon, EXIT_FAILED)
    assert (
        f'publication "{replica.database.name}"' in told or f"publication '{replica.database.name}'" in told
    )
    assert "cdc drop" in told


def test_a_slot_dropped_while_nobody_looked(replica: Replica) -> None:
    prepared(replica)
    replica.database.execute(f"select pg_drop_replication_slot('{replica.database.name}')")
    for _ in range(2):  # also after the attempt has made a new one
        with replica.process() as daemon:
            told = ended(daemon, EXIT_FAILED)
        assert "cdc drop" in told
        assert "is gone" in told or "is ahead of the warehouse" in told
    with replica.process("drop", "--yes") as drop:
        ended(drop, 0)
    replica.database.execute("insert into t values (1, 'x'); delete from t where id = 0")
    replica.assert_equal()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_and_during_the_copy(replica: Replica, number: signal.Signals) -> None:
    """Stopped whenever it may be, the next one goes on, and in the end nothing is missing."""
    replica.settings["snapshot"] = {"chunk_rows": 50}
    replica.settings["source"]["flush_interval"] = 0.2
    replica.database.execute(SCHEMA)
    fill(replica.database)
    stop = threading.Event()
    writer = Writer(replica.database, 1)
    thread = threading.Thread(target=writer.until, args=(stop,))
    thread.start()
    try:
        for rows in (1, 300):
            replica.listen()
            with replica.process() as daemon:
                eventually(lambda rows=rows: work(replica) >= rows, "some work is done")
                daemon.send_signal(number)
                ended(daemon, 0)
    finally:
        stop.set()
        thread.join()
        writer.close()
    replica.assert_equal(*TABLES)


def work(replica: Replica) -> int:
    status = replica.status()
    return sum(table.rows_copied + table.inserts + table.updates for table in status.tables) if status else 0
