"""A table copied again while it is in use: it follows the stream, is never empty, and ends with the source's rows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from cdc.copy_request import CopyRequest
from cdc.daemon import Daemon
from cdc.errors import ConfigError
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.line import Replica, Running, before_each_chunk, eventually
from tests.fixtures.writer import SCHEMA, TABLES, Writer, fill

SMALL = {"chunk_rows": 40, "max_stream_pause": 0.01, "discover_interval": 0.1}


def resync(running: Running, *tables: str, **more: object) -> list[str]:
    """Ask for it, and wait until it is done."""
    names = running.daemon.snapshot(CopyRequest(list(tables), restart=True, **more))  # type: ignore[arg-type]
    running.wait_live()
    return names


def spoil(replica: Replica, *tables: str) -> None:
    """What the source does not have: one row too many, one lost, one altered. While no daemon runs."""
    with duckdb.connect(str(replica.target)) as connection:
        for table in ("keyed", "composite", "keyless", *tables):
            connection.execute(
                f"delete from public.{table} where rowid in (select min(rowid) from public.{table})"
            )
        connection.execute("insert into public.keyed values (-5, 1, 'not there')")
        connection.execute("insert into public.keyless values (77, 'not there')")
        connection.execute(
            "update public.composite set v = 'altered' where rowid in (select max(rowid) from public.composite)"
        )


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows the target has in `still`, which the source never empties, after each commit."""
    counts: list[int] = []
    commit = DuckDBWarehouse.commit

    def counted(self: DuckDBWarehouse, *given: object) -> None:
        commit(self, *given)  # type: ignore[arg-type]
        counts.append(self.cursor().execute("select count(*) from public.still").fetchall()[0][0])

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "commit", counted)
        yield counts


def test_a_resync_under_writers_mends_every_row_and_empties_nothing(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.settings["snapshot"] = SMALL
    db = replica.database
    db.execute(SCHEMA)
    fill(db)
    db.execute(
        "create table still (id int primary key, n int); insert into still select g, 0 from generate_series(1, 100) g"
    )
    replica.assert_equal()
    spoil(replica, "still")
    writer = Writer(db, 3)

    def write() -> None:
        for _ in range(3):
            writer.transaction()
        db.execute("update still set n = n + 1 where id % 7 = 0")

    with (
        before_each_chunk(write),
        counting(monkeypatch) as counts,
        replica.running() as running,
    ):
        assert sorted(resync(running, "public.*")) == sorted((*TABLES, "public.still"))
    writer.close()
    assert len(counts) > 4
    assert set(counts) == {99, 100}  # nobody saw it empty
    replica.assert_equal()


def test_killed_within_a_resync_the_next_start_goes_on(replica: Replica) -> None:
    """Also what was streamed meanwhile is in the rows that were gathered before."""
    db = replica.database
    db.execute(
        "create table t (id int primary key, v text); insert into t select g, 'v' from generate_series(1, 500) g"
    )
    replica.settings["snapshot"] = SMALL
    replica.assert_equal()
    steps = iter(range(1000))

    def cut() -> None:
        if next(steps) == 3:
            raise ConfigError("cut")

    request = CopyRequest(["public.t"], restart=True)
    with before_each_chunk(cut), pytest.raises(ConfigError):
        Daemon(replica.config, "copied", request=request).run(threading.Event())
    db.execute(
        "update t set v = 'new' where id in (1, 490); delete from t where id in (2, 491); insert into t values (0, '')"
    )
    replica.assert_equal()


def test_a_request_names_tables_by_globs_and_is_refused_if_none_fits(replica: Replica) -> None:
    replica.settings["snapshot"] = {**SMALL, "mode": "no_data"}
    replica.database.execute("create table a (id int primary key); create table b (id int primary key)")
    replica.database.execute("insert into a select generate_series(1, 90); insert into b values (1)")
    with replica.running() as running:
        with pytest.raises(ConfigError, match="no captured table"):
            running.daemon.snapshot(CopyRequest(["public.x"]))
        assert running.daemon.snapshot(CopyRequest(["*.a"], where={"public.a": "id % 2 = 0"})) == ["public.a"]
        running.wait_live()
    assert replica.target_rows("public.a").total() == 45


def test_a_new_table_is_found_copied_and_streamed(replica: Replica) -> None:
    """A transaction that wrote to it before it was found is in its copy, though it commits later."""
    replica.settings["snapshot"] = SMALL
    db = replica.database
    db.execute("create table t (id int primary key); insert into t values (1)")
    with replica.running() as running:
        running.wait_live()
        db.execute("create table later (id int primary key, v text)")
        with db.connect() as writer, writer.transaction():
            writer.execute("insert into later select g, 'early' from generate_series(1, 100) g")
            eventually(lambda: running.table("public.later"), "it is found")
            db.execute("insert into later values (1000, 'beside'); insert into t values (2)")
            eventually(
                lambda: (table := running.table("public.t")) and table.inserts == 1, "the stream goes on"
            )
            assert not running.are_live()
        running.wait_live()
        db.execute("insert into later values (2000, 'streamed')")
        db.execute(
            "drop table later; create table later (id int primary key, other int); insert into later values (7, 7)"
        )
        eventually(lambda: (table := running.table("public.later")) and table.rows_copied == 1, "copied anew")
        running.wait_live()
    replica.assert_equal()


def test_always_copies_at_each_start_and_when_needed_after_the_loss_of_the_slot(replica: Replica) -> None:
    db = replica.database
    db.execute(SCHEMA)
    fill(db)
    replica.settings["snapshot"] = {**SMALL, "mode": "when_needed"}
    replica.assert_equal()
    db.execute(
        f"select pg_drop_replication_slot('{db.name}'); delete from keyed where id < 50; truncate keyless"
    )
    replica.assert_equal()
    spoil(replica)
    replica.settings["snapshot"]["mode"] = "always"
    replica.assert_equal()


def test_commands(replica: Replica) -> None:
    """Through the daemon if there is one, else alone; the slot is left where `cdc run` goes on."""
    db = replica.database
    db.execute("create table a (id int primary key); create table b (id int primary key, v text)")
    db.execute(
        "insert into a select generate_series(1, 9); insert into b select g, 'v' from generate_series(1, 900) g"
    )
    replica.listen()
    with replica.process("snapshot", "public.b", "--json") as alone:
        out, error = alone.communicate()
        assert alone.returncode == 0, error
    [table] = json.loads(out)["tables"]
    assert (table["name"], table["state"], table["rows_copied"]) == ("public.b", "live", 900)
    db.execute("insert into b values (0, 'between'); insert into a values (0)")
    with replica.process() as daemon:
        eventually(
            lambda: (status := replica.status()) and [t.state for t in status.tables] == ["live"] * 2,
            "it runs",
        )
        with replica.process("resync", "public.b") as asking:
            out, error = asking.communicate()
            assert asking.returncode == 0, error
            assert re.search(r"public\.b +live +901", out)
        with replica.process("snapshot", "nothing") as refused:
            _, error = refused.communicate()
            assert (refused.returncode, "no captured table is named nothing" in error) == (2, True)
        daemon.terminate()
        daemon.wait()
    replica.assert_equal()


def test_a_column_that_is_text_since_before_its_type_changed_keeps_postgresqls_text(replica: Replica) -> None:
    """Rows that are gathered get into it as those of the stream do: DuckDB would print bytes in its own way."""
    replica.database.execute("create table typed (id int primary key, b text, n text, f text)")
    replica.database.execute(r"insert into typed values (1, '\x00ff5c', '1.50', 't')")
    replica.catch_up()
    replica.database.execute(
        "alter table typed alter b type bytea using b::bytea, alter n type numeric(10,2) using n::numeric,"
        " alter f type bool using f::bool"
    )
    replica.catch_up()
    with replica.running() as running:
        resync(running, "public.typed")
        replica.database.execute(r"insert into typed values (2, '\x5c', 2, false)")
        running.wait_live()
    replica.assert_equal()
    with duckdb.connect(str(replica.target)) as connection:
        rows = connection.execute("from public.typed order by id").fetchall()
    assert rows == [(1, r"\x00ff5c", "1.50", "t"), (2, r"\x5c", "2.00", "f")]
