"""Notes about one warehouse: what it has applied, and how long after the source's commit. The book's pen: it has the lock."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cdc.config import WarehouseSettings
from cdc.interfaces import Batch
from cdc.lag import LagWindow, behind_seconds
from cdc.lsn import Lsn, format_lsn
from cdc.merge import Merge
from cdc.modes.names import DEAD_LETTERS
from cdc.status import TableLag, WarehouseStatus


class Received(msgspec.Struct):
    """How far the stream has come: the last commit given to the transport, whether it was the last one there, and when
    that was proved (see `cdc.lag.Proof`). `in_order`: warehouses apply commits in the order of the stream."""

    commit_us: int = 0
    lsn: Lsn = 0
    drained: bool = False
    proved_at: float | None = None
    in_order: bool = True


def warehouse_status(name: str, settings: WarehouseSettings) -> WarehouseStatus:
    """That of a warehouse of which nothing is known yet."""
    topic = settings.dead_letter_topic
    told_in = f"topic {topic}" if topic else f"table {DEAD_LETTERS}"
    return WarehouseStatus(name=name, kind=settings.kind, dead_letters_in=told_in)


class Pen:
    """Notes about one warehouse."""

    def __init__(self, name: str, settings: WarehouseSettings) -> None:
        self.status = warehouse_status(name, settings)
        self._window = LagWindow()
        self._tables: dict[str, TableLag] = {}
        self._applied_us = 0
        self._applied_lsn: Lsn = 0
        self._synced_at: float | None = None

    def starts_from(self, lsn: Lsn) -> None:
        self._applied_lsn = max(self._applied_lsn, lsn)
        self.status.applied_lsn = format_lsn(self._applied_lsn)

    def drained(self, received: Received) -> None:
        """The stream gives no more: if all of it is applied, nothing was missing when that was proved."""
        if received.in_order and self._applied_lsn >= received.lsn and received.proved_at:
            self._synced_at = received.proved_at

    def applied(self, batch: Batch, merges: Sequence[Merge], now: float) -> None:
        status = self.status
        rows = 0
        for merge in merges:
            counted = sum(merge.counts.values())
            rows += counted
            self._table(merge.source.full_name).rows_applied += counted
        status.rows_applied += rows
        if batch.checkpoint is None:
            return
        lsn = max((mark.position.commit_lsn for mark in batch.checkpoint.marks.values()), default=0)
        self._applied_lsn = max(self._applied_lsn, lsn)  # a copy may come before any commit
        status.applied_lsn = format_lsn(self._applied_lsn)
        lag = 0.0
        if batch.commit_us:
            self._applied_us = batch.commit_us
            status.applied_commit_time = batch.commit_us / 1e6
            lag = now - batch.commit_us / 1e6
            for merge in merges:
                table = self._table(merge.source.full_name)
                table.applied_lsn, table.applied_commit_time = format_lsn(lsn), batch.commit_us / 1e6
        self._window.add(now, lag, rows if batch.commit_us else 0)

    def _table(self, name: str) -> TableLag:
        return self._tables.setdefault(name, TableLag(name=name))

    def as_of(self, now: float, received: Received, states: dict[str, str]) -> WarehouseStatus:
        """`states`: of all tables. One that is live is as far as its warehouse; of others nothing is claimed."""
        window = self._window
        drained = received.drained and self._applied_lsn >= received.lsn
        behind = behind_seconds(
            now,
            received.commit_us,
            self._applied_us,
            drained=drained,
            proved_at=received.proved_at,
            synced_at=self._synced_at,
        )
        tables = []
        for name, state in states.items():
            table = self._tables.get(name) or TableLag(name=name)
            tables.append(
                msgspec.structs.replace(
                    table, behind_seconds=behind if state == "live" else None, state=state
                )
            )
        return msgspec.structs.replace(
            self.status,
            behind_seconds=behind,
            rows_per_second=round(window.rows_per_second(now), 1),
            lag_p50=window.percentile(now, 0.50),
            lag_p95=window.percentile(now, 0.95),
            lag_p99=window.percentile(now, 0.99),
            tables=tables,
        )
