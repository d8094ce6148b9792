"""`cdc check` of the source: each precondition is broken on a real server, found, and mended by the very fix that is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from cdc.check import Check
from cdc.config import SourceSettings
from cdc.embedded import EmbeddedPostgres
from cdc.preflight import check_source
from cdc.source.connect import connect
from cdc.source.slot import ensure_slot
from cdc.source.stream import Stream
from tests.fixtures.postgres import Database, PostgresServer


def found(settings: SourceSettings) -> list[Check]:
    return [check for check in check_source(settings) if check.state != "ok"]


def the(settings: SourceSettings, name: str) -> Check:
    """The one check of this name that is not ok."""
    checks = [check for check in found(settings) if check.name == name]
    assert len(checks) == 1, found(settings)
    return checks[0]


def run(database: Database, fix: str) -> None:
    """As psql would: one statement after the other, in sessions of the superuser."""
    for statement in fix.split("; "):
        database.execute(statement)


def mended(database: Database, settings: SourceSettings, name: str, *, state: str = "fail") -> Check:
    """The check fails; its fix is run; it fails no more."""
    check = the(settings, name)
    assert check.state == state
    run(database, check.fix)
    deadline = time.monotonic() + 5  # a reload takes a moment
    while any(each.name == name for each in found(settings)):
        assert time.monotonic() < deadline, found(settings)
        time.sleep(0.01)
    return check


def settings_of(database: Database, **more: Any) -> SourceSettings:
    return SourceSettings(dsn=database.dsn, slot=database.name, **more)


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    name = f"Role of {database.name}"
    database.execute(f"create role \"{name}\" login replication password 'x'")
    yield name
    database.execute(f'drop owned by "{name}"; drop role "{name}"')


def as_role(database: Database, role: str, **more: Any) -> SourceSettings:
    return SourceSettings(dsn=database.server.dsn(database.name, role, "x"), slot=database.name, **more)


def test_nothing_to_complain_about(every_database: Database) -> None:
    every_database.execute("create table t (id int primary key)")
    settings = settings_of(every_database)
    assert found(settings) == []
    names = [check.name for check in check_source(settings)]
    assert names[:3] == ["connection", "version", "wal_level"]
    assert {"publication", "slot", "plugin", "table public.t", "max_slot_wal_keep_size"} <= set(names)
    assert every_database.slots() == []


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


def test_a_role_that_may_nothing(database: Database) -> None:
    """Its way to a passing check, fix by fix."""
    name = f"Poor {database.name}"
    database.execute(
        f'create role "{name}" login password \'x\'; create schema s; create table s.t (id int primary key, "A b" int);'
        f'grant select on all tables in schema pg_catalog to "{name}"'
    )
    settings = as_role(database, name, tables=["s.*"])
    names = [check.name for check in found(settings)]
    assert names == ["replication role", "table s.t", "table s.t", "publication"]
    mended(database, settings, "replication role")
    run(database, "; ".join(check.fix for check in found(settings) if check.name == "table s.t"))
    statement = mended(database, settings, "publication").fix
    assert statement == 'create publication "cdc" for table "s"."t" with (publish_via_partition_root = true)'
    assert found(settings) == []
    with connect(settings) as connection:
        ensure_slot(connection, settings)
        assert connection.execute("select count(*) from s.t").fetchone() == (0,)
    database.execute("select pg_drop_replication_slot(%s)", database.name)
    database.execute(f'drop owned by "{name}"; drop role "{name}"')


def test_a_role_that_may_not_create_in_the_database(database: Database, role: str) -> None:
    database.execute(f'create table t (id int primary key); alter table t owner to "{role}"')
    check = mended(database, as_role(database, role), "publication")
    assert check.fix.startswith("grant create on database")


def test_row_level_security(database: Database, role: str) -> None:
    database.execute(
        f'create table t (id int primary key); alter table t enable row level security; grant select on t to "{role}";'
        "create publication cdc for table t"
    )
    mended(database, as_role(database, role), "table public.t")


def test_tables_without_a_key(every_database: Database) -> None:
    every_database.execute(
        'create table "No Key" (a int); create table nothing (a int primary key);'
        "alter table nothing replica identity nothing;"
        "create table uniq (a int not null, b int); create unique index uniq_a on uniq (a);"
        "create table parts (a int) partition by list (a); create table parts_1 partition of parts default;"
        "create table late (a int, primary key (a) deferrable)"
    )
    settings = settings_of(every_database)
    fixes = [
        mended(every_database, settings, f"table public.{name}").fix for name in ("No Key", "nothing", "uniq")
    ]
    assert fixes == [
        'alter table public."No Key" replica identity full',
        "alter table public.nothing replica identity using index nothing_pkey",
        "alter table public.uniq replica identity using index uniq_a",
    ]
    assert "parts_1" in mended(every_database, settings, "table public.parts").fix
    mended(every_database, settings, "table public.late")
    assert found(settings) == []
    every_database.execute(
        "create publication p for all tables; insert into uniq values (1); update uniq set b = 1; delete from uniq;"
        "insert into parts values (1); update parts set a = 2"
    )


def test_tables_that_are_not_in_the_wal(database: Database) -> None:
    database.execute("create unlogged table u (a int primary key); create table t (a int primary key)")
    mended(database, settings_of(database), "table public.u", state="warn")


def test_globs_that_name_nothing(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    check = the(settings_of(database, tables=["publick.*"]), "tables")
    assert "public.t" in check.detail


def test_publications_that_lack_something(every_database: Database) -> None:
    every_database.execute(
        "create table t (a int primary key); create table u (a int primary key);"
        "create table p (a int primary key) partition by range (a); create table p_1 partition of p default;"
        "create publication cdc for table t with (publish = 'insert')"
    )
    settings = settings_of(every_database)
    check = mended(every_database, settings, "publication")
    assert check.fix == "alter publication \"cdc\" set (publish = 'insert, update, delete, truncate')"
    strict = settings_of(every_database, create=False)
    fixes = [check.fix for check in found(strict) if check.name == "publication"]
    assert fixes == [
        'alter publication "cdc" set (publish_via_partition_root = true)',
        'alter publication "cdc" add table "public"."p", "public"."u"',
    ]
    run(every_database, "; ".join(fixes))
    assert [check.name for check in found(strict)] == ["slot"]
    every_database.execute("alter publication cdc set (publish_via_partition_root = false)")
    assert [check.detail for check in check_source(settings) if "roots" in check.detail] == [
        "cdc: it publishes partitions instead of their roots; `cdc run` will change that",
    ]


def test_a_publication_of_another_owner(database: Database, role: str) -> None:
    database.execute(
        f'create table t (a int primary key); create table u (a int primary key); grant select on t, u to "{role}";'
        "create publication cdc for table t"
    )
    assert mended(database, as_role(database, role), "publication").fix.startswith("alter publication")


def test_row_filters(database: Database) -> None:
    database.execute("create table t (a int primary key); create publication cdc for table t where (a > 5)")
    assert "public.t" in the(settings_of(database), "publication").detail


def test_without_leave_to_create(database: Database) -> None:
    database.execute("create table t (a int primary key)")
    settings = settings_of(database, create=False)
    mended(database, settings, "publication")
    mended(database, settings, "slot")


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
