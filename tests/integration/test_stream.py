"""The stream on real servers: prompt, patient with a slow reader, honest about what is durable, clear about what is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from cdc.config import SourceSettings
from cdc.errors import SlotLost, SourceError, SourceUnavailable
from cdc.events import Idle
from cdc.source.connect import connect
from cdc.source.frames import PAYLOAD
from cdc.source.messages import CommitMessage, InsertMessage, RelationMessage
from cdc.source.pgoutput import PgoutputDecoder
from cdc.source.slot import ensure_publication, ensure_slot, read_position, read_slot
from cdc.source.stream import Stream
from cdc.testing.faults import FaultyProxy
from tests.fixtures.postgres import Database

OPTIONS = {"proto_version": "1", "publication_names": '"cdc"'}


def settings_of(database: Database, dsn: str = "", **more: Any) -> SourceSettings:
    return SourceSettings(dsn=dsn or database.dsn, slot=database.name, **more)


def prepared(database: Database, dsn: str = "") -> SourceSettings:
    """A table t(id, text) with its publication and slot."""
    database.execute("create table t (id int primary key, text text)")
    settings = settings_of(database, dsn)
    with connect(settings_of(database)) as connection:
        ensure_publication(connection, settings, [("public", "t")])
        ensure_slot(connection, settings)
    return settings


def open_stream(settings: SourceSettings) -> Stream:
    """A stream whose events are the decoder's messages: this file is about the edge, not about what is built on it."""
    decode = PgoutputDecoder()
    feed: Any = lambda frame: [decode(frame, PAYLOAD)]  # noqa: E731
    return Stream(settings, feed, OPTIONS)


def ids(stream: Stream, until: int, confirm: bool = True) -> list[int]:
    """Inserted ids up to the commit after `until`."""
    found: list[int] = []
    for event in stream:
        if isinstance(event, InsertMessage):
            found.append(int(event.new[0]))  # type: ignore[arg-type]
        elif isinstance(event, CommitMessage):
            if confirm:
                stream.confirm(event.end_lsn)
            if found and found[-1] >= until:
                break
    return found


def confirm_whatever_comes(stream: Stream) -> None:
    for event in stream:
        if isinstance(event, Idle):
            stream.confirm(event.wal_end)


def eventually(fact: Callable[[], Any]) -> None:
    """Wait for a fact; the test's timeout is the limit."""
    while not fact():
        time.sleep(0.01)


def confirmed(database: Database) -> int:
    with connect(settings_of(database)) as connection:
        slot = read_slot(connection, database.name)
        assert slot
        return slot.confirmed_lsn


def active(database: Database) -> bool:
    with connect(settings_of(database)) as connection:
        slot = read_slot(connection, database.name)
        assert slot
        return slot.active_pid is not None


@pytest.fixture
def proxy(database: Database) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", database.server.port) as proxy:
        yield proxy


def through(proxy: FaultyProxy, database: Database) -> str:
    return database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/")


def test_messages_in_order_on_every_version(every_database: Database) -> None:
    settings = prepared(every_database)
    every_database.execute("insert into t values (1, 'a'); insert into t values (2, null)")
    every_database.execute("insert into t values (3, '')")
    begun = time.monotonic()
    with open_stream(settings) as stream:
        events = [next(each for each in stream if not isinstance(each, Idle))]
        assert time.monotonic() - begun < 1
        for event in stream:
            events.append(event)
            if isinstance(event, InsertMessage) and event.new[0] == b"3":
                break
    rows = [event.new for event in events if isinstance(event, InsertMessage)]  # type: ignore[attr-defined]
    assert rows == [(b"1", b"a"), (b"2", None), (b"3", b"")]
    assert [event.name for event in events if isinstance(event, RelationMessage)] == ["t"]


def test_a_change_arrives_at_once(database: Database) -> None:
    with open_stream(prepared(database)) as stream, database.connect() as writer:
        delays = []
        for number in range(20):
            writer.execute("insert into t values (%s)", [number])
            begun = time.monotonic()
            assert ids(stream, number) == [number]
            delays.append(time.monotonic() - begun)
    assert sorted(delays)[10] < 0.05


def test_values_have_one_text_whatever_the_database_says(database: Database) -> None:
    database.execute(
        f"alter database {database.name} set datestyle = 'German'; alter database {database.name} set timezone = 'Asia/Tokyo';"
        f"alter database {database.name} set intervalstyle = 'iso_8601';"
        f"alter database {database.name} set extra_float_digits = 0;"
        f"alter database {database.name} set bytea_output = 'escape'"
    )
    database.execute(
        "create table v (a timestamptz, b interval, c float8, d bytea, e money); create publication cdc for table v"
    )
    row = "'2024-02-03 04:05:06+00', '1 day 02:00', 0.1::float8 + 0.2, '\\x00ff', 12.5"
    settings = settings_of(database)
    with connect(settings) as side:
        ensure_slot(side, settings)
        side.execute(f"insert into v values ({row})".replace("into v", "into public.v").encode())
        selected = side.execute("select * from public.v").pgresult
        assert selected
        texts = tuple(selected.get_value(0, column) for column in range(5))
    assert texts[:4] == (b"2024-02-03 04:05:06+00", b"1 day 02:00:00", b"0.30000000000000004", b"\\x00ff")
    with open_stream(settings) as stream:
        assert next(event for event in stream if isinstance(event, InsertMessage)).new == texts


def test_a_reader_stuck_for_three_times_the_servers_patience(database: Database) -> None:
    """And with every buffer on the way full, since there is more to send than they hold."""
    settings = prepared(database, database.dsn + "?options=-c%20wal_sender_timeout%3D2s")
    database.execute("insert into t select n, repeat('x', 1000) from generate_series(1, 50000) n")
    with open_stream(settings) as stream:
        first = next(event for event in stream if isinstance(event, InsertMessage))
        time.sleep(6)
        rest = ids(stream, 50000)
    assert first.new[0] == b"1"
    assert rest == list(range(2, 50001))


def test_an_idle_stream_is_confirmed_forward(database: Database) -> None:
    settings = prepared(database)
    database.execute("create table elsewhere as select generate_series(1, 1000)")
    with connect(settings) as connection:
        target = read_position(connection)
    with open_stream(settings) as stream:
        for event in stream:
            if isinstance(event, Idle):
                stream.confirm(event.wal_end)
                if event.wal_end >= target:
                    break
        eventually(lambda: confirmed(database) >= target)


def test_confirm_never_goes_backward(database: Database) -> None:
    with open_stream(prepared(database)) as stream:
        idle = next(event for event in stream if isinstance(event, Idle) and event.wal_end)
        stream.confirm(idle.wal_end)
        stream.confirm(1)
        assert stream.confirmed == idle.wal_end
        eventually(lambda: confirmed(database) == idle.wal_end)


def test_what_is_not_confirmed_is_streamed_again(database: Database) -> None:
    settings = prepared(database)
    database.execute("insert into t values (1)")
    database.execute("insert into t values (2)")
    with open_stream(settings) as stream:
        assert ids(stream, 1) == [1]
    with open_stream(settings) as stream:
        assert ids(stream, 2, confirm=False) == [2]
    with open_stream(settings) as stream:
        assert ids(stream, 2) == [2]
    database.execute("insert into t values (3)")
    with open_stream(settings) as stream:
        assert ids(stream, 3) == [3]


def test_wake_and_stop_from_another_thread(database: Database) -> None:
    with open_stream(prepared(database)) as stream:
        events = iter(stream)
        for _ in range(3):
            assert isinstance(next(events), Idle)
        threading.Timer(0.05, stream.wake).start()
        begun = time.monotonic()
        assert isinstance(next(events), Idle)
        assert time.monotonic() - begun < 0.4
        threading.Timer(0.05, stream.stop).start()
        list(events)
    stream.wake()
    stream.close()


def test_close_leaves_nothing_behind_even_with_much_to_send(database: Database) -> None:
    settings = prepared(database)
    database.execute("insert into t values (0)")
    database.execute("insert into t select n, repeat('x', 1000) from generate_series(1, 20000) n")
    threads = threading.active_count()
    stream = open_stream(settings)
    for event in stream:
        if isinstance(event, CommitMessage):
            stream.confirm(event.end_lsn)
            break
    begun = time.monotonic()
    stream.close()
    assert time.monotonic() - begun < 3
    assert confirmed(database) == stream.confirmed
    assert threading.active_count() == threads
    eventually(lambda: not active(database))


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
    with pytest.raises(SlotLost, match=r'127.0.0.1:\d+/test_\d+: .* "test_\d+" does not exist \(.*cdc drop'):
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
