"""`cdc verify`: are source and target equal, at one LSN, while the daemon runs?

1. The source is held at an LSN (`source/moment.py`).
2. The running line gives a view of each warehouse at that same LSN, and streams on.
3. Table by table, both sides make their digests (`digest.py`) at the same time. Where these differ, the rows that they
   are made of are merged, and the keys of those that differ are named (`verify_table.py`, `compare.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial

import structlog

from cdc.config import SourceSettings
from cdc.errors import ConfigError
from cdc.interfaces import View
from cdc.lsn import Lsn, format_lsn
from cdc.report import Report, TableReport
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, where
from cdc.source.failures import explained
from cdc.source.moment import source_moment
from cdc.source.publication import TableName
from cdc.verify_table import TableComparison

__all__ = ["Report", "TableReport", "verify"]

log = structlog.get_logger()

LIMIT, TIMEOUT = 20, 300.0

ViewsAt = Callable[[Lsn, float], Mapping[str, View]]
"""`Line.views`: each warehouse with exactly the transactions that commit below an LSN, or CdcError after some seconds."""


def verify(
    settings: SourceSettings,
    views_at: ViewsAt,
    tables: Sequence[str] = (),
    *,
    limit: int = LIMIT,
    timeout: float = TIMEOUT,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Compare the captured tables that the globs name (none: all of them). `limit`: keys told per table and kind.

    `timeout` bounds each waiting for others, not the comparison. Raises CdcError; a difference is no error.
    """
    begun = time.monotonic()
    with ExitStack() as held:
        moment = held.enter_context(source_moment(settings, timeout, partial(_waiting, progress)))
        wanted = _wanted(moment.connection, settings, tables)
        views = views_at(moment.lsn, timeout)
        for view in views.values():
            held.callback(view.close)
        threads = held.enter_context(ThreadPoolExecutor(max(len(views), 1), "verify"))
        comparison = TableComparison(settings, moment.connection, views, threads, limit, progress)
        reports = [report for table in wanted for report in comparison.compare(table)]
    return Report(
        equal=bool(reports) and all(report.equal for report in reports),
        lsn=format_lsn(moment.lsn),
        seconds=round(time.monotonic() - begun, 3),
        tables=reports,
    )


def _waiting(progress: Callable[[str], None], holders: str) -> None:
    log.warning("verify_waits_for_transactions", transactions=holders)
    progress(f"waiting for {holders or 'running transactions'}")


def _wanted(connection: Connection, settings: SourceSettings, globs: Sequence[str]) -> list[TableName]:
    """The captured tables that are named; each glob has to name one."""
    with explained("cannot list the source's tables", where=where(settings)):
        captured = Catalog(connection).captured(settings)
    for glob in globs:
        if not any(fnmatchcase(str(table), glob) for table in captured):
            raise ConfigError(
                f"no captured table is named {glob!r}",
                where=where(settings),
                hint=f"captured are: {', '.join(map(str, captured)) or 'none'}",
            )
    return [table for table in captured if not globs or any(fnmatchcase(str(table), glob) for glob in globs)]
