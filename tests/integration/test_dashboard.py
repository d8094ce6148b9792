"""The dashboard over a real Prometheus, which looks at a line to which everything has happened: no query stays empty."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.page import served
from tests.fixtures.postgres import Database
from tests.fixtures.writer import busy

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARD = json.loads((DOCKER / "grafana/dashboards/cdc.json").read_text())
VARIABLES = {"$instance": ".*", "$__rate_interval": "15s"}
ONLY_WITH_A_LIMIT = "cdc_source_safe_wal_bytes"  # max_slot_wal_keep_size, which the tests' server has not

pytestmark = pytest.mark.timeout(300)


def queries() -> dict[str, list[str]]:
    """Per panel, with the variables filled in."""
    found = {}
    for panel in DASHBOARD["panels"]:
        asked = [target["expr"] for target in panel.get("targets", ())]
        for name, value in VARIABLES.items():
            asked = [each.replace(name, value) for each in asked]
        found[f"{panel['title']} ({panel['type']})"] = [
            each for each in asked if ONLY_WITH_A_LIMIT not in each
        ]
    return found


class Prometheus:
    """A server with docker/prometheus' settings, but for what it looks at."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def is_up(self) -> bool:
        """Does it answer, and has it seen what it looks at?"""
        try:
            return bool(self.ask("query", query='up{job="cdc"} == 1')["result"])
        except OSError:
            return False

    def values(self, query: str) -> list[float]:
        return [float(each["value"][1]) for each in self.ask("query", query=query)["result"]]


@contextmanager
def looking_at(address: str, folder: Path) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        missing = "there is no prometheus: tests/setup-debian.sh installs Debian's"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    settings = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(DOCKER / "prometheus/alerts.yml")]
    (job,) = settings["scrape_configs"]
    job["static_configs"] = [{"targets": [address]}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address={listen}", "--log.level=error"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            prometheus = Prometheus(listen)
            eventually(prometheus.is_up, "Prometheus has looked once")
            yield prometheus
        finally:
            process.terminate()
            process.wait(30)


CHANGES = (
    "insert into orders select from generate_series(1, 10)",
    "update orders set total = coalesce(total, 0) + 1 where id % 7 = 0",
    "delete from orders where id % 11 = 0",
)


def have_everything_happen(running: Running, database: Database) -> None:
    """A refused row, a change of shape, and a stream that breaks off."""
    database.execute("insert into orders (total) values ('NaN')")
    database.execute("alter table orders add column note text; insert into orders (note) values ('new')")
    eventually(lambda: running.daemon.status().warehouses[0].dead_letters > 0, "a row was left out")
    eventually(lambda: any(note.kind == "schema_change" for note in running.daemon.status().notes))
    database.execute(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s",
        database.name,
    )
    eventually(lambda: any(note.kind == "error" for note in running.daemon.status().notes), "it broke off")
    eventually(lambda: running.daemon.status().state == "streaming", "and goes on")


def test_no_panel_is_empty_and_the_alerts_know_what_has_happened(
    database: Database, tmp_path: Path, kafka: Address, prefix: str
) -> None:
    database.execute(
        "create table orders (id int primary key generated always as identity, total numeric(9, 2))"
    )
    database.execute(
        "create table large (id int primary key); insert into large select generate_series(1, 100000)"
    )
    database.execute("analyze large; insert into orders (total) values (1)")
    replica = Replica(
        database,
        tmp_path,
        source={"tables": ["public.orders", "public.large"]},
        snapshot={"max_rows_per_second": 500, "chunk_rows": 500},  # large is being copied all the time
        transport={"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix},
    )
    replica.settings["warehouses.local"]["refused"] = "park_row"
    with (
        served(replica) as (running, url),
        looking_at(urllib.parse.urlsplit(url).netloc, tmp_path) as prometheus,
        busy(database, lambda: CHANGES, lambda: 0.2),
    ):
        have_everything_happen(running, database)
        for panel, asked in queries().items():
            for query in asked:
                eventually(lambda query=query: prometheus.values(query), f"{panel}: {query}")
        (instances,) = [each["query"]["query"] for each in DASHBOARD["templating"]["list"]]
        assert instances == "label_values(cdc_state, instance)"
        labels = prometheus.ask("label/instance/values", **{"match[]": "cdc_state"})
        assert labels == [urllib.parse.urlsplit(url).netloc]
        firing = 'ALERTS{alertname="CdcDeadLetters", alertstate="firing"}'
        eventually(lambda: prometheus.values(firing), "somebody is told of the row, though it is the first")
