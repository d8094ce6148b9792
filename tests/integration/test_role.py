"""The role of docs/role.sql is enough for everything, and can do nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.fixtures.line import Replica, eventually
from tests.fixtures.postgres import Database

SCRIPT = Path(__file__).parents[2] / "docs/role.sql"


@pytest.fixture
def role(database: Database) -> str:
    """Its name. It stays in the server, which is the run's."""
    name = f"cdc_of_{database.name}"
    values = {"role": name, "password": "s3cret", "schema": "public", "publication": database.name}
    database.execute("create table item (id int primary key, note text); insert into item values (1, 'a')")
    psql = [database.server.bin("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.dsn, "-f", "-"]
    options = [text for key, value in values.items() for text in ("-v", f"{key}={value}")]
    subprocess.run([*psql, *options], input=SCRIPT.read_text(), text=True, check=True, capture_output=True)
    return name


def test_a_daemon_runs_as_the_least_role(database: Database, role: str, tmp_path: Path) -> None:
    place = urlsplit(database.dsn)
    dsn = f"postgresql://{role}:s3cret@{place.hostname}:{place.port}{place.path}"
    replica = Replica(database, tmp_path, source={"dsn": dsn})
    with replica.running() as running:
        running.wait_live()
        database.execute("update item set note = 'b'; insert into item values (2, 'c')")
        in_sync = lambda: running.daemon.status().warehouses[0].behind_seconds == 0  # noqa: E731
        eventually(lambda: running.daemon.registry.get_sample_value("cdc_heartbeats_total"), "a heart beats")
        eventually(
            lambda: (t := running.table("public.item")) and t.inserts == 1 and in_sync(), "it is in sync"
        )
        assert running.daemon.verify().equal
    with psycopg.connect(dsn, autocommit=True) as connection:
        for forbidden in ("insert into item values (9, '')", "create table more ()", "drop table item"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden.encode())
