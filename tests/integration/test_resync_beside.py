"""A table that is copied again is read all the time: whoever looks at the target never sees a row too few, over any transport.

The rows that the source does not have, and those that the target lost, are put there by hand; they are mended at one moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdc.ask import ask_status
from cdc.config_file import load
from cdc.copy_request import CopyRequest
from tests.fixtures.cli import Cli
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, are_live, before_each_chunk, eventually
from tests.fixtures.postgres import Database

pytestmark = pytest.mark.timeout(300)

ROWS, LOST, STRANGE = 2000, 3, 5
TABLE = f"""
    create table still (id int primary key, n int);
    insert into still select g, 0 from generate_series(1, {ROWS}) g;
"""
SPOIL = f"""
    delete from still where id <= {LOST};
    insert into still select -g, 0 from generate_series(1, {STRANGE}) g;
"""
TYPES = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'wide'::regclass and attnum > 0 order by attnum
"""
SHADOWS = "select count(*) from pg_class where relname like '\\_cdc\\_copy\\_%' and relkind = 'r'"


@pytest.fixture
def replica(database: Database, target: Database, tmp_path: Path) -> Replica:
    return Replica(database, tmp_path, snapshot={"chunk_rows": 150, "workers": 2}).into_postgres(target.dsn)


@pytest.fixture
def transport(kafka: Address, prefix: str) -> dict[str, object]:
    return {
        "kind": "kafka",
        "bootstrap_servers": kafka.plain,
        "topic_prefix": prefix,
        "discover_interval": 1.0,
        "linger": 0.005,
    }


@contextmanager
def watched(target: Database) -> Iterator[list[int]]:
    """How many rows a reader sees, one look after the other; told only where it differs from the look before."""
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        with target.connect() as connection:
            while not stop.is_set():
                (count,) = connection.execute("select count(*) from still").fetchone() or (0,)
                connection.commit()
                if not seen or seen[-1] != count:
                    seen.append(count)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield seen
    finally:
        stop.set()
        reader.join()


def spoilt(replica: Replica, target: Database) -> None:
    replica.database.execute(TABLE)
    replica.assert_equal()
    target.execute(SPOIL)


AT_ONCE = [ROWS - LOST + STRANGE, ROWS]


@pytest.mark.parametrize("partitions", [0, 1, 3])
def test_it_is_mended_at_one_moment(
    replica: Replica, target: Database, transport: dict[str, object], partitions: int
) -> None:
    if partitions:
        replica.settings["transport"] = {**transport, "partitions": partitions}
    spoilt(replica, target)
    rounds = iter(range(1, 1000))

    def write() -> None:
        turn = next(rounds)
        replica.database.execute(f"update still set n = {turn} where id % 9 = {turn % 9}")

    with (
        watched(target) as seen,
        before_each_chunk(write),
        replica.running() as running,
    ):
        running.daemon.snapshot(CopyRequest(["public.still"], restart=True))
        running.wait_live()
        eventually(lambda: seen[-1] == ROWS, "it is mended")
    assert seen == AT_ONCE
    replica.assert_equal()
    assert target.query(SHADOWS) == [(0,)]


def test_killed_on_both_sides_it_goes_on_where_it_was(
    replica: Replica, target: Database, transport: dict[str, object], tmp_path: Path
) -> None:
    """One reader and two appliers in processes of their own."""
    replica.settings["transport"] = {**transport, "partitions": 3}
    spoilt(replica, target)
    replica.settings["snapshot"] |= {"max_rows_per_second": 1000, "max_stream_pause": 0.01}
    cli = Cli(tmp_path)
    places = [_listening(replica) for _ in range(3)]
    reading, one, other = places

    def copied() -> int:
        status = ask_status(load(replica.toml, reading))
        return status.tables[0].rows_copied if status and status.tables else 0

    with watched(target) as seen, cli.started("apply", **one) as first, cli.started("apply", **other):
        with cli.started("read", **reading) as reader:
            eventually(lambda: are_live(ask_status(load(replica.toml, reading))), "it streams")
            with cli.started("resync", "public.still", **reading) as asking:
                eventually(lambda: 300 <= copied() < ROWS, "it copies")
                replica.database.execute(
                    "update still set n = 7 where id % 7 = 0; delete from still where id = 9"
                )
                reader.kill()
                first.kill()
                asking.kill()
        del replica.settings["snapshot"]["max_rows_per_second"]
        replica.database.execute("insert into still values (9, 9)")
        with cli.started("read", **reading), cli.started("apply", **one):
            eventually(lambda: are_live(ask_status(load(replica.toml, reading))), "it is copied")
            eventually(lambda: seen[-1] == ROWS, "it is mended")
            eventually(lambda: not replica.differences(), "all is applied")
    assert [count for count in seen if count < ROWS - 1] == []
    assert target.query(SHADOWS) == [(0,)]


def _listening(replica: Replica) -> dict[str, str]:
    replica.listen()
    return {"CDC_HTTP__LISTEN": replica.settings["http"]["listen"], "CDC_CONFIG": str(replica.toml)}


def test_a_table_whose_rows_were_written_anew_is_used_until_they_are_there(
    replica: Replica, target: Database
) -> None:
    """Also one that takes a key in this way."""
    replica.settings["snapshot"] |= {"discover_interval": 0.1}
    replica.database.execute(TABLE)
    replica.database.execute(
        "create table plain (id int not null, v text); insert into plain values (1, 'a'), (1, 'a')"
    )
    replica.database.execute("alter table plain replica identity full")
    replica.assert_equal()
    with watched(target) as seen, replica.running() as running:
        replica.database.execute("alter table still add r float8 default random()")
        column = "select 1 from pg_attribute where attrelid = 'still'::regclass and attname = 'r'"
        full = "select count(r) from still"
        eventually(lambda: target.query(column) and target.query(full) == [(ROWS,)], "it is copied anew")
        replica.database.execute("delete from plain; insert into plain values (2, 'b')")
        replica.database.execute("alter table plain add primary key (id)")
        replica.database.execute("insert into plain values (3, 'c')")
        running.wait_live()
    assert seen == [ROWS]
    replica.assert_equal()
    assert target.query(SHADOWS) == [(0,)]


@pytest.mark.parametrize("partitions", [0, 1, 3])
def test_types_that_the_operator_gave_the_target_stay(
    replica: Replica, target: Database, transport: dict[str, object], partitions: int
) -> None:
    """Rows are gathered beside the table in its own types, not in those that cdc would make; also those streamed meanwhile."""
    if partitions:
        replica.settings["transport"] = {**transport, "partitions": partitions}
    replica.database.execute(
        "create table wide (id int primary key, n int, amount numeric(10, 2), code varchar(5), at date, ratio float4);"
        "insert into wide select g, g, g / 7.0, 'c' || g % 100, date '2026-01-01' + g, g / 3.0 from generate_series(1, 400) g"
    )
    replica.assert_equal()
    target.execute(
        "alter table wide alter n type bigint, alter amount type numeric, alter code type text, alter at type text,"
        " alter ratio type text; delete from wide where id <= 3; insert into wide (id, n) values (-1, 5000000000)"
    )
    kept = target.query(TYPES)
    turns = iter(range(1000))

    def write() -> None:
        replica.database.execute(
            f"update wide set n = n + 1, amount = amount + 0.01 where id % 9 = {next(turns) % 9}"
        )

    with before_each_chunk(write), replica.running() as running:
        running.daemon.snapshot(CopyRequest(["public.wide"], restart=True))
        running.wait_live()
        replica.database.execute("insert into wide values (401, 1, 2.5, 'x', 'infinity', 'NaN')")
        running.wait_live()
        eventually(lambda: target.query("select 1 from wide where id = -1") == [], "it is mended")
    replica.assert_equal()
    assert target.query(TYPES) == kept
    assert target.query(SHADOWS) == [(0,)]


@pytest.mark.parametrize("over_kafka", [False, True])
def test_what_a_copy_that_is_given_up_has_gathered_goes_away(
    replica: Replica, target: Database, transport: dict[str, object], over_kafka: bool, tmp_path: Path
) -> None:
    """Whether the table is not captured any more, or all is begun anew."""
    if over_kafka:
        replica.settings["transport"] = transport
    spoilt(replica, target)
    replica.database.execute("create table other (id int primary key)")
    replica.settings["snapshot"]["max_stream_pause"] = 0.01

    def half() -> None:
        replica.settings["snapshot"]["max_rows_per_second"] = 500
        with replica.running() as running:
            running.daemon.snapshot(CopyRequest(["public.still"], restart=True))
            eventually(lambda: target.query(SHADOWS) == [(1,)], "rows are gathered")
        del replica.settings["snapshot"]["max_rows_per_second"]

    half()
    replica.settings["source"]["tables"] = ["public.other"]
    with replica.running():
        pass
    with replica.running():
        eventually(lambda: target.query(SHADOWS) == [(0,)], "they are dropped")
    del replica.settings["source"]["tables"]
    replica.catch_up()
    half()
    Cli(tmp_path)("drop", "--yes", CDC_CONFIG=str(replica.toml))
    assert target.query(SHADOWS) == [(0,)]
    replica.assert_equal()
