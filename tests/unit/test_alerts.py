"""The dashboard, the alerts and the documentation name metrics that there are, and the alerts go off when they should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cdc.meters import Meters
from cdc.metrics import exposition
from cdc.status import PartitionLag, SourceStatus, Status, TableLag, TableStatus, WarehouseStatus

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "docker/prometheus/alerts.yml"
RUNBOOK = ROOT / "docs/operations.md"
NAME = re.compile(r"\b((?:cdc|process)_[a-z_]*[a-z])\b")


def everything() -> Status:
    """A status in which nothing is unknown."""
    return Status(
        version="1",
        state="streaming",
        started=1.0,
        source=SourceStatus(
            slot="cdc", publication="cdc", plugin="pgoutput", received_lsn="0/1", confirmed_lsn="0/1",
            current_lsn="0/1", behind_bytes=1, retained_bytes=1, safe_wal_bytes=1, wal_status="reserved",
            active=True, proved_at=1.0,
        ),
        tables=[TableStatus(name="t", state="copying", rows_copied=1, rows_estimated=2)],
        warehouses=[
            WarehouseStatus(
                name="w", kind="k", applied_lsn="0/1", behind_seconds=0.0, lag_p50=1.0, lag_p95=1.0, lag_p99=1.0,
                queue_bytes=1, queue_limit_bytes=2, tables=[TableLag(name="t", behind_seconds=0.0)],
                partitions=[PartitionLag(topic="t", partition=0, applied=1, end=2, records=1)],
            )
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """The names of all series."""
    meters = Meters()
    for each in (
        meters.batch_rows,
        meters.batch_bytes,
        meters.merge_seconds,
        meters.commit_seconds,
        meters.end_to_end,
    ):
        each.labels("w").observe(1)
    meters.flush_seconds.observe(1)
    meters.errors.labels("E").inc()
    for counter in (meters.schema_changes, meters.dead_letters):
        counter.labels("w", "t").inc()
    text = exposition(everything, meters.registry)().decode()
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def expressions(value: object) -> Iterator[str]:
    """All queries of a dashboard."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from [each] if key in ("expr", "query") and isinstance(each, str) else expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


def test_the_dashboard_asks_for_metrics_that_there_are(shown: set[str]) -> None:
    dashboard = json.loads((ROOT / "docker/grafana/dashboards/cdc.json").read_text())
    asked = {name for each in expressions(dashboard) for name in NAME.findall(each)}
    assert len(asked) > 20
    assert asked <= shown


def test_alerts_are_about_metrics_that_there_are(shown: set[str]) -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    asked = {name for each in expressions for name in NAME.findall(each)}
    assert expressions
    assert asked <= shown


def test_every_metric_is_documented_and_every_documented_one_is_there(shown: set[str]) -> None:
    documented = set(re.findall(r"`(cdc_[a-z_]+)", RUNBOOK.read_text()))
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown if name.startswith("cdc_")}
    assert ours == documented


def test_every_alert_has_its_section() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    links = re.findall(r"runbook: docs/operations\.md#(\w+)", ALERTS.read_text())
    assert links == [name.lower() for name in alerts]
    sections = re.findall(r"^#+ (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert set(alerts) <= set(sections)


def test_every_alert_goes_off_on_its_day_and_none_on_a_good_one(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing = "there is no promtool: tests/setup-debian.sh installs Debian's prometheus"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    shutil.copy(ALERTS, tmp_path)
    tests = shutil.copy(ROOT / "tests/fixtures/alerts_test.yml", tmp_path)
    for command in (["check", "rules", ALERTS.name], ["test", "rules", Path(tests).name]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r'alertname="(\w+)"', Path(tests).read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))
