"""The stream on real servers: prompt, in order, patient with a slow reader, honest about what is durable."""

from __future__ import annotations

import threading
import time

from cdc.events import Idle
from cdc.source.connect import connect
from cdc.source.messages import CommitMessage, InsertMessage, RelationMessage
from cdc.source.slot import ensure_slot, read_position
from tests.fixtures.postgres import Database
from tests.fixtures.source import (
    active,
    confirmed,
    eventually,
    ids,
    open_stream,
    prepared,
    settings_of,
)


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
