"""`cdc check` of roles, tables and publications: each precondition broken, found, and mended by the very fix told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdc.preflight import check_source
from cdc.source.connect import connect
from cdc.source.slot import ensure_slot
from tests.fixtures.checks import as_role, found, mended, run, settings_of, the
from tests.fixtures.postgres import Database


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    name = f"Role of {database.name}"
    database.execute(f"create role \"{name}\" login replication password 'x'")
    yield name
    database.execute(f'drop owned by "{name}"; drop role "{name}"')


def test_nothing_to_complain_about(every_database: Database) -> None:
    every_database.execute("create table t (id int primary key)")
    settings = settings_of(every_database)
    assert found(settings) == []
    names = [check.name for check in check_source(settings)]
    assert names[:3] == ["connection", "version", "wal_level"]
    assert {"publication", "slot", "plugin", "table public.t", "max_slot_wal_keep_size"} <= set(names)
    assert every_database.slots() == []


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
