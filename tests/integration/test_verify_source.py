"""The source's part of `cdc verify`: a moment that is exact, and what stands in its way, told with who and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError, SourceUnavailable
from cdc.interfaces import View
from cdc.lsn import Lsn
from cdc.source.moment import Moment
from cdc.verify import verify
from tests.fixtures.postgres import Database
from tests.fixtures.source import settings_of


def no_warehouse(ask: Callable[[], Lsn], timeout: float) -> Mapping[str, View]:
    """A meeting of the source with itself."""
    ask()
    return {}


def run(settings: SourceSettings, *tables: str, **options: Any) -> None:
    verify(settings, no_warehouse, tables, **options)


def leftovers(database: Database) -> list[tuple[Any, ...]]:
    return database.query(
        "select slot_name from pg_replication_slots where temporary and slot_name like 'cdc_verify%'"
        " union all select query from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and state = 'idle in transaction'"
    )


def test_the_moment_sees_what_commits_below_its_lsn(every_database: Database) -> None:
    db = every_database
    db.execute("create table t (id serial primary key)")
    with Moment(settings_of(db)) as moment:
        db.execute("insert into t default values")
        lsn = moment.take(10)
        db.execute("insert into t default values")
        assert moment.connection.execute("select count(*) from public.t").fetchone() == (1,)
        assert moment.connection.execute("show transaction_read_only").fetchone() == ("on",)
        [(behind,)] = db.query("select pg_current_wal_lsn() - '0/0'::pg_lsn")
        assert lsn <= behind
        assert not db.query(
            "select 1 from pg_replication_slots where slot_name like 'cdc_verify%' and active"
        )
    assert leftovers(db) == []


def test_a_table_that_is_not_captured(database: Database) -> None:
    database.execute("create table t (id int primary key)")
    run(settings_of(database), "public.t")
    with pytest.raises(ConfigError, match=r"no captured table is named 'public\.u'.*public\.t"):
        run(settings_of(database), "public.u")


def test_whoever_holds_it_up_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.source.moment.TOLD_EVERY", 0.2)
    database.execute("create table t (id int primary key)")
    told: list[str] = []
    with database.connect(application_name="batch job") as writer, writer.transaction():
        writer.execute("insert into t values (1)")
        with pytest.raises(SourceUnavailable) as raised:
            run(settings_of(database), timeout=1.0, progress=told.append)
    assert "(batch job)" in raised.value.why
    assert any("waiting for process" in each for each in told)
    assert leftovers(database) == []


def test_no_free_slot(database: Database) -> None:
    [(count,)] = database.query(
        "select current_setting('max_replication_slots')::int - count(*) from pg_replication_slots"
    )
    fill = (
        "select pg_create_physical_replication_slot('full_' || g, false, true) from generate_series(1, %s) g"
    )
    with database.connect() as holder:
        holder.execute(fill.encode(), [count])
        with pytest.raises(SourceError, match="raise max_replication_slots by 1"):
            run(settings_of(database))


def test_what_the_role_lacks(database: Database) -> None:
    database.execute("create table t (id int primary key)")
    role = f"{database.name}_role"
    database.execute(f"create role {role} login password 'secret'")
    try:
        dsn = psycopg.conninfo.make_conninfo(database.dsn, user=role, password="secret")
        settings = settings_of(database, dsn)
        with pytest.raises(SourceError, match=f'alter role "{role}" replication'):
            run(settings)
        database.execute(f"alter role {role} replication")
        with pytest.raises(SourceError, match=f'grant select on "public"."t" to "{role}"'):
            run(settings)
        database.execute(f"grant select on t to {role}")
        run(settings)
    finally:
        database.execute(f"drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("statement", ["truncate t", "drop table t", "alter table t alter id type bigint"])
def test_a_table_that_is_altered_meanwhile(database: Database, statement: str) -> None:
    """An older snapshot would show the table as empty."""
    database.execute("create table t (id int primary key); insert into t values (1)")
    altered: list[str] = []

    def alter(what: str) -> None:
        if "comparing" in what and not altered:
            altered.append(statement)
            database.execute(statement)

    with pytest.raises(SourceUnavailable, match=r"public\.t cannot be compared.*try again"):
        run(settings_of(database), progress=alter)
    run(settings_of(database))
    assert leftovers(database) == []
