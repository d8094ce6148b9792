"""`cdc check` of the server, the slot and the plugin: each precondition broken, found, and mended by the fix told."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cdc.config import SourceSettings
from cdc.embedded import EmbeddedPostgres
from cdc.preflight import check_source
from cdc.source.connect import connect
from cdc.source.slot import ensure_slot
from cdc.source.stream import Stream
from tests.fixtures.checks import found, mended, run, settings_of, the
from tests.fixtures.postgres import Database, PostgresServer


@pytest.mark.parametrize(
    ("dsn", "detail", "fix"),
    [
        ("postgresql://nobody@{host}/{database}", "password", "~/.pgpass"),
        (
            "postgresql://postgres:wrong@{host}/{database}",
            'authentication failed for user "postgres"',
            "PGPASSWORD",
        ),
        (
            "postgresql://postgres:{password}@{host}/nowhere",
            'database "nowhere" does not exist',
            "PGDATABASE",
        ),
        ("postgresql://127.0.0.1:1/x", "Connection refused", "listen_addresses"),
        ("postgresql://nowhere.invalid/x", "resolve host", "PGHOST"),
        ("postgresql://postgres:{password}@{host}/{database}?sslmode=require", "SSL", "sslmode"),
        (
            "postgresql://postgres:{password}@{host}/{database}?options=-c%20nonsense%3D1",
            "nonsense",
            "PGOPTIONS",
        ),
    ],
)
def test_no_connection(database: Database, dsn: str, detail: str, fix: str) -> None:
    host = f"127.0.0.1:{database.server.port}"
    known = {"host": host, "database": database.name, "password": database.server.password}
    [check] = check_source(SourceSettings(dsn=dsn.format(**known)))
    assert (check.name, check.state) == ("connection", "fail")
    assert detail in check.detail
    assert fix in check.fix
    assert database.server.password not in check.detail
    assert "wrong" not in check.detail


def test_slots_that_cannot_be_used(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    database.query("select pg_create_physical_replication_slot(%s, true)", database.name)
    assert "physical standby" in the(settings_of(database), "slot").detail
    database.query("select pg_drop_replication_slot(%s)", database.name)
    database.query(
        "select pg_create_logical_replication_slot(%s, 'test_decoding')", database.name
    ) if False else None
    other = Database(database.server, "postgres")
    other.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", database.name)
    assert "belongs to database postgres" in the(settings_of(database), "slot").detail
    other.query("select pg_drop_replication_slot(%s)", database.name)


def test_a_slot_of_another_plugin(database15: Database) -> None:
    database15.execute("create table t (a int primary key)")
    database15.query("select pg_create_logical_replication_slot(%s, 'wal2json')", database15.name)
    assert "was made with wal2json, not pgoutput" in the(settings_of(database15), "slot").detail
    assert found(settings_of(database15, plugin="wal2json")) == []


def test_a_slot_in_use(database: Database) -> None:
    database.execute("create table t (a int primary key); create publication cdc for table t")
    settings = settings_of(database)
    with connect(settings) as connection:
        ensure_slot(connection, settings)
    with Stream(settings, lambda _: (), {"proto_version": "1", "publication_names": "cdc"}):
        check = the(settings, "slot")
        assert (check.state, "application 'cdc'" in check.detail) == ("warn", True)


def test_a_slot_that_lost_its_wal(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    settings = settings_of(database)
    with connect(settings) as connection:
        ensure_slot(connection, settings)
    with database.connect() as admin:
        admin.execute("alter system set max_slot_wal_keep_size = '1MB'")
        admin.execute("select pg_reload_conf()")
        while "cannot be read any more" not in " ".join(check.detail for check in found(settings)):
            for statement in ("insert into t select count(*) from t", "select pg_switch_wal()", "checkpoint"):
                admin.execute(statement.encode())
    assert mended(database, settings, "max_slot_wal_keep_size", state="warn").fix
    mended(database, settings, "slot")
    database.execute("alter system reset max_slot_wal_keep_size")


def test_timeouts_that_are_too_short(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    for setting in ("wal_sender_timeout = '2s'", "idle_replication_slot_timeout = '1h'"):
        database.execute(f"alter system set {setting}")
    database.execute("select pg_reload_conf()")
    settings = settings_of(database)
    while len(found(settings)) < 2:
        time.sleep(0.01)
    mended(database, settings, "wal_sender_timeout", state="warn")
    mended(database, settings, "idle_replication_slot_timeout", state="warn")
    for setting in ("wal_sender_timeout", "idle_replication_slot_timeout"):
        database.execute(f"alter system reset {setting}")
    database.execute("select pg_reload_conf()")


def test_wal2json_is_missing(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    check = the(settings_of(database, plugin="wal2json"), "plugin")
    assert 'could not access file "wal2json"' in check.detail
    assert "postgresql-18-wal2json" in check.fix


def test_wal2json_is_not_allowed(database15: Database) -> None:
    database15.execute("create table t (a int primary key)")
    settings = settings_of(database15, plugin="wal2json")
    database15.execute("alter system set output_plugin_libraries = pgoutput")
    database15.execute("select pg_reload_conf()")
    while not found(settings):
        time.sleep(0.01)
    check = mended(database15, settings, "plugin")
    assert check.fix.startswith("alter system set output_plugin_libraries = pgoutput, wal2json")
    database15.execute("alter system reset output_plugin_libraries")
    database15.execute("select pg_reload_conf()")


def test_encodings(database: Database) -> None:
    admin = Database(database.server, "postgres")
    for encoding, state in (("SQL_ASCII", "warn"), ("LATIN1", "fail")):
        other = Database(database.server, f"{database.name}_{encoding.lower()}")
        admin.execute(f"create database {other.name} encoding {encoding} locale 'C' template template0")
        other.execute("create table t (a int primary key)")
        assert the(settings_of(other, plugin="wal2json"), "encoding").state == state
        admin.execute(f"drop database {other.name}")


@pytest.fixture
def poor_server() -> Iterator[PostgresServer]:
    settings = {"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1"}
    with EmbeddedPostgres(settings=settings) as server:
        yield server


def test_settings_of_the_server(poor_server: PostgresServer) -> None:
    database = Database(poor_server, "postgres")
    database.execute("create table t (a int primary key)")
    database.query("select pg_create_physical_replication_slot('other', true)")
    settings = settings_of(database)
    for name in ("wal_level", "max_replication_slots"):
        check = the(settings, name)
        assert "restart" in check.detail
        run(database, check.fix)
    poor_server.stop()
    poor_server.start()
    assert found(settings) == []
    with connect(settings) as connection:
        ensure_slot(connection, settings)
    database.execute("create publication cdc for table t")
    database.execute("create role other login replication password 'x'")
    other = SourceSettings(dsn=settings.dsn, slot="another")
    with Stream(settings, lambda _: (), {"proto_version": "1", "publication_names": "cdc"}):
        checks = {check.name: check for check in found(other)}
        assert checks.keys() == {"max_wal_senders", "replication connection"}
        run(database, checks["max_wal_senders"].fix)
    poor_server.stop()
    poor_server.start()
    with Stream(settings, lambda _: (), {"proto_version": "1", "publication_names": "cdc"}):
        assert found(other) == []
