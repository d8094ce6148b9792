"""`cdc verify`: are source and target equal, at one LSN, while the daemon runs?

1. The source is held at an LSN (`source/moment.py`), while the stream stands still for an instant (`meeting.py`).
2. The stream goes on to that LSN, a view of each warehouse is taken there, and it goes on.
3. Table by table, both sides make their digests (`digest.py`) at the same time. Where these differ, the rows that they
   are made of are merged, and the keys of those that differ are named (`verify_table.py`, `compare.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial

import structlog

from cdc.config import SourceSettings
from cdc.errors import ConfigError
from cdc.interfaces import View
from cdc.lsn import format_lsn
from cdc.meeting import Meet
from cdc.report import Report, TableReport
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, where
from cdc.source.failures import explained
from cdc.source.moment import Busy, Moment
from cdc.source.publication import TableName
from cdc.status import TableStatus
from cdc.verify_table import TableComparison

__all__ = ["Report", "TableReport", "verify"]

log = structlog.get_logger()

LIMIT, TIMEOUT = 20, 300.0
STANDSTILL = 2.0  # seconds that the stream may wait, at first, for transactions which began just before
PARKED = "parked"
UNREADY = ("new", "copying", PARKED)

Statuses = Callable[[], Iterable[TableStatus]]


def verify(
    settings: SourceSettings,
    meet: Meet,
    tables: Sequence[str] = (),
    *,
    limit: int = LIMIT,
    timeout: float = TIMEOUT,
    statuses: Statuses = tuple,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Compare the captured tables that the globs name (none: all of them). `limit`: keys told per table and kind.

    `timeout` bounds each waiting for others, not the comparison. `statuses` says what becomes of the tables: one that
    is being copied, or parked, is not compared. Raises CdcError; a difference is no error.
    """
    begun = time.monotonic()
    with ExitStack() as held:
        # Before the moment: a copy that ends later may show rows from after it.
        before = list(statuses())
        moment = held.enter_context(Moment(settings, partial(_waiting, progress)))
        wanted = _wanted(moment.connection, settings, tables)
        views = _meet(moment, meet, timeout)
        for view in views.values():
            held.callback(view.close)
        threads = held.enter_context(ThreadPoolExecutor(max(len(views), 1), "verify"))
        unready = {status.name: status for status in (*before, *statuses()) if status.state in UNREADY}
        comparison = TableComparison(settings, moment.connection, views, threads, limit, progress)
        reports = [
            report
            for table in wanted
            for report in (
                _not_compared(unready[str(table)], views)
                if str(table) in unready
                else comparison.compare(table)
            )
        ]
    return Report(
        equal=bool(reports) and all(report.equal for report in reports),
        lsn=format_lsn(moment.lsn),
        seconds=round(time.monotonic() - begun, 3),
        tables=reports,
    )


def _not_compared(status: TableStatus, views: Iterable[str]) -> list[TableReport]:
    parked = status.state == PARKED
    problem = f"the table is parked: {status.reason}" if parked else "the table is still being copied"
    mend = status.mend if parked else "try again when `cdc status` calls it live"
    return [
        TableReport(
            table=status.name,
            warehouse=warehouse,
            equal=False,
            source_rows=0,
            target_rows=0,
            problem=problem,
            mend=mend,
        )
        for warehouse in views
    ]


def _meet(moment: Moment, meet: Meet, timeout: float) -> Mapping[str, View]:
    """Old transactions are waited for before the stream has to stand still, so that it need not for long."""
    deadline = time.monotonic() + timeout
    standstill = STANDSTILL
    while True:
        moment.await_old_transactions(max(deadline - time.monotonic(), 0))
        try:
            return meet(partial(moment.take, standstill), timeout)
        except Busy:
            if time.monotonic() > deadline:
                raise
        standstill *= 2  # where transactions are always long, it has to be longer


def _waiting(progress: Callable[[str], None], holders: str) -> None:
    log.warning("verify_waits_for_transactions", transactions=holders)
    progress(f"waiting for {holders or 'running transactions'}")


def _wanted(connection: Connection, settings: SourceSettings, globs: Sequence[str]) -> list[TableName]:
    """The captured tables that are named; each glob has to name one."""
    with explained("cannot list the source's tables", where=where(settings)):
        captured = Catalog(connection).captured(settings)
        connection.rollback()
    for glob in globs:
        if not any(fnmatchcase(str(table), glob) for table in captured):
            raise ConfigError(
                f"no captured table is named {glob!r}",
                where=where(settings),
                hint=f"captured are: {', '.join(map(str, captured)) or 'none'}",
            )
    return [table for table in captured if not globs or any(fnmatchcase(str(table), glob) for glob in globs)]
