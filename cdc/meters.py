"""What the running line counts and measures, as Prometheus instruments: per batch, flush and failure, never per row.

Whoever has something to count gets the `Meters` of the book; `metrics.py` shows them beside what the status says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from cdc.interfaces import Publisher, Warehouse
from cdc.merge import Key, Merge
from cdc.schema import Table

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
ROWS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000, 1_000_000)
BYTES = tuple(4**power for power in range(5, 15))
LAGS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class Meters:
    """One daemon's, over all its attempts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.errors = self._counter("cdc_errors", "Failures of the line, by class of error", "error")
        self.retries = self._counter("cdc_retries", "Attempts that followed a failure")
        self.heartbeats = self._counter("cdc_heartbeats", "Heartbeats written to the source")
        self.schema_changes = self._counter(
            "cdc_schema_changes", "Changes of a table's shape that were applied", "warehouse", "table"
        )
        self.dead_letters = self._counter(
            "cdc_dead_letters",
            "Rows and records set aside as they could not be applied",
            "warehouse",
            "table",
        )
        self.batch_rows = self._histogram("cdc_batch_rows", "Rows of a batch", ROWS, "warehouse")
        self.batch_bytes = self._histogram("cdc_batch_bytes", "Bytes of rows of a batch", BYTES, "warehouse")
        self.merge_seconds = self._histogram(
            "cdc_merge_seconds", "Duration of one table's merge in the warehouse", SECONDS, "warehouse"
        )
        self.commit_seconds = self._histogram(
            "cdc_commit_seconds", "Duration of a commit in the warehouse", SECONDS, "warehouse"
        )
        self.flush_seconds = self._histogram(
            "cdc_flush_seconds", "Duration of a flush: until all that was published is durable", SECONDS
        )
        self.end_to_end = self._histogram(
            "cdc_end_to_end_seconds",
            "From a batch's last commit in the source to its commit in the warehouse",
            LAGS,
            "warehouse",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


@contextmanager
def measured(observe: Callable[[float], None]) -> Iterator[None]:
    """Observes how long a block took, if it did not fail."""
    begun = time.monotonic()
    yield
    observe(time.monotonic() - begun)


class MeasuredWarehouse:
    """A warehouse whose merges and commits are measured, and whose changes of shape are told of."""

    def __init__(
        self, warehouse: Warehouse, name: str, meters: Meters, reshaped: Callable[[str, str, str], None]
    ) -> None:
        self._warehouse = warehouse
        self._name = name
        self._reshaped = reshaped
        self._shapes: dict[str, Table] = {}
        self._merge = meters.merge_seconds.labels(name).observe
        self._commit = meters.commit_seconds.labels(name).observe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def evolve(self, table: Table) -> None:
        self._warehouse.evolve(table)
        before = self._shapes.get(table.full_name)
        if before is not table:
            self._shapes[table.full_name] = table
            if before is not None and (said := difference(before, table)):
                self._reshaped(self._name, table.full_name, said)

    def apply(self, merge: Merge) -> Sequence[Key]:
        with measured(self._merge):
            return self._warehouse.apply(merge)

    def commit(self, checkpoint: Any) -> None:
        with measured(self._commit):
            self._warehouse.commit(checkpoint)


def difference(before: Table, after: Table) -> str:
    """What has changed between two shapes of a table, in words; empty if nothing that anybody would see."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    said = [
        f"column {name} {new[name].type_name or new[name].type.kind} added" for name in new if name not in old
    ]
    said += [f"column {name} dropped" for name in old if name not in new]
    said += [
        f"column {name} is now {new[name].type_name or new[name].type.kind}"
        for name in new
        if name in old and new[name].type != old[name].type
    ]
    if [before.columns[i].name for i in before.key] != [after.columns[i].name for i in after.key]:
        said.append("another key")
    return ", ".join(said)


def measure_flushes(publisher: Publisher, meters: Meters) -> Publisher:
    """The same publisher; its flushes are measured from now on. `publish`, which every row takes, is left alone."""
    flush, observe = publisher.flush, meters.flush_seconds.observe

    def measured_flush() -> None:
        with measured(observe):
            flush()

    publisher.flush = measured_flush  # type: ignore[method-assign]
    return publisher
