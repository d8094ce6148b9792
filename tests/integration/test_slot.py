"""Publication and slot on real servers: made, adopted, widened, dropped, and never taken from somebody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cdc.config import SourceSettings
from cdc.errors import SlotLost, SourceError, SourceUnavailable
from cdc.source.connect import Connection, connect
from cdc.source.publication import read_publication
from cdc.source.slot import (
    drop_slot,
    ensure_publication,
    ensure_slot,
    read_identity,
    read_position,
    read_slot,
    written_until,
)
from cdc.source.stream import Stream
from tests.fixtures.postgres import Database

T, U, P = ("public", "t"), ("public", "u"), ("public", "p")


def settings_of(database: Database, **more: Any) -> SourceSettings:
    return SourceSettings(dsn=database.dsn, slot=database.name, **more)


@pytest.fixture
def every_connection(every_database: Database) -> Iterator[Connection]:
    with connect(settings_of(every_database)) as connection:
        yield connection


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with connect(settings_of(database)) as connection:
        yield connection


def eventually(fact: Callable[[], Any]) -> None:
    while not fact():
        time.sleep(0.01)


def tables(database: Database) -> None:
    database.execute(
        "create table t (a int primary key); create table u (a int primary key);"
        "create table p (a int primary key) partition by range (a); create table p_1 partition of p default"
    )


def test_slot_is_made_and_adopted(every_database: Database, every_connection: Connection) -> None:
    settings = settings_of(every_database)
    before = read_position(every_connection)
    made = ensure_slot(every_connection, settings)
    assert (made.created, made.plugin, made.database) == (True, "pgoutput", every_database.name)
    assert made.confirmed_lsn >= before
    assert (made.active_pid, made.wal_status, made.lost) == (None, "reserved", "")
    adopted = ensure_slot(every_connection, settings)
    assert not adopted.created
    assert adopted.confirmed_lsn == made.confirmed_lsn
    identity = read_identity(every_connection, settings.slot)
    assert (identity.database, identity.slot, identity.timeline) == (every_database.name, settings.slot, 1)
    assert identity.system_identifier > 1 << 60
    assert drop_slot(every_connection, settings)
    assert not drop_slot(every_connection, settings)
    assert read_slot(every_connection, settings.slot) is None


def test_slot_of_wal2json(database15: Database) -> None:
    settings = settings_of(database15, plugin="wal2json")
    with connect(settings) as connection:
        assert ensure_slot(connection, settings).plugin == "wal2json"
        with pytest.raises(SourceError, match="its plugin is wal2json, not pgoutput"):
            ensure_slot(connection, settings_of(database15))


def test_slot_is_not_taken_from_another_database(database: Database, connection: Connection) -> None:
    other = Database(database.server, "postgres")
    other.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", database.name)
    try:
        with pytest.raises(SourceError, match="belongs to database 'postgres'"):
            ensure_slot(connection, settings_of(database))
    finally:
        other.query("select pg_drop_replication_slot(%s)", database.name)


def test_slot_is_not_made_unasked(database: Database, connection: Connection) -> None:
    with pytest.raises(
        SlotLost, match=r"create is false \(run `select pg_create_logical_replication_slot\('test"
    ):
        ensure_slot(connection, settings_of(database, create=False))
    assert database.slots() == []


def test_slot_waits_for_whoever_is_writing(database: Database, connection: Connection) -> None:
    tables(database)
    with database.connect() as writer, writer.transaction():
        writer.execute("insert into t values (1)")
        making = threading.Thread(target=ensure_slot, args=(connection, settings_of(database)))
        making.start()
        eventually(
            lambda: database.query(
                "select 1 from pg_stat_activity where wait_event = 'transactionid' and application_name = 'cdc'"
            )
        )
        time.sleep(5.2)  # longer than the lock_timeout of the session
        assert making.is_alive()
    making.join()
    slot = read_slot(connection, database.name)
    assert slot
    assert slot.confirmed_lsn


def test_slot_in_use_is_not_dropped(database: Database, connection: Connection) -> None:
    settings = settings_of(database)
    ensure_slot(connection, settings)
    with Stream(settings, lambda _: (), {"proto_version": "1", "publication_names": "cdc"}):
        with pytest.raises(SourceUnavailable, match=r"in use: process \d+ of the server, application 'cdc'"):
            drop_slot(connection, settings)
        assert database.slots() == [settings.slot]
    eventually(lambda: (slot := read_slot(connection, settings.slot)) and slot.active_pid is None)
    drop_slot(connection, settings)


def test_no_room_for_a_slot_is_for_later(database: Database, connection: Connection) -> None:
    [(most,)] = database.query("select current_setting('max_replication_slots')::int")
    for number in range(most):
        database.query(
            "select pg_create_logical_replication_slot(%s, 'pgoutput')", f"{database.name}_{number}"
        )
    with pytest.raises(SourceUnavailable, match=r"all replication slots are in use .*max_replication_slots"):
        ensure_slot(connection, settings_of(database))


def test_position_is_reached_by_the_stream(database: Database, connection: Connection) -> None:
    database.execute("create table t (a int)")
    position = read_position(connection)
    eventually(lambda: database.query("select pg_current_wal_flush_lsn() - '0/0'")[0][0] >= position)


def test_position_at_the_start_of_a_page_is_that_page() -> None:
    assert [written_until(8192 * 7 + past) for past in (0, 24, 40, 48)] == [8192 * 7] * 3 + [8192 * 7 + 48]


def test_publication_is_made_and_widened(every_database: Database, every_connection: Connection) -> None:
    tables(every_database)
    settings = settings_of(every_database)
    made = ensure_publication(every_connection, settings, [T])
    assert (made.created, made.ours, made.via_root, made.tables) == (True, True, True, {T})
    assert made.actions == ("insert", "update", "delete", "truncate")
    wider = ensure_publication(every_connection, settings, [T, U, P])
    assert (wider.created, wider.ours, wider.tables) == (False, True, {T, U, P})
    assert ensure_publication(every_connection, settings, [U]) == wider
    ensure_slot(every_connection, settings)
    drop_slot(every_connection, settings)
    assert read_publication(every_connection, settings.publication) is None


def test_publication_of_somebody_is_adopted_and_kept(
    every_database: Database, every_connection: Connection
) -> None:
    tables(every_database)
    every_database.execute("create publication cdc for table t")
    settings = settings_of(every_database)
    adopted = ensure_publication(every_connection, settings, [T, P])
    assert (adopted.ours, adopted.via_root, adopted.tables) == (False, True, {T, P})
    drop_slot(every_connection, settings)
    assert read_publication(every_connection, "cdc")


def test_publication_for_all_tables_is_adopted(
    every_database: Database, every_connection: Connection
) -> None:
    tables(every_database)
    every_database.execute("create publication cdc for all tables")
    adopted = ensure_publication(every_connection, settings_of(every_database), [T, U])
    assert adopted.all_tables
    assert ensure_publication(every_connection, settings_of(every_database), [T, U, P]).via_root


def test_publication_that_we_may_not_make(database: Database) -> None:
    tables(database)
    role = f"poor_{database.name}"
    database.execute(
        f"create role {role} login replication password 'x'; grant create on database {database.name} to {role}"
    )
    settings = SourceSettings(dsn=database.server.dsn(database.name, role, "x"), slot=database.name)
    statement = (
        r'`create publication "cdc" for table "public"."t" with \(publish_via_partition_root = true\)`'
    )
    with connect(settings) as connection:
        with pytest.raises(SourceError, match=rf"must be owner of table t \(as the owner .* run {statement}"):
            ensure_publication(connection, settings, [T])
        with pytest.raises(SourceError, match=rf"create is false \(run {statement}"):
            ensure_publication(connection, settings_of(database, create=False), [T])
    database.execute(f"drop owned by {role}; drop role {role}")


def test_names_are_quoted(database: Database, connection: Connection) -> None:
    table = ('Odd "S', "100%s")
    database.execute('create schema "Odd ""S"; create table "Odd ""S"."100%s" (a int primary key)')
    settings = settings_of(database, publication='P "1"')
    assert ensure_publication(connection, settings, [table]).tables == {table}
    assert read_publication(connection, "p 1") is None


def test_a_widened_publication_waits_for_whoever_wrote_before(
    database: Database, connection: Connection
) -> None:
    """Else a transaction that wrote before and commits after would be in no snapshot and in no stream."""
    tables(database)
    settings = settings_of(database)
    ensure_publication(connection, settings, [T])
    done = threading.Event()

    def widen() -> None:
        ensure_publication(connection, settings, [T, P])
        done.set()

    with database.connect() as writer, database.connect() as later, later.transaction():
        later.execute("insert into t values (5)")  # a table that was in it before
        with writer.transaction():
            writer.execute("insert into p values (1)")
            threading.Thread(target=widen).start()
            eventually(lambda: database.query("select 1 from pg_publication_tables where tablename = 'p'"))
            assert not done.wait(0.2)
        assert done.wait(2)
