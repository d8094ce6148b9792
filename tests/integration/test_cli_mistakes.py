"""What a person is told of a mistake or an outage: one clear block, the right exit code, never a traceback."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cdc.errors import EXIT_DIFFERENT, EXIT_FAILED, EXIT_TRY_AGAIN, EXIT_USAGE
from tests.fixtures.cli import Cli, is_live
from tests.fixtures.postgres import Database

SCHEMA = (
    "create table item (id int primary key, note text); insert into item values (1, 'a'), (2, 'b'), (3, 'c')"
)


@pytest.fixture
def cli(tmp_path: Path, database: Database) -> Cli:
    database.execute(SCHEMA)
    cli = Cli(tmp_path)
    cli.configure(database)
    return cli


@pytest.fixture
def taken() -> Iterator[str]:
    """An address at which somebody else listens, and never answers."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


def told(cli: Cli, *arguments: str, code: int, **environ: str) -> str:
    """The block on standard error, labels and all."""
    ended = cli(*arguments, code=code, **environ)
    assert "error  " in ended.err
    return ended.err


@pytest.mark.parametrize(
    ("environ", "code", "words"),
    [
        ({"CDC_SOURCE__SLOTT": "x"}, EXIT_USAGE, ["CDC_SOURCE__SLOTT", "did you mean slot?"]),
        ({"CDC_CONFIG": "nowhere.toml"}, EXIT_USAGE, ["nowhere.toml", "cdc init"]),
        ({"CDC_SOURCE__TABLES": "nothing.*"}, EXIT_USAGE, ["no table to capture", "cdc check"]),
        ({"CDC_WAREHOUSES__LOCAL__PATH": "no/such/folder/w"}, EXIT_FAILED, ["no/such/folder"]),
        ({"CDC_SOURCE__CREATE": "false"}, EXIT_FAILED, ["create publication"]),
        ({"CDC_SOURCE__DSN": "host=127.0.0.1 port=1 user=x"}, EXIT_TRY_AGAIN, ["127.0.0.1:1", "refused"]),
        (
            {
                "CDC_TRANSPORT__KIND": "kafka",
                "CDC_TRANSPORT__BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "CDC_TRANSPORT__TOPIC_PREFIX": "x",
            },
            EXIT_TRY_AGAIN,
            ["127.0.0.1:1", "the broker cannot be used", "bootstrap_servers"],
        ),
        ({"CDC_SOURCE__DSN": "no such thing"}, EXIT_USAGE, ["[source] dsn cannot be read"]),
    ],
)
def test_run_says_what_is_wrong(cli: Cli, environ: dict[str, str], code: int, words: list[str]) -> None:
    text = told(cli, "run", code=code, **environ)
    assert all(word in text for word in words), text


def test_a_wrong_password_is_not_shown(cli: Cli, database: Database) -> None:
    dsn = database.server.dsn(database.name, password="hunter2")
    text = told(cli, "run", code=EXIT_FAILED, CDC_SOURCE__DSN=dsn)
    assert "password" in text
    assert "hunter2" not in text


def test_something_that_is_not_postgresql(cli: Cli, taken: str) -> None:
    host, port = taken.split(":")
    dsn = f"host={host} port={port} user=x dbname=x connect_timeout=2"
    assert taken in told(cli, "run", code=EXIT_TRY_AGAIN, CDC_SOURCE__DSN=dsn)


def test_the_http_address_is_in_use(cli: Cli, taken: str, database: Database) -> None:
    text = told(cli, "run", code=EXIT_FAILED, CDC_HTTP__LISTEN=taken)
    assert f"[http] listen = '{taken}'" in text
    assert database.slots() == []  # found before anything was made


def test_a_file_that_is_not_duckdbs(cli: Cli) -> None:
    (cli.folder / "warehouse.duckdb").write_bytes(b"something else" * 1000)
    assert "warehouse.duckdb" in told(cli, "run", code=EXIT_FAILED)


def test_a_file_that_somebody_has_open(cli: Cli) -> None:
    with duckdb.connect(str(cli.folder / "warehouse.duckdb")):
        text = told(cli, "run", code=EXIT_TRY_AGAIN)
        assert "warehouse.duckdb" in text
        assert "in use" in text
        assert "in use" in cli("status").out  # which shows the rest all the same
        assert "in use" in cli("check", code=EXIT_FAILED).out


def test_a_slot_that_somebody_streams_from(cli: Cli, database: Database) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    with cli.started("run", CDC_HTTP__LISTEN=listen) as first:
        cli.environ = {"CDC_HTTP__LISTEN": listen}
        cli.until(is_live, first)
        other = {
            "CDC_HTTP__LISTEN": "",
            "CDC_WAREHOUSES__LOCAL__PATH": "other.duckdb",
            "CDC_SOURCE__SLOT_WAIT": "0",
        }
        text = told(cli, "run", code=EXIT_TRY_AGAIN, **other)
        assert database.name in text
        assert "in use" in text
        assert "pg_terminate_backend" in text
        assert cli.stop(first).code == 0


def test_verify_names_the_keys_that_differ(cli: Cli) -> None:
    cli("snapshot")
    assert "equal" in cli("verify").out
    with duckdb.connect(str(cli.folder / "warehouse.duckdb")) as target:
        target.execute("update public.item set note = 'x' where id = 2; delete from public.item where id = 3")
    ended = cli("verify", code=EXIT_DIFFERENT)
    assert "1 missing, 1 different" in ended.out
    assert "id=2" in ended.out
    assert "id=3" in ended.out
    report = cli("verify", "public.item", "--json", code=EXIT_DIFFERENT).json
    assert (report["equal"], report["tables"][0]["missing_keys"]) == (False, ["id=3"])
    assert "no captured table is named" in told(cli, "verify", "public.other", code=EXIT_USAGE)


def test_verify_asks_the_daemon(cli: Cli) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cli.environ = {"CDC_HTTP__LISTEN": f"127.0.0.1:{probe.getsockname()[1]}"}
    with cli.started("run") as daemon:
        cli.until(is_live, daemon)
        assert "equal" in cli("verify").out
        assert "no captured table is named" in told(cli, "verify", "public.other", code=EXIT_USAGE)
        assert cli.stop(daemon, signal.SIGINT).code == 0
