"""Connections: the user's own options stay, ours win, failures are told in our words and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdc.config import SourceSettings
from cdc.errors import ConfigError, SourceError, SourceUnavailable
from cdc.source.connect import SESSION, Connection, Side, connect, connect_replication, where
from cdc.testing.faults import FaultyProxy
from tests.fixtures.postgres import Database


def shown(connection: Connection, setting: str) -> str:
    row = connection.execute(f"show {setting}".encode()).fetchone()
    assert row
    return str(row[0])


def test_session_is_the_same_in_both_modes(every_database: Database) -> None:
    settings = SourceSettings(dsn=every_database.dsn + "?options=-c%20work_mem%3D5MB%20-c%20TimeZone%3DJapan")
    for connection in (connect(settings), connect_replication(settings)):
        with connection:
            assert shown(connection, "TimeZone") == "UTC"
            assert shown(connection, "work_mem") == "5MB"
            assert shown(connection, "client_encoding") == "UTF8"
            assert shown(connection, "application_name") == "cdc"
            assert shown(connection, "search_path") == "pg_catalog"
            for name in SESSION:
                shown(connection, name)


def test_options_of_the_environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=6MB -c DateStyle=German")
    monkeypatch.setenv("PGAPPNAME", "shop")
    with connect(SourceSettings(dsn=database.dsn)) as connection:
        assert shown(connection, "work_mem") == "6MB"
        assert shown(connection, "DateStyle").startswith("ISO")
        assert shown(connection, "application_name") == "shop"


def test_everything_may_come_from_the_environment(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = database.server
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:postgres:{server.password}\n")
    passfile.chmod(0o600)
    given = {"HOST": "127.0.0.1", "PORT": str(server.port), "USER": "postgres", "DATABASE": database.name}
    for name, value in {**given, "PASSFILE": str(passfile)}.items():
        monkeypatch.setenv(f"PG{name}", value)
    settings = SourceSettings(dsn="")
    assert where(settings) == f"127.0.0.1:{server.port}/{database.name}"
    with connect(settings) as connection:
        assert connection.info.dbname == database.name


def test_several_hosts(database: Database) -> None:
    server = database.server
    settings = SourceSettings(
        dsn=f"host=127.0.0.1,127.0.0.1 port=1,{server.port} user=postgres password={server.password} dbname={database.name}"
    )
    assert where(settings) == f"127.0.0.1:1,127.0.0.1:{server.port}/{database.name}"
    connect(settings).close()
    with pytest.raises(SourceUnavailable, match=r"127.0.0.1:1,127.0.0.1:2/x: .*refused"):
        connect(SourceSettings(dsn="host=127.0.0.1,127.0.0.1 port=1,2 dbname=x"))


@pytest.mark.parametrize(
    "dsn", ["postgresql://u:s3cret@h:notaport/x", "host=h password=s3cret nonsense", "x = 's3cret"]
)
def test_a_dsn_that_cannot_be_read_is_not_shown(dsn: str) -> None:
    with pytest.raises((ConfigError, SourceError)) as caught:
        connect(SourceSettings(dsn=dsn))
    assert "s3cret" not in str(caught.value)


def test_a_role_without_replication(database: Database) -> None:
    database.execute("create role plain login password 'x'")
    settings = SourceSettings(dsn=database.server.dsn(database.name, "plain", "x"))
    with pytest.raises(SourceError, match=r'alter role "plain" replication') as caught:
        connect_replication(settings)
    assert not caught.value.retriable
    database.execute("drop role plain")


def test_a_side_connection_opens_again_after_it_was_lost(database: Database) -> None:
    with FaultyProxy("127.0.0.1", database.server.port) as proxy:
        settings = SourceSettings(dsn=database.dsn.replace(f":{database.server.port}/", f":{proxy.port}/"))
        side = Side(settings)

        def answer(connection: Connection) -> int:
            return int(shown(connection, "server_version_num"))

        first = side.run("ask", answer)
        proxy.cut()
        assert side.run("ask", answer) == first
        assert proxy.connections == 2
        with pytest.raises(SourceError, match=r"cannot read it: .*nowhere"):
            side.run("cannot read it", lambda connection: connection.execute("select * from nowhere"))
        proxy.refuse()
        with pytest.raises(SourceUnavailable):
            side.run("ask", answer)
        proxy.flow()
        assert side.run("ask", answer) == first
        side.close()
        side.close()
