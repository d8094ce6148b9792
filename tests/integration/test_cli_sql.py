"""`cdc sql` as a person runs it, beside a daemon under load."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdc.ask import ask_sql
from cdc.config_file import load
from cdc.query import QueryRequest
from tests.fixtures.cli import Cli, is_live
from tests.fixtures.line import eventually
from tests.fixtures.postgres import Database


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


SUM = "select sum(balance)::bigint as total, count(*) as accounts from public.account"
WIDE = "select a.id, repeat('x', 200) as wide from public.account a, range(100000)"


@pytest.fixture
def cli(tmp_path: Path, database: Database) -> Cli:
    database.execute("create table account (id int primary key, balance int not null, note text)")
    database.execute("insert into account select n, 100, 'é' from generate_series(1, 100) n")
    made = Cli(tmp_path)
    made.configure(database, free_address())
    return made


@contextmanager
def transfers(database: Database) -> Iterator[threading.Event]:
    """Money goes from account to account, in one transaction each: the sum is always the same."""
    over, moved = threading.Event(), threading.Event()

    def run() -> None:
        with database.connect() as connection:
            n = 0
            while not over.is_set():
                n += 1
                with connection.transaction():
                    connection.execute(
                        "update account set balance = balance - 1 where id = %s", [n % 100 + 1]
                    )
                    connection.execute(
                        "update account set balance = balance + 1 where id = %s", [(n * 7) % 100 + 1]
                    )
                if n == 100:
                    moved.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert moved.wait(30)
        yield over
    finally:
        over.set()
        thread.join()


def test_people_look_while_the_daemon_writes(cli: Cli, database: Database) -> None:
    with cli.started("run") as daemon:
        cli.until(is_live, daemon)
        with transfers(database):
            for _ in range(2):
                assert cli("sql", "--json", SUM).json == [{"total": 10_000, "accounts": 100}]
            told = cli("sql", "select * from public.account order by id limit 2").out
            assert [line.split()[0] for line in told.splitlines() if line.strip()][:1] == ["id"]
            assert "é" in told
            assert cli(
                "sql", "--csv", "select id, note, null as n, '' as e from public.account where id = 1"
            ).out == ('id,note,n,e\n1,é,,""\n')
            limited = cli("sql", "--csv", "--limit", "5", "from public.account")
            assert len(limited.out.splitlines()) == 6
            assert "only the first 5 rows: --limit" in limited.err
            wrong = cli("sql", "select nothing from public.account", code=2)
            assert '"nothing" not found' in wrong.err
            assert "DELETE" in cli("sql", "delete from public.account", code=2).err
        eventually(lambda: is_live(cli.status()))
        source = database.query("select id, balance from account order by id")
        rows = cli("sql", "--json", "select id, balance from public.account order by id").json
        assert [(row["id"], row["balance"]) for row in rows] == source
        assert cli.stop(daemon).code == 0
    assert cli("sql", "--json", SUM).json == [{"total": 10_000, "accounts": 100}], (
        "without a daemon, from the file"
    )


def test_a_client_that_is_killed_in_mid_answer_leaves_nothing_behind(cli: Cli, database: Database) -> None:
    with cli.started("run") as daemon:
        cli.until(is_live, daemon)
        with transfers(database):
            for how in ("kill", "kill", "close the pipe"):  # more than may ask at a time
                with cli.started("sql", "--csv", WIDE) as client:
                    assert client.stdout is not None
                    assert client.stdout.readline() == "id,wide\n"
                    if how == "kill":
                        client.kill()
                        continue
                    client.stdout.close()  # as `head` does
                    assert client.stderr is not None
                    assert "Traceback" not in client.stderr.read()
            eventually(lambda: cli("sql", "--json", SUM, code=None).code == 0)
        eventually(lambda: is_live(cli.status()))
        assert cli("verify").code == 0
        assert cli.stop(daemon).code == 0


def test_an_answer_outlives_no_daemon_and_says_so(cli: Cli) -> None:
    with cli.started("run") as daemon:
        cli.until(is_live, daemon)
        config = load(cli.folder / "config.toml", {"CDC_WAREHOUSES__LOCAL__PATH": "x"})
        with ask_sql(config, QueryRequest(WIDE)) as lines:
            assert json.loads(next(lines))["columns"][0]["name"] == "id"
            assert cli.stop(daemon).code == 0
            rest = list(lines)
        assert b"the warehouse was closed" in rest[-1] or len(rest) < 10_000_000
    assert cli("sql", "--json", SUM).json[0]["accounts"] == 100


def test_warehouses_that_others_can_read_are_asked_directly(cli: Cli, database: Database) -> None:
    with (cli.folder / "config.toml").open("a") as file:
        file.write('[warehouses.reports]\nkind = "postgres"\ndsn = "postgresql://localhost:1/x"\n')
    told = cli("sql", "--warehouse", "reports", "select 1", code=2).err
    assert "others can read while cdc writes" in told
    assert "psql" in told
    assert "which warehouse" in cli("sql", "select 1", code=2).err
    assert "there is no warehouse 'nope'" in cli("sql", "--warehouse", "nope", "select 1", code=2).err
    assert "no DuckDB file" in cli("sql", "--warehouse", "local", "select 1", code=1).err
