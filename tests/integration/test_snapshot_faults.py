"""What befalls a copy on its way: sessions and servers that end, limits of the role, TLS, tables that are altered meanwhile."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from cdc.embedded import EmbeddedPostgres
from cdc.programs import give_away
from cdc.source.chunk import Chunk
from cdc.source.copy_out import Piece
from tests.fixtures.line import Replica, Running, before_each_chunk, eventually
from tests.fixtures.postgres import MISSING_15, PROGRAMS_15, Database, has_postgres15

ROWS = 4000
TABLES = f"""
    create table a (id int primary key, v text); create table b (id int primary key, v text);
    insert into a select g, 'v' from generate_series(1, {ROWS}) g; insert into b values (1, 'x');
"""
SMALL = {"chunk_rows": 500, "max_stream_pause": 0.01, "workers": 1}


@contextmanager
def on_piece(number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Do something while a chunk is read, at the piece of this number; gives how many rows were read in all."""
    rows: list[int] = []
    hand_over = Chunk._hand_over

    def interrupted(self: Chunk, piece: Piece) -> None:
        rows.append(piece[1])
        hand_over(self, piece)
        if len(rows) == number:
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chunk, "_hand_over", interrupted)
        yield rows


def with_some_durable(replica: Replica, act: Callable[[], object]) -> list[int]:
    """Copy all, and do something when the fourth chunk has been read and the first is in the target."""
    daemons: list[Running] = []

    def then() -> None:
        eventually(lambda: daemons and _applied(daemons[0]) >= 500, "a chunk is durable")
        act()

    with on_piece(4, then) as rows, replica.running() as running:
        daemons.append(running)
        running.wait_live()
    return rows


def _applied(running: Running) -> int:
    return running.daemon.status().warehouses[0].rows_applied


def states(running: Running) -> dict[str, str]:
    return {table.name: table.state for table in running.daemon.status().tables}


def test_a_session_that_is_ended_is_made_again_and_finished_chunks_are_not_read_again(
    replica: Replica,
) -> None:
    replica.settings["snapshot"] = SMALL
    db = replica.database
    db.execute(TABLES)

    def end() -> None:
        found = db.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and application_name = 'cdc' and backend_type = 'client backend'"
        )
        assert (True,) in found

    rows = with_some_durable(replica, end)
    assert ROWS < sum(rows) <= ROWS + 1 + 3 * 500
    replica.assert_equal()


def test_a_server_that_crashes_meanwhile(replica: Replica) -> None:
    replica.settings["snapshot"] = SMALL
    replica.database.execute(TABLES)
    server = replica.database.server

    def crash() -> None:
        server.stop("immediate")
        server.start()

    rows = with_some_durable(replica, crash)
    assert ROWS < sum(rows) <= ROWS + 1 + 3 * 500
    replica.assert_equal()


def test_limits_of_the_role_are_not_those_of_a_copy(replica: Replica) -> None:
    """Its statement_timeout, and the like, are for others: a chunk takes as long as it takes."""
    db = replica.database
    db.execute(TABLES)
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    without = "-c statement_timeout=0 -c lock_timeout=0"
    with db.connect(options=without) as connection:
        for limit in limits:
            connection.execute(f"alter database {db.name} set {limit} = '1ms'".encode())
    slow = "id is not null and pg_sleep(0.001) is not null"
    replica.settings["snapshot.where"] = {'"public.a"': f"id <= 50 and {slow}"}
    try:
        replica.catch_up()
    finally:
        with db.connect(options=without) as connection:
            for limit in limits:
                connection.execute(f"alter database {db.name} reset {limit}".encode())
    assert replica.target_rows("public.a").total() == 50


ALTERATIONS = {
    "a column added": "alter table a add more int default 7",
    "a column dropped": "alter table a drop v",
    "a column renamed": "alter table a rename v to w",
    "another type": "alter table a alter v type bytea using v::bytea",
    "another key": "alter table a drop constraint a_pkey, add column k serial primary key",
    "no key": "alter table a drop constraint a_pkey; alter table a replica identity full",
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_a_table_altered_between_two_chunks(replica: Replica, alteration: str) -> None:
    replica.settings["snapshot"] = SMALL
    db = replica.database
    db.execute(TABLES)
    rounds = iter(range(10_000))

    def alter() -> None:
        if next(rounds) == 4:
            db.execute(ALTERATIONS[alteration])
            db.execute("update a set id = id + 10000 where id % 1000 = 1")

    with before_each_chunk(alter), replica.running() as running:
        eventually(lambda: states(running).get("public.b") == "live", "the other one goes on")
        running.wait_live()
        assert states(running)["public.a"] == "live"
    replica.assert_equal()


def test_a_table_dropped_between_two_chunks(replica: Replica) -> None:
    replica.settings["snapshot"] = SMALL
    db = replica.database
    db.execute(TABLES)
    rounds = iter(range(10_000))

    def drop() -> None:
        if next(rounds) == 4:
            db.execute("drop table a; insert into b values (2, 'y')")

    with before_each_chunk(drop), replica.running() as running:
        running.wait_live()
        table = running.table("public.a")
        assert table is not None
        assert table.state == "parked"
        assert "dropped while it was copied" in (table.reason or "")
    replica.assert_equal("public.b")


def test_over_tls(tmp_path: Path) -> None:
    """Rows then come through libpq, one by one; the session is known to be encrypted."""
    folder = Path(tempfile.mkdtemp(prefix="cdc-tls-"))
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    settings = {"ssl": "on", "ssl_key_file": str(key), "ssl_cert_file": str(certificate)}
    give_away(folder, key, certificate)
    if not has_postgres15():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING_15)
    with EmbeddedPostgres(bindir=PROGRAMS_15, settings=settings) as server:  # the wheel's knows no TLS
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(TABLES)
        database = Database(server, "postgres")
        replica = Replica(database, tmp_path)
        replica.settings["source"]["dsn"] += "?sslmode=require"
        seen: list[tuple[object, ...]] = []
        query = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'cdc' and not ssl"
        with on_piece(1, lambda: seen.extend(database.query(query))):
            replica.assert_equal()
        assert seen == [(0,)]
