"""docker/compose.yml: its files are there, its images are pinned, and its settings and its business do what it promises."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import yaml

from cdc import config_file, programs
from cdc.cli import COMMANDS
from tests.fixtures.cli import Cli
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import eventually
from tests.fixtures.postgres import Database, Start, fresh_database

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
TOTALS = "select count(*), sum(hashtext(t::text)) from {} t"


def test_every_file_that_it_mounts_is_there_and_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            origin = volume.split(":")[0]
            assert origin in COMPOSE["volumes"] or (DOCKER / origin).exists(), (name, volume)
        image, _, tag = service["image"].partition(":")
        assert tag not in ("", "latest") or image == "cdc", name


def test_what_it_publishes_is_published_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_our_containers_have_no_rights_that_they_do_not_need() -> None:
    for name in ("reader", "applier"):
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_warehouse_follows_the_shop(
    database: Database, start_postgres: Start, kafka: Address, prefix: str, tmp_path: Path
) -> None:
    """Its settings, its tables and its customers, with the addresses of this test's servers."""
    database.execute((DOCKER / "compose" / "source.sql").read_text())
    shutil.copy(DOCKER / "compose" / "cdc.toml", tmp_path / "config.toml")
    with fresh_database(start_postgres(18)) as warehouse:
        cli = Cli(
            tmp_path,
            {
                "CDC_SOURCE__DSN": database.dsn,
                "CDC_SOURCE__SLOT": database.name,
                "CDC_SOURCE__PUBLICATION": database.name,
                "CDC_TRANSPORT__BOOTSTRAP_SERVERS": kafka.plain,
                "CDC_TRANSPORT__TOPIC_PREFIX": prefix,
                "CDC_WAREHOUSES__WAREHOUSE__DSN": warehouse.dsn,
                "CDC_HTTP__LISTEN": "127.0.0.1:0",
            },
        )
        with cli.started(*SERVICES["reader"]["command"]) as reader:
            with cli.started(*SERVICES["applier"]["command"]) as applier:
                trade(database)
                eventually(lambda: followed(database, warehouse), "the warehouse has what the shop has")
                assert cli.stop(applier).code == 0
            assert cli.stop(reader).code == 0


def trade(database: Database) -> None:
    """As the service `customers` does, for a hundred transactions a client."""
    words = [
        word
        for word in SERVICES["customers"]["command"]
        if not word.startswith(("--rate", "--time", "--file"))
    ]
    command = [database.server.bin("pgbench"), *words[1:], "--transactions=100"]
    subprocess.run(
        [*command, f"--file={DOCKER / 'compose' / 'business.sql'}", database.dsn],
        check=True,
        capture_output=True,
        **programs.identity(),
    )


def followed(database: Database, warehouse: Database) -> bool:
    try:
        return all(
            database.query(TOTALS.format(table)) == warehouse.query(TOTALS.format(f"public.{table}"))
            for table in ("customers", "orders")
        )
    except psycopg.errors.UndefinedTable:
        return False


def test_the_manifest_for_kubernetes_has_settings_that_are_right_and_runs_the_image_s_commands(
    tmp_path: Path,
) -> None:
    manifest = list(yaml.safe_load_all((DOCKER.parent / "docs" / "kubernetes.yaml").read_text()))
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("source", "warehouse", "token"):
        (secrets / name).write_text("postgresql://somewhere/db")
    (settings,) = (each["data"]["config.toml"] for each in manifest if each["kind"] == "ConfigMap")
    path = tmp_path / "config.toml"
    path.write_text(settings.replace("/run/secrets/cdc", str(secrets)))
    config = config_file.load(path, {})
    pods = {each["metadata"]["name"]: each["spec"] for each in manifest if each["kind"] == "Deployment"}
    assert pods["cdc-reader"]["strategy"] == {"type": "Recreate"}
    commands = {command.__name__ for command in COMMANDS}
    for pod in pods.values():
        (container,) = pod["template"]["spec"]["containers"]
        command, *names = container["args"]
        assert command in commands
        assert set(names) <= set(config.warehouses)
        assert container["securityContext"]["readOnlyRootFilesystem"]
