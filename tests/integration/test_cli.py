"""The commands, in the order in which a person meets them."""

from __future__ import annotations

import signal
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from cdc.cli import COMMANDS, app
from cdc.errors import EXIT_FAILED, EXIT_USAGE
from tests.fixtures.cli import Cli, is_live
from tests.fixtures.postgres import Database

SCHEMA = """
create table item (id int primary key, note text);
insert into item select n, 'note ' || n from generate_series(1, 1000) n
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def listen() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def rows(cli: Cli, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(cli.folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_help_teaches(command: Callable[..., None]) -> None:
    told = CliRunner().invoke(app, [command.__name__, "--help"])
    assert told.exit_code == 0
    assert "Example" in told.output


def test_the_program_says_what_it_is(cli: Cli) -> None:
    assert cli("--version").out.startswith("cdc ")
    assert "demo" in cli("--help").out


def test_from_init_to_drop(cli: Cli, database: Database) -> None:
    database.execute(SCHEMA)
    environ = {
        "CDC_SOURCE__SLOT": database.name,
        "CDC_SOURCE__PUBLICATION": database.name,
        "CDC_HTTP__LISTEN": "",
    }
    cli.environ = environ
    init = cli("init", "--dsn", database.dsn, "--warehouse-path", "warehouse.duckdb")
    assert "public.item" in init.out
    assert "cdc check" in init.out
    assert database.slots() == [database.name]
    assert (cli.folder / "config.toml").stat().st_mode & 0o077 == 0
    assert tomllib.loads(cli("config").out)["source"]["slot"] == database.name
    cli("check")
    assert cli.status()["tables"][0]["state"] == "new"
    assert not (cli.folder / "warehouse.duckdb").exists()  # looking makes nothing
    cli("snapshot")
    assert rows(cli, "select count(*), max(note) from public.item") == [(1000, "note 999")]
    status = cli.status()
    assert (status["state"], status["tables"][0]["state"]) == ("stopped", "live")
    assert "public.item" in cli("status").out
    dropped = cli("drop", code=EXIT_USAGE)
    assert "--yes" in dropped.err
    gone = cli("drop", "--yes").out
    assert f"dropped slot {database.name}\ndropped publication {database.name}\n" in gone
    assert database.slots() == []
    assert database.query("select count(*) from pg_publication") == [(0,)]
    cli("drop", "--yes")


def test_init_replaces_nothing_unless_told(cli: Cli) -> None:
    cli("init")
    written = (cli.folder / "config.toml").read_text()
    assert "--force" in cli("init", "--dsn", "host=other", code=EXIT_USAGE).err
    assert (cli.folder / "config.toml").read_text() == written
    cli("init", "--dsn", 'host=other password="\\x"', "--no-create", "--force")
    assert (
        tomllib.loads((cli.folder / "config.toml").read_text())["source"]["dsn"]
        == 'host=other password="\\x"'
    )


def test_the_option_may_stand_before_the_command_or_behind_it_or_in_the_environment(cli: Cli) -> None:
    cli("init", "-c", "other.toml")
    told = cli("config", "-c", "other.toml").out
    assert cli("-c", "other.toml", "config").out == told
    assert cli("config", CDC_CONFIG="other.toml").out == told
    assert cli("config", "--json", "-c", "other.toml").json["http"]["listen"] == "127.0.0.1:8085"


def test_config_hides_passwords(cli: Cli, database: Database) -> None:
    cli.configure(database)
    shown = cli("config").text
    assert database.server.password not in shown
    assert "•••" in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_follows_until_stopped_and_goes_on(
    cli: Cli, database: Database, listen: str, number: signal.Signals
) -> None:
    database.execute(SCHEMA)
    cli.configure(database, listen)
    with cli.started("run") as daemon:
        cli.until(is_live, daemon)
        database.execute("update item set note = 'new' where id <= 10; delete from item where id > 990")
        status = cli.until(lambda status: is_live(status) and status["tables"][0]["deletes"] == 10, daemon)
        assert status["tables"][0]["updates"] == 10
        assert status["warehouses"][0]["lag_p99"] >= 0
        assert "local" in cli("lag").out
        assert cli("lag", "--json", "--max-seconds", "60").json["warehouses"]["local"]["behind_seconds"] == 0
        assert "streaming" in cli("status").out
        assert "in use by the daemon" in cli("check").out
        assert "stop `cdc run` first" in cli("drop", "--yes", code=EXIT_FAILED).err
        assert cli.stop(daemon, number).code == 0
    database.execute("insert into item values (0, 'while nobody looked')")
    cli("lag", "--max-seconds", "60", code=EXIT_FAILED)  # without a daemon nothing follows
    with cli.started("run") as daemon:
        cli.until(lambda status: is_live(status) and status["tables"][0]["inserts"] == 1, daemon)
        assert cli.stop(daemon).code == 0
    found = rows(cli, "select count(*), count(*) filter (where note = 'new'), min(id) from public.item")
    assert found == [(991, 10, 0)]


def test_watching_lag_ends_with_the_signal(cli: Cli, database: Database) -> None:
    database.execute(SCHEMA)
    cli.configure(database, "")
    with cli.started("lag", "--watch", "--json") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("{")
        assert cli.stop(watching, signal.SIGINT).code == 0
