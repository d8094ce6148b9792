"""The stream when something is wrong: each failure made to happen, told clearly, and nothing lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from cdc.config import SourceSettings
from cdc.errors import SlotLost, SourceError, SourceUnavailable
from cdc.events import Idle
from cdc.source.connect import connect
from cdc.source.messages import CommitMessage, InsertMessage
from cdc.source.slot import ensure_slot
from cdc.testing.faults import FaultyProxy
from tests.fixtures.postgres import Database
from tests.fixtures.source import (
    active,
    confirm_whatever_comes,
    confirmed,
    eventually,
    ids,
    open_stream,
    prepared,
    settings_of,
)


@pytest.fixture
def proxy(database: Database) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", database.server.port) as proxy:
        yield proxy


def through(proxy: FaultyProxy, database: Database) -> str:
    return database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/")


def test_a_slot_in_use_names_its_user(database: Database) -> None:
    settings = prepared(database)
    with open_stream(settings):
        [(pid,)] = database.query(
            "select active_pid from pg_replication_slots where slot_name = %s", database.name
        )
        with pytest.raises(
            SourceUnavailable, match=rf"in use: process {pid} of the server, application 'cdc'"
        ):
            open_stream(settings)


def test_a_missing_slot_is_lost(every_database: Database) -> None:
    with pytest.raises(
        SlotLost, match=r'127.0.0.1:\d+/test\w*_\d+: .* "test\w*_\d+" does not exist \(.*cdc drop'
    ):
        open_stream(settings_of(every_database))


def test_an_invalidated_slot_is_lost(every_database: Database) -> None:
    settings = prepared(every_database)
    with every_database.connect() as admin:
        admin.execute("alter system set max_slot_wal_keep_size = '1MB'")
        admin.execute("select pg_reload_conf()")
        try:
            while admin.execute(
                "select wal_status from pg_replication_slots where slot_name = %s", [every_database.name]
            ).fetchone() != ("lost",):
                admin.execute("insert into t select coalesce(max(id), 0) + 1 from t")
                admin.execute("select pg_switch_wal()")
                admin.execute("checkpoint")
        finally:
            admin.execute("alter system reset max_slot_wal_keep_size")
            admin.execute("select pg_reload_conf()")
    with pytest.raises(SlotLost, match="cdc drop"):
        open_stream(settings)
    with connect(settings) as connection, pytest.raises(SlotLost, match="invalidated"):
        ensure_slot(connection, settings)


def test_a_missing_publication_is_an_error_with_the_first_change(every_database: Database) -> None:
    settings = settings_of(every_database)
    every_database.execute("create table t (id int primary key)")
    with connect(settings) as connection:
        ensure_slot(connection, settings)
    every_database.execute("insert into t values (1)")
    before = confirmed(every_database)
    message = "publication 'cdc' is missing where the stream"
    with open_stream(settings) as stream, pytest.raises(SlotLost, match=message):
        confirm_whatever_comes(stream)
    with every_database.connect() as connection:
        [(waiting,)] = connection.execute(
            "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) from pg_replication_slots where slot_name = %s",
            [every_database.name],
        ).fetchall()
    assert waiting > 0
    assert confirmed(every_database) >= before


def test_a_cut_connection_resumes_without_loss(database: Database, proxy: FaultyProxy) -> None:
    settings = prepared(database, through(proxy, database))
    got: list[int] = []
    with database.connect() as writer:
        for batch in range(10):
            writer.execute(
                "insert into t select n, repeat('y', 200) from generate_series(%s::int, %s::int) n",
                [batch * 1000 + 1, batch * 1000 + 1000],
            )
    attempts = 0
    durable: set[int] = set()
    while len(durable) < 10_000:
        attempts += 1
        proxy.cut_after(900_000)
        try:
            with closing(open_stream(settings)) as stream:
                for event in stream:
                    if isinstance(event, InsertMessage):
                        got.append(int(event.new[0]))  # type: ignore[arg-type]
                    elif isinstance(event, CommitMessage):
                        durable.update(got)
                        got.clear()
                        stream.confirm(event.end_lsn)
                        if len(durable) == 10_000:
                            break
        except SourceUnavailable:
            got.clear()
            proxy.flow()
            eventually(lambda: not active(database))
    assert durable == set(range(1, 10_001))
    assert attempts > 1


def test_a_refused_connection_is_for_later(database: Database, proxy: FaultyProxy) -> None:
    settings = prepared(database, through(proxy, database))
    proxy.refuse()
    with pytest.raises(SourceUnavailable, match=rf"127.0.0.1:{proxy.port}/{database.name}"):
        open_stream(settings)


def test_a_server_that_shuts_down_is_not_held_up(database: Database) -> None:
    settings = prepared(database)
    database.execute("insert into t values (1)")
    stream = open_stream(settings)
    stopping = threading.Thread(target=database.server.stop)
    with stream:
        assert ids(stream, 1) == [1]
        begun = time.monotonic()
        stopping.start()
        with pytest.raises(SourceUnavailable):
            confirm_whatever_comes(stream)
    stopping.join()
    assert time.monotonic() - begun < 5
    with pytest.raises(SourceUnavailable):
        open_stream(settings)


def test_a_terminated_walsender_is_for_later(database: Database) -> None:
    with open_stream(prepared(database)) as stream:
        terminate = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s"
        database.query(terminate, database.name)
        with pytest.raises(SourceUnavailable, match="terminating connection"):
            confirm_whatever_comes(stream)


def test_a_dead_feedback_is_noticed_by_the_server_only(database: Database, proxy: FaultyProxy) -> None:
    """The server hangs up on a silent client; what it had confirmed stands."""
    dsn = through(proxy, database) + "?options=-c%20wal_sender_timeout%3D500ms"
    settings = prepared(database, dsn)
    with open_stream(settings) as stream:
        proxy.drop("to_server")
        with pytest.raises(SourceUnavailable):
            confirm_whatever_comes(stream)


def test_a_wrong_slot_name_never_reaches_the_server_as_sql(database: Database) -> None:
    settings = SourceSettings(dsn=database.dsn, slot='a" LOGICAL 0/0; --')
    with pytest.raises(SourceError):
        open_stream(settings)
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_stalled_and_then_slow_network_loses_nothing(database: Database, proxy: FaultyProxy) -> None:
    settings = prepared(database, through(proxy, database))
    with open_stream(settings) as stream:
        assert isinstance(next(iter(stream)), Idle)
        proxy.stall()
        database.execute("insert into t select n, repeat('x', 100) from generate_series(1, 2000) n")
        proxy.throttle(1 << 20)
        threading.Timer(0.7, proxy.resume).start()
        assert ids(stream, 2000) == list(range(1, 2001))
    assert proxy.connections == 1
