"""Prometheus metrics: what the status says, made from it when somebody asks, beside what `meters.py` counts while the line runs.

So a figure has one source, and the line counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cdc.lsn import parse_lsn
from cdc.status import Status, WarehouseStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("starting", "streaming", "retrying", "paused", "stopping", "stopped", "failed")
WAL_STATES = ("reserved", "extended", "unreserved", "lost")
TABLE_STATES = ("new", "copying", "catching_up", "live", "parked")


def exposition(status: Callable[[], Status], counted: CollectorRegistry) -> Callable[[], bytes]:
    """A function that gives the metrics as of its call, in Prometheus's text format."""
    told = told_registry(status)
    return lambda: generate_latest(told) + generate_latest(counted)


def told_registry(status: Callable[[], Status]) -> CollectorRegistry:
    """The metrics that the status tells, and those of this process."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    ProcessCollector(registry=registry)
    return registry


class StatusCollector(Collector):
    """One scrape is one look at the status."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield InfoMetricFamily(
            "cdc", "What runs here", {"version": status.version, "slot": status.source.slot}
        )
        yield _one("cdc_state", "1 for the state that the daemon is in", "state", status.state, STATES)
        yield from _source(status)
        yield from _tables(status)
        yield from _warehouses(status)
        yield from _topics(status)


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
    figures = (
        ("behind_bytes", source.behind_bytes, "WAL written by the server and not yet confirmed by us"),
        ("retained_bytes", source.retained_bytes, "WAL that the server keeps for the slot"),
        ("safe_wal_bytes", source.safe_wal_bytes, "WAL that may be written before the slot is given up"),
        (
            "proved_timestamp_seconds",
            source.proved_at,
            "When the stream was last known to have given everything",
        ),
        ("slot_active", None if source.active is None else float(source.active), "1: somebody streams"),
    )
    for name, value, text in figures:
        if value is not None:
            yield GaugeMetricFamily(f"cdc_source_{name}", text, value=value)
    if source.wal_status is not None:
        text = "1 for what pg_replication_slots.wal_status says"
        yield _one("cdc_source_wal_status", text, "status", source.wal_status, WAL_STATES)


def _tables(status: Status) -> Iterable[Metric]:
    rows = CounterMetricFamily(
        "cdc_rows", "Changes applied since the daemon started", labels=["table", "operation"]
    )
    copied = CounterMetricFamily("cdc_rows_copied", "Rows copied by the snapshot", labels=["table"])
    estimated = GaugeMetricFamily(
        "cdc_rows_estimated", "Rows of a table that is being copied", labels=["table"]
    )
    states = GaugeMetricFamily("cdc_tables", "Tables by state", labels=["state"])
    for table in status.tables:
        for operation in ("insert", "update", "delete", "truncate"):
            rows.add_metric([table.name, operation], getattr(table, f"{operation}s"))
        copied.add_metric([table.name], table.rows_copied)
        if table.state == "copying" and table.rows_estimated is not None:
            estimated.add_metric([table.name], table.rows_estimated)
    for state in TABLE_STATES:
        states.add_metric([state], sum(table.state == state for table in status.tables))
    return [rows, copied, estimated, states]


def _warehouses(status: Status) -> Iterable[Metric]:
    applied = CounterMetricFamily("cdc_rows_applied", "Rows of changes committed", labels=["warehouse"])
    lag = GaugeMetricFamily(
        "cdc_lag_seconds",
        "From commit in the source to commit in the warehouse, over the last minutes",
        labels=["warehouse", "quantile"],
    )
    table_behind = GaugeMetricFamily(
        "cdc_table_behind_seconds", "As cdc_behind_seconds, of a live table", labels=["warehouse", "table"]
    )
    for each in status.warehouses:
        applied.add_metric([each.name], each.rows_applied)
        for quantile, value in (("0.5", each.lag_p50), ("0.95", each.lag_p95), ("0.99", each.lag_p99)):
            if value is not None:
                lag.add_metric([each.name, quantile], value)
        for table in each.tables:
            if table.behind_seconds is not None:
                table_behind.add_metric([each.name, table.name], table.behind_seconds)
    warehouses = status.warehouses
    yield from (applied, lag, table_behind)
    text = "0: all that the source has committed is applied"
    yield _each("cdc_behind_seconds", text, warehouses, lambda each: each.behind_seconds)
    yield _each(
        "cdc_rows_per_second", "Over the last ten seconds", warehouses, lambda each: each.rows_per_second
    )
    yield _each(
        "cdc_queue_bytes", "Rows on their way to the warehouse", warehouses, lambda each: each.queue_bytes
    )
    text = "1: left behind, so that the slot can go on"
    yield _each("cdc_warehouse_parked", text, warehouses, lambda each: float(bool(each.parked)))
    text = "How many may be; then the stream waits"
    yield _each("cdc_queue_limit_bytes", text, warehouses, lambda each: each.queue_limit_bytes)
    text = "Commit LSN applied last"
    yield _each(
        "cdc_applied_lsn_bytes",
        text,
        warehouses,
        lambda each: each.applied_lsn and parse_lsn(each.applied_lsn),
    )


def _each(
    name: str,
    text: str,
    warehouses: Sequence[WarehouseStatus],
    value: Callable[[WarehouseStatus], float | str | None],
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["warehouse"])
    for each in warehouses:
        if (known := value(each)) is not None:
            family.add_metric([each.name], float(known))
    return family


def _topics(status: Status) -> Iterable[Metric]:
    labels = ["warehouse", "topic", "partition"]
    ends = GaugeMetricFamily("cdc_topic_end_offset", "The offset that is published next", labels=labels)
    applied = GaugeMetricFamily("cdc_topic_applied_offset", "The offset that is applied next", labels=labels)
    behind = GaugeMetricFamily("cdc_topic_behind_records", "Records published and not applied", labels=labels)
    for warehouse in status.warehouses:
        for each in warehouse.partitions:
            names = [warehouse.name, each.topic, str(each.partition)]
            ends.add_metric(names, each.end)
            applied.add_metric(names, max(each.applied, 0))
            behind.add_metric(names, each.records)
    return [ends, applied, behind]
