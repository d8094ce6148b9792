"""Appliers by themselves: the same changes, decoded before, into each warehouse, beside the JDBC sink, which reads from Kafka.

A transport in memory hands over the batches, so what is measured is fold, merge and commit. The sink's rate is taken between its
first and its last commit, with the changes on the topic already; nobody's start counts.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdc import config_file, registry
from cdc.applier import run_applier
from cdc.config import TransportSettings
from cdc.errors import Stopped
from cdc.events import Change, Event, Idle
from cdc.interfaces import Warehouse
from cdc.memory import MemoryPublisher
from cdc.modes.shaping import Modes
from cdc.source.capture import Capture
from tests.bench import orders
from tests.bench.kafka import WITH_SCHEMAS, records
from tests.bench.stage import Bench, Stage

KINDS = {"duckdb": 10, "postgres": 5, "sqlite": 0}  # and how many times the sink's rate is the goal
NOWHERE = 'kind = "duckdb"\npath = "unused.duckdb"'


def into_warehouses(bench: Bench) -> dict[str, float]:
    """Decoded changes → DuckDB, PostgreSQL and SQLite beside Debezium's JDBC sink 3.5.0, which fills PostgreSQL from Kafka."""
    with Stage(bench, "apply", source_too=False) as stage:
        for slot in ("schemas", "recorded"):
            stage.slot(slot)
        rows = int(250_000 * bench.scale)
        changes = orders.change(stage.connection, rows)
        events = _recorded(stage.config("recorded", "", NOWHERE))
        assert sum(type(event) is Change for event in events) == changes
        rates, costs = {}, {}
        for kind in KINDS:
            target = stage.target(f"apply_{kind}") if kind == "postgres" else ""
            rates[kind], costs[kind] = _applied(kind, events, changes, bench.folder, target)
        del events
        with stage.cdc("read", stage.config("schemas", WITH_SCHEMAS, NOWHERE)):
            stage.await_records("schemas", records(rows))
        with stage.sink("schemas"):
            peer = stage.await_applied("connect-sink", "schemas").rate * changes / records(rows)
    figures = {"changes": changes, "JDBC sink changes/s": peer}
    for kind, goal in KINDS.items():
        name = f"ratio, {kind} (goal {goal})" if goal else f"ratio, {kind}"
        figures |= {f"{kind} changes/s": rates[kind], name: rates[kind] / peer}
        figures |= {f"{kind}, CPU µs a change": costs[kind] * 1e6}
    return figures


def _recorded(config: Path) -> list[Event]:
    """All that the slot has."""
    events: list[Event] = []
    with Capture(config_file.load(config, {}).source) as capture:
        capture.ensure()
        end = capture.current_lsn()
        with capture.stream() as stream:
            for event in stream:
                if not isinstance(event, Idle):
                    events.append(event)
                elif event.wal_end >= end:
                    break
    gc.collect()
    gc.freeze()  # they are not the warehouses' to look through
    return events


def _applied(kind: str, events: Sequence[Event], changes: int, folder: Path, dsn: str) -> tuple[float, float]:
    """Changes a second, and seconds of this process's CPU for each."""
    connector = registry.load("sqlalchemy" if kind == "sqlite" else kind)
    place = {"duckdb": {"path": str(folder / "apply.duckdb")}, "postgres": {"dsn": dsn}}
    settings: Any = connector.Settings(**place.get(kind, {"url": f"sqlite:///{folder / 'apply.sqlite'}"}))
    warehouse: Warehouse = connector.connect(settings, kind)
    publisher = MemoryPublisher("bench", TransportSettings(), [settings])
    subscriber = publisher.subscriber()
    left = changes
    feeder = threading.Thread(target=_feed, args=(publisher, events), daemon=True)
    begun, cpu = time.monotonic(), time.process_time()
    feeder.start()

    def applied(batch: Any, _merges: object) -> None:
        nonlocal left
        left -= batch.rows

    try:
        modes = Modes(settings, {}, lambda: time.time_ns() // 1000)
        run_applier(subscriber, warehouse, lambda *_: [], applied, lambda: left > 0, shaping=modes)
        feeder.join()
        return changes / (time.monotonic() - begun), (time.process_time() - cpu) / changes
    finally:
        publisher.close()
        warehouse.close()


def _feed(publisher: MemoryPublisher, events: Sequence[Event]) -> None:
    with suppress(Stopped):  # the applier has failed
        for event in events:
            publisher.publish(event)
        publisher.flush()
