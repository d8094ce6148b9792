"""The container image: built from docker/Dockerfile, and run as it would be in production."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import duckdb
import pytest

from tests.fixtures.container import ROOT, Image
from tests.fixtures.line import eventually
from tests.fixtures.postgres import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_image_replicates_without_rights_on_a_read_only_root_and_drains_at_sigterm(
    image: Image, database: Database, tmp_path: Path
) -> None:
    config = image.config["config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "cdc", "health"]

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, settings = tmp_path / "data", tmp_path / "settings"
    data.mkdir()
    settings.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    (settings / "config.toml").write_text(
        f'[source]\ndsn = "{database.dsn}"\nslot = "{database.name}"\npublication = "{database.name}"\n'
        f'[warehouses.local]\nkind = "duckdb"\npath = "warehouse.duckdb"\n[http]\nlisten = "127.0.0.1:{port}"\n'
    )
    database.execute("create table person (id int primary key, name text)")
    database.execute("insert into person select n, 'name ' || n from generate_series(1, 1000) n")

    code, said = image.run("cdc", "health", data=data, settings=settings)
    assert (code, "no daemon answers" in said) == (1, True), said
    code, said = image.run("sh", "-c", "id -u; touch /usr/x || touch /tmp/x", data=data, settings=settings)
    assert said.startswith("10001\n")
    assert said.count("Read-only file system") == 2, said

    with image.started(data=data, settings=settings) as daemon:

        def is_ready() -> bool:
            assert daemon.poll() is None, daemon.communicate(timeout=60)[0]
            return image.run("cdc", "health", "--ready", data=data, settings=settings)[0] == 0

        eventually(is_ready, "ready")
        assert image.run("cdc", "health", data=data, settings=settings) == (0, "streaming\n")
        database.execute("update person set name = 'changed' where id <= 10")
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, out
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as target:
        found = target.execute(
            "select count(*), count(*) filter (name like 'name %') from public.person"
        ).fetchone()
    assert found is not None
    assert found[0] == 1000
    lines = [line for line in out.splitlines() if line]
    assert all(line.startswith("{") for line in lines), out  # JSON, since nobody is at a terminal


def test_the_lock_file_has_what_the_tests_ran_with() -> None:
    """docker/lock.sh makes it anew when a dependency has changed."""
    pins = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)

    def pinned(path: str) -> dict[str, str]:
        return {
            name.lower().replace("_", "-").replace(".", "-"): version
            for name, version in pins.findall((ROOT / path).read_text())
        }

    tested, locked = pinned("constraints.txt"), pinned("docker/requirements.txt")
    assert locked
    assert {name: tested.get(name) for name in locked} == locked
