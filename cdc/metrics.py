"""Prometheus metrics, made from `Status` when somebody asks: the line itself counts nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cdc.lsn import parse_lsn
from cdc.status import Status

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("starting", "streaming", "retrying", "stopping", "stopped", "failed")
TABLE_STATES = ("new", "copying", "catching_up", "live", "parked")


def exposition(status: Callable[[], Status]) -> Callable[[], bytes]:
    """A function that gives the metrics as of its call, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    return lambda: generate_latest(registry)


class StatusCollector(Collector):
    """One scrape is one look at the status."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield _one("cdc_state", "1 for the state that the daemon is in", "state", status.state, STATES)
        yield from _source(status)
        yield from _tables(status)
        yield from _warehouses(status)


def _one(name: str, text: str, label: str, state: str, states: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for each in states:
        family.add_metric([each], float(each == state))
    return family


def _source(status: Status) -> Iterable[Metric]:
    source = status.source
    lsns = GaugeMetricFamily(
        "cdc_source_lsn_bytes", "WAL positions as bytes since the start of WAL", labels=["kind"]
    )
    for kind in ("received", "confirmed", "current"):
        lsn = getattr(source, f"{kind}_lsn")
        if lsn is not None:
            lsns.add_metric([kind], parse_lsn(lsn))
    yield lsns
    for name, value, text in (
        (
            "cdc_source_behind_bytes",
            source.behind_bytes,
            "WAL written by the server and not yet confirmed by us",
        ),
        ("cdc_source_retained_bytes", source.retained_bytes, "WAL that the server keeps for the slot"),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


def _tables(status: Status) -> Iterable[Metric]:
    rows = CounterMetricFamily(
        "cdc_rows", "Changes applied since the daemon started", labels=["table", "operation"]
    )
    copied = CounterMetricFamily("cdc_rows_copied", "Rows copied by the snapshot", labels=["table"])
    states = GaugeMetricFamily("cdc_tables", "Tables by state", labels=["state"])
    for table in status.tables:
        for operation in ("insert", "update", "delete", "truncate"):
            rows.add_metric([table.name, operation], getattr(table, f"{operation}s"))
        copied.add_metric([table.name], table.rows_copied)
    for state in TABLE_STATES:
        states.add_metric([state], sum(table.state == state for table in status.tables))
    return [rows, copied, states]


def _warehouses(status: Status) -> Iterable[Metric]:
    behind = GaugeMetricFamily(
        "cdc_behind_seconds", "0: all that was received is applied", labels=["warehouse"]
    )
    lag = GaugeMetricFamily(
        "cdc_lag_seconds",
        "From commit in the source to commit in the warehouse",
        labels=["warehouse", "quantile"],
    )
    applied = CounterMetricFamily("cdc_rows_applied", "Rows of changes committed", labels=["warehouse"])
    lsn = GaugeMetricFamily("cdc_applied_lsn_bytes", "Commit LSN applied last", labels=["warehouse"])
    for each in status.warehouses:
        if each.behind_seconds is not None:
            behind.add_metric([each.name], each.behind_seconds)
        for quantile, value in (("0.5", each.lag_p50), ("0.95", each.lag_p95), ("0.99", each.lag_p99)):
            if value is not None:
                lag.add_metric([each.name, quantile], value)
        applied.add_metric([each.name], each.rows_applied)
        if each.applied_lsn is not None:
            lsn.add_metric([each.name], parse_lsn(each.applied_lsn))
    return [behind, lag, applied, lsn]
